// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GatedKeys} from "../src-sol/examples/GatedKeys.sol";
import {IOtpVerifier} from "../src-sol/interfaces/IOtpVerifier.sol";
import {GasBase} from "./Gas.t.sol";
import {GuardFixture} from "./unit/guard/GuardFixture.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @notice What a gate costs whoever builds on it: both ways of OtpGated, the verifier behind its proxy.
/// forge-config: default.isolate = true
contract GasGatedTest is GasBase {
    GatedKeys private gated;
    bytes32 private constant KEYS = "keys";

    function setUp() public override {
        super.setUp();
        gated = new GatedKeys(verifier);
        vm.prank(governor);
        verifier.setPolicy(KEYS, _policy(TTL, GRACE, 3, true));
        _changeWithCode(0); // the first change pays for the slots of key and nonce
    }

    function _prefix() internal pure override returns (string memory) {
        return "gated ";
    }

    function _issueChange(uint256 nonce) private returns (IOtpVerifier.Ticket memory) {
        bytes32 id = _id(issuer, KEYS, uint40(nonce), subject, gated.actionOf(_key(nonce), nonce), CODE);
        vm.prank(issuer);
        verifier.setOtp(KEYS, uint40(nonce), id, type(uint64).max);
        return _ticket(issuer, KEYS, uint40(nonce), _roots(id), 0);
    }

    function _key(uint256 nonce) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(nonce)))));
    }

    function _changeWithCode(uint256 nonce) private {
        IOtpVerifier.Ticket memory ticket = _issueChange(nonce);
        vm.prank(subject);
        gated.changeKeyWithCode(_key(nonce), ticket, CODE);
    }

    function test_OneStep() external {
        _changeWithCode(1);
        _measure("one step");
    }

    function test_TwoSteps() external {
        IOtpVerifier.Ticket memory ticket = _issueChange(1);
        bytes32 action = gated.actionOf(_key(1), 1);
        vm.prank(subject);
        verifier.verify(ticket, action, CODE);
        _measure("two steps, verify");
        vm.prank(subject);
        gated.changeKey(_key(1), ticket, _hash(CODE));
        _measure("two steps, consume");
    }
}

/// @notice What the guard costs a 2-of-3 Safe that pays ether.
/// forge-config: default.isolate = true
contract GasGuardTest is GasBase, GuardFixture {
    function setUp() public override(GuardFixture, Fixture) {
        super.setUp();
        deal(to, 1 wei); // paying an account that never was costs 25,000 more
    }

    function _prefix() internal pure override returns (string memory) {
        return "guard ";
    }

    function test_Approved() external {
        _approve(_safeTxHash(safe, _payment(1 ether)));
        _measure("approve");
        _execute(_payment(1 ether));
        _measure("execute approved");
    }

    function test_WithinTheLimit() external {
        _approveAndExecute(_configure(subject, 5 ether));
        _execute(_payment(1 ether)); // the day's first pays for the slots
        _execute(_payment(1 ether));
        _measure("execute within limit");
    }

    function test_WithoutAGuard() external {
        (address[] memory owners,) = _ownerKeys();
        safe = _deploySafe(owners, 2);
        deal(address(safe), 10 ether);
        _execute(_payment(1 ether));
        _execute(_payment(1 ether));
        _measure("none, execute");
    }
}
