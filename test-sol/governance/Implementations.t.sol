// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Governance, Step} from "../../script/governance/Governance.sol";
import {Implementations} from "../../script/governance/Implementations.sol";
import {Rehearsal} from "../../script/governance/Rehearsal.sol";
import {Upgrade} from "../../script/governance/Upgrade.s.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {GovernanceFixture} from "./GovernanceFixture.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";

/// @notice The real implementation, but one function says yes to everybody.
contract Lax {
    address private immutable _REAL;
    bytes4 private immutable _OPEN;

    constructor(address real, bytes4 open) {
        (_REAL, _OPEN) = (real, open);
    }

    fallback(bytes calldata data) external returns (bytes memory) {
        if (msg.sig == _OPEN) return abi.encode(true);
        (bool ok, bytes memory returned) = _REAL.delegatecall(data);
        if (ok) return returned;
        assembly ("memory-safe") {
            revert(add(returned, 0x20), mload(returned))
        }
    }
}

/// @notice What Upgrade and RollBack share, without what each of them refuses beside.
contract Changing is Implementations {
    function run(address implementation) external returns (Step[] memory) {
        return _change("change", implementation, false);
    }

    function run(address implementation, bool presentIsBroken) external returns (Step[] memory) {
        return _change("change", implementation, presentIsBroken);
    }
}

/// @notice What is refused before anybody is asked to sign it.
contract ImplementationsTest is GovernanceFixture {
    Changing private changing;
    address private next;

    bytes32 private constant INITIALIZABLE = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;
    bytes32 private constant LOCATION = 0x2080fb54add3e565ec7b7c80c5bcce9568748794d6d11dfafa00d339439f5800;

    function setUp() public override {
        super.setUp();
        changing = new Changing();
        changing.use(deployOut);
        next = new Upgrade().deploy();
    }

    function _expectUnfit(string memory what, address account) private {
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, what, account));
    }

    function _expectFails(string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(Rehearsal.Fails.selector, what));
    }

    function test_RevertWhen_ItIsAProxy() external {
        _expectUnfit("implementation is itself a proxy", address(this));
        vm.store(address(this), ERC1967Utils.IMPLEMENTATION_SLOT, bytes32(uint256(uint160(next))));
        changing.run(address(this));
    }

    function test_RevertWhen_AnybodyCanInitializeIt() external {
        vm.store(next, INITIALIZABLE, 0);
        _expectUnfit("implementation can be initialized by anybody", next);
        changing.run(next);
    }

    function test_RevertWhen_TheProxysAdminIsAnother() external {
        vm.store(d.verifier, ERC1967Utils.ADMIN_SLOT, bytes32(uint256(uint160(stranger))));
        _expectUnfit("the proxy's admin is another than DEPLOY_OUT's", stranger);
        changing.run(next);
    }

    function test_RevertWhen_TheTimelockDoesNotOwnTheProxyAdmin() external {
        vm.prank(d.timelock);
        Ownable(d.proxyAdmin).transferOwnership(stranger);
        _expectUnfit("the proxy admin's owner is not the timelock", stranger);
        changing.run(next);
    }

    function test_RevertWhen_TheMajorVersionIsAnother() external {
        _patch("1.0.0", "2.0.0");
        vm.expectRevert(abi.encodeWithSelector(Implementations.OtherMajorVersion.selector, "1.0.0", "2.0.0"));
        changing.run(next);
    }

    function test_RevertWhen_TheStorageLayoutMoved() external {
        _patch(abi.encodePacked(LOCATION), abi.encodePacked(LOCATION ^ bytes32(uint256(0x100))));
        _expectFails("batches, serials, policies, roles or domain read otherwise");
        changing.run(next);
    }

    function test_RevertWhen_ARoleHasAnotherName() external {
        bytes32 role = keccak256("GOVERNOR_ROLE");
        _patch(abi.encodePacked(role), abi.encodePacked(keccak256("OWNER_ROLE")));
        _expectFails("batches, serials, policies, roles or domain read otherwise");
        changing.run(next);
    }

    function test_RevertWhen_AGateStandsOpen() external {
        (address verifying, address governing) =
            (_lax(IOtpVerifier.verify.selector), _lax(IOtpVerifier.setPolicy.selector));
        address consuming = _lax(IOtpVerifier.consume.selector);
        _expectFails("a wrong code verifies");
        changing.run(verifying);
        _expectFails("anybody governs");
        changing.run(governing);
        _expectFails("a verified code is not consumed once");
        changing.run(consuming);
    }

    function test_TheRehearsalLeavesNothingBehind() external {
        _pause();
        changing.run(next);
        assertTrue(verifier.paused());
        assertEq(_implementationOf(), d.implementation);
        assertFalse(verifier.policyOf("rehearsal").enabled);
    }

    /// @dev What cannot be asked any more must not stand in the way of the way back.
    function test_ABrokenImplementationIsRolledBack() external {
        (IOtpVerifier.Ticket memory ticket,) = _issueBatch(issuer, WITHDRAW, 3, 1);
        vm.store(d.verifier, ERC1967Utils.IMPLEMENTATION_SLOT, bytes32(uint256(uint160(next))));
        vm.etch(next, hex"fe");
        vm.expectRevert();
        changing.run(d.implementation);

        _pass(changing, changing.run(d.implementation, true));
        assertEq(_implementationOf(), d.implementation);
        _verify(ticket);

        // and not to something that does not work either
        address lax = _lax(IOtpVerifier.verify.selector);
        _expectFails("a verified code is not consumed");
        changing.run(lax, true);
    }

    function _lax(bytes4 open) private returns (address lax) {
        lax = address(new Lax(d.implementation, open));
        vm.store(lax, INITIALIZABLE, bytes32(uint256(type(uint64).max)));
    }

    /// @dev Puts other bytes in the place of these in the next implementation's code.
    function _patch(bytes memory from, bytes memory to) private {
        string memory code = vm.toString(next.code);
        string memory patched = vm.replace(code, _hex(from), _hex(to));
        assertNotEq(patched, code, "nothing to patch");
        vm.etch(next, vm.parseBytes(patched));
    }

    function _hex(bytes memory data) private pure returns (string memory) {
        return vm.replace(vm.toString(data), "0x", "");
    }
}
