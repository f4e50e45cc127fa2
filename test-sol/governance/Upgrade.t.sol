// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Governance, Step} from "../../script/governance/Governance.sol";
import {RollBack} from "../../script/governance/RollBack.s.sol";
import {Upgrade} from "../../script/governance/Upgrade.s.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {GovernanceFixture} from "./GovernanceFixture.sol";

contract UpgradeTest is GovernanceFixture {
    Upgrade private upgrading;
    RollBack private back;
    address private next;

    /// @dev A code in every state, each in a batch of three.
    IOtpVerifier.Ticket private issued;
    IOtpVerifier.Ticket private verified;
    IOtpVerifier.Ticket private consumed;
    IOtpVerifier.Ticket private revoked;
    bytes32[4] private roots;
    bytes32[4] private words;

    function setUp() public override {
        super.setUp();
        (upgrading, back) = (new Upgrade(), new RollBack());
        upgrading.use(deployOut);
        back.use(deployOut);
        next = upgrading.deploy();

        (issued, roots[0]) = _issueBatch(issuer, WITHDRAW, 3, 1);
        (verified, roots[1]) = _issueBatch(issuer, WITHDRAW, 3, 1);
        (consumed, roots[2]) = _issueBatch(otherIssuer, WITHDRAW, 3, 1);
        (revoked, roots[3]) = _issueBatch(otherIssuer, LOGIN, 3, 1);
        _verify(verified);
        _verify(consumed);
        _consume(consumed);
        _revoke(revoked);
        for (uint256 i = 0; i < 4; ++i) {
            words[i] = _word(i);
        }
    }

    function _word(uint256 i) private view returns (bytes32) {
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) =
            verifier.batchOf(i < 2 ? issuer : otherIssuer, roots[i]);
        return keccak256(abi.encode(expiry, grace, first, states));
    }

    function _assertEverythingKept() private {
        _assertStatus(issued, IOtpVerifier.Status.Issued);
        _assertStatus(verified, IOtpVerifier.Status.Verified);
        _assertStatus(consumed, IOtpVerifier.Status.Consumed);
        _assertStatus(revoked, IOtpVerifier.Status.Revoked);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(_word(i), words[i], "batch");
        }
        assertEq(verifier.nextSerial(issuer, WITHDRAW), 6);
        assertEq(verifier.nextSerial(otherIssuer, LOGIN), 3);
        assertEq(verifier.policyOf(WITHDRAW).ttl, 60);
        assertTrue(verifier.hasRole(keccak256("ISSUER_ROLE"), issuer));
        assertTrue(verifier.hasRole(keccak256("GOVERNOR_ROLE"), d.timelock));
        // ids commit to the proxy's address, so codes go on as they are; tried out and undone
        uint256 snapshot = vm.snapshotState();
        _verify(issued);
        _consume(issued);
        _consume(verified);
        _expectId(IOtpVerifier.OtpUsed.selector, consumed.id);
        vm.prank(consumer);
        verifier.consume(consumed, subject, WITHDRAW, PAYLOAD_HASH, _hash(CODE));
        assertTrue(vm.revertToState(snapshot));
    }

    function test_AnUpgradeAndARollbackKeepEveryLiveCodesState() external {
        _pass(upgrading, upgrading.run(next));
        assertEq(_implementationOf(), next);
        _assertEverythingKept();

        _pass(back, back.run(d.implementation));
        assertEq(_implementationOf(), d.implementation);
        _assertEverythingKept();
    }

    function test_AnUpgradeWaits() external {
        Step[] memory steps = upgrading.run(next);
        _sign(upgrading, steps[0]);
        skip(config.delay - 1);
        _expectFailing(upgrading, steps[1]);
        assertEq(_implementationOf(), d.implementation);
    }

    function test_ACodeCanBeUsedWhileAnUpgradeWaits() external {
        _sign(upgrading, upgrading.run(next)[0]);
        _verify(issued);
        _assertStatus(issued, IOtpVerifier.Status.Verified);
    }

    function test_RevertWhen_TheImplementationIsNotThisBuild() external {
        address other = makeAddr("other");
        vm.etch(other, bytes.concat(next.code, hex"00"));
        vm.expectRevert(
            abi.encodeWithSelector(Governance.Unfit.selector, "implementation is not this repository's build", other)
        );
        upgrading.run(other);
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, "implementation without code", stranger));
        upgrading.run(stranger);
        vm.expectRevert(abi.encodeWithSelector(Governance.NothingToDo.selector, "the implementation is this already"));
        upgrading.run(d.implementation);
    }

    function test_NobodyInitializesTheProxyOrAnImplementationAgain() external {
        address[] memory none = new address[](0);
        address[3] memory all = [d.verifier, d.implementation, next];
        for (uint256 i = 0; i < all.length; ++i) {
            vm.expectRevert(bytes4(keccak256("InvalidInitialization()")));
            vm.prank(stranger);
            IOtpVerifier(all[i]).initialize(stranger, stranger, none);
        }
    }
}
