// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Governance, Step} from "../../script/governance/Governance.sol";
import {RevokeBatches} from "../../script/governance/RevokeBatches.s.sol";
import {RotateIssuer} from "../../script/governance/RotateIssuer.s.sol";
import {Unpause} from "../../script/governance/Unpause.s.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {GovernanceFixture} from "./GovernanceFixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Asks no node: no log of anything.
contract RevokeWithoutLogs is RevokeBatches {
    function _logs(uint256, address, bytes32[] memory) internal pure override returns (Vm.EthGetLogs[] memory) {
        return new Vm.EthGetLogs[](0);
    }
}

/// @notice A stolen issuer key, from the first signature to the unpause, with the real Safe and timelock.
contract IncidentTest is GovernanceFixture {
    RevokeBatches private revoking;
    Unpause private unpausing;

    bytes32 private constant ISSUER_ROLE = keccak256("ISSUER_ROLE");

    function setUp() public override {
        super.setUp();
        (revoking, unpausing) = (new RevokeWithoutLogs(), new Unpause());
        revoking.use(deployOut);
        unpausing.use(deployOut);
    }

    function test_AStolenKeyEndsAtOnceWithEverythingItIssued() external {
        (IOtpVerifier.Ticket memory issued, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 1);
        (IOtpVerifier.Ticket memory verified, bytes32 another) = _issueBatch(issuer, LOGIN, 2, 0);
        (IOtpVerifier.Ticket memory others,) = _issueBatch(otherIssuer, WITHDRAW, 2, 1);
        _verify(verified);
        bytes32[] memory roots = new bytes32[](2);
        (roots[0], roots[1]) = (root, another);

        Step[] memory steps = revoking.run(issuer, roots);
        assertEq(steps.length, 3);
        assertEq(steps[0].name, "pause");
        assertEq(steps[1].name, "remove-issuer");
        assertEq(steps[2].name, "revoke-batches-1");
        for (uint256 i = 0; i < steps.length; ++i) {
            _sign(revoking, steps[i]); // the clock stands still
        }
        assertTrue(verifier.paused());
        assertFalse(verifier.hasRole(ISSUER_ROLE, issuer));
        _assertStatus(issued, IOtpVerifier.Status.Revoked);
        _assertStatus(verified, IOtpVerifier.Status.Revoked);
        _assertStatus(others, IOtpVerifier.Status.Issued);

        vm.expectRevert(
            abi.encodeWithSelector(Governance.NothingToDo.selector, "paused, no issuer, and no live batch of it")
        );
        revoking.run(issuer, roots);

        // life goes on for the standby, after the delay
        _pass(unpausing, unpausing.run());
        _verify(others);
        _issueBatch(otherIssuer, WITHDRAW, 1, 0);
    }

    /// @dev README.md's path, step by step, where nobody else can issue.
    function test_WithoutAStandbyANewKeyIssuesAfterTheDelay() external {
        (IOtpVerifier.Ticket memory issued, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 1);
        RotateIssuer rotating = new RotateIssuer();
        rotating.use(deployOut);
        address fresh = makeAddr("fresh");
        vm.startPrank(guardian);
        verifier.removeIssuer(otherIssuer);
        verifier.pause();
        verifier.removeIssuer(issuer);
        vm.stopPrank();
        _sign(revoking, revoking.run(issuer, _roots(root))[0]);
        _assertStatus(issued, IOtpVerifier.Status.Revoked);

        _sign(unpausing, unpausing.run()[0]);
        _sign(rotating, rotating.run(issuer, fresh)[0]);
        skip(config.delay);
        Step[] memory left = rotating.run(issuer, fresh);
        assertEq(left.length, 1, "run again it says where the proposal stands");
        _sign(rotating, left[0]);
        _sign(unpausing, unpausing.run()[0]);

        assertFalse(verifier.hasRole(ISSUER_ROLE, issuer));
        (IOtpVerifier.Ticket memory next,) = _issueBatch(fresh, WITHDRAW, 1, 0);
        _verify(next);
        vm.expectRevert(
            abi.encodeWithSelector(Governance.NothingToDo.selector, "the new issuer issues, the old one does not")
        );
        rotating.run(issuer, fresh);
    }

    function test_ARotationThatWaitsIsExecutedThoughTheOldIssuerIsGone() external {
        _issueBatch(issuer, WITHDRAW, 1, 0);
        RotateIssuer rotating = new RotateIssuer();
        rotating.use(deployOut);
        address fresh = makeAddr("fresh");
        _sign(rotating, rotating.run(issuer, fresh)[0]);
        vm.prank(guardian);
        verifier.removeIssuer(issuer);
        skip(config.delay);
        Step[] memory left = rotating.run(issuer, fresh);
        assertEq(left.length, 1);
        _sign(rotating, left[0]);
        assertTrue(verifier.hasRole(ISSUER_ROLE, fresh));
    }

    function test_RevertWhen_TheAccountNeverWasAnIssuer() external {
        vm.prank(guardian);
        verifier.pause();
        bytes memory refusal =
            abi.encodeWithSelector(Governance.Unfit.selector, "never issued and holds no role", stranger);
        vm.expectRevert(refusal);
        revoking.run(stranger);
        vm.expectRevert(refusal);
        revoking.run(stranger, new bytes32[](0));
    }

    /// @dev By its serials, whatever logs the node shows.
    function test_AnIssuerThatWasRemovedIsNotRefused() external {
        _issueBatch(issuer, WITHDRAW, 1, 0);
        vm.startPrank(guardian);
        verifier.pause();
        verifier.removeIssuer(issuer);
        vm.stopPrank();
        vm.expectRevert(
            abi.encodeWithSelector(Governance.NothingToDo.selector, "paused, no issuer, and no live batch of it")
        );
        revoking.run(issuer);
    }

    function test_OneOwnerCannotRevoke() external {
        (, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 1);
        Step[] memory steps = revoking.run(issuer, _roots(root));
        SafeCall memory last = _parse(revoking, steps[2]);
        bytes memory one = _signatures(keys, _safeTxHash(safe, last), 1);
        vm.expectRevert("GS020");
        _exec(safe, last, one);
    }

    function test_WhatIsDoneOrOverIsLeftOut() external {
        (, bytes32 expired) = _issueBatch(issuer, WITHDRAW, 1, 0);
        skip(uint256(TTL) + GRACE + 1);
        (IOtpVerifier.Ticket memory used, bytes32 consumed) = _issueBatch(issuer, WITHDRAW, 1, 0);
        _verify(used);
        _consume(used);
        (, bytes32 live) = _issueBatch(issuer, WITHDRAW, 1, 0);
        vm.startPrank(guardian); // faster than the Safe
        verifier.pause();
        verifier.removeIssuer(issuer);
        vm.stopPrank();

        bytes32[] memory roots = new bytes32[](3);
        (roots[0], roots[1], roots[2]) = (expired, consumed, live);
        Step[] memory steps = revoking.run(issuer, roots);
        assertEq(steps.length, 1);
        // the batch of one keeps 79 places that no code has, so only the expired one is certainly over
        bytes32[] memory wanted = new bytes32[](2);
        (wanted[0], wanted[1]) = (consumed, live);
        assertEq(steps[0].data, abi.encodeCall(IOtpVerifier.revokeBatches, (issuer, wanted)));
    }

    function test_ACodeVerifiedAtItsLastSecondIsLiveUntilItsGraceIsOver() external {
        (, bytes32 root) = _issueBatch(issuer, WITHDRAW, 1, 0);
        skip(uint256(TTL) + GRACE);
        assertEq(revoking.run(issuer, _roots(root)).length, 3);
        skip(1);
        assertEq(revoking.run(issuer, _roots(root)).length, 2);
    }

    function test_ManyBatchesAreSeveralTransactions() external {
        bytes32[] memory roots = new bytes32[](401);
        for (uint256 i = 0; i < roots.length; ++i) {
            (, roots[i]) = _issueBatch(issuer, WITHDRAW, 1, 0);
        }
        Step[] memory steps = revoking.run(issuer, roots);
        assertEq(steps.length, 4);
        uint256 before = gasleft();
        _sign(revoking, steps[2]);
        assertLt(before - gasleft(), 10_000_000, "400 batches fit into a transaction with room to spare");
        assertNotEq(_states(issuer, roots[399]), 0);
        assertEq(_states(issuer, roots[400]), 0);
        _sign(revoking, steps[3]);
        assertNotEq(_states(issuer, roots[400]), 0);
    }

    function test_RevertWhen_TheBatchIsAnothersOrNone() external {
        (, bytes32 root) = _issueBatch(otherIssuer, WITHDRAW, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(RevokeBatches.UnknownBatch.selector, root));
        revoking.run(issuer, _roots(root));
    }

    function test_AllThreeExecuteAtOnceOnALocalChain() external {
        (IOtpVerifier.Ticket memory ticket, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 1);
        uint256[] memory two = new uint256[](2);
        (two[0], two[1]) = (keys[0], keys[1]);
        revoking.executeReady(revoking.run(issuer, _roots(root)), two);
        assertTrue(verifier.paused());
        _assertStatus(ticket, IOtpVerifier.Status.Revoked);
    }
}
