// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {Known, World} from "./World.sol";
import {Governor, Guardian, Time} from "./handlers/Governance.sol";
import {Issuers} from "./handlers/Issuers.sol";
import {Stranger} from "./handlers/Stranger.sol";
import {Consumers, Subjects} from "./handlers/Users.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The numbers are those of INVARIANTS.md, and a failure names its own.
contract InvariantsTest is Test {
    World private world;
    IVerifier private verifier;

    function setUp() external {
        vm.warp(1_700_000_000);
        address[] memory issuers = new address[](2);
        (issuers[0], issuers[1]) = (address(0x70), address(0x71));
        bytes memory initialize = abi.encodeCall(IOtpVerifier.initialize, (address(0x60), address(0x61), issuers));
        address implementation = deployCode("OtpVerifier.sol:OtpVerifier");
        // the proxy's address before it is there, so that the world sees its first event too
        verifier = IVerifier(vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1));
        world = new World(verifier);
        new ERC1967Proxy(implementation, initialize);
        vm.startPrank(address(0x60));
        verifier.setPolicy("login", IOtpVerifier.Policy(60, 300, 3, true));
        verifier.setPolicy("withdraw", IOtpVerifier.Policy(180, 300, 3, true));
        vm.stopPrank();
        world.settle(address(this), bytes4(0), address(0));

        targetContract(address(new Issuers(world)));
        targetContract(address(new Subjects(world)));
        targetContract(address(new Consumers(world)));
        targetContract(address(new Guardian(world)));
        targetContract(address(new Governor(world)));
        targetContract(address(new Stranger(world)));
        targetContract(address(new Time(world)));
    }

    /// @dev A run in which nothing happened proves nothing. A whole run has some 160 calls of the actors' own (depth 250 in
    /// foundry.toml, less those of handlers that had nothing to do), among them ten issuances, nine codes verified and six
    /// consumed on average; a shorter one is a failure that forge shrinks or replays. What is asked for here the actors see
    /// to (`_isDue`).
    function afterInvariant() external {
        if (world.calls() >= 100) {
            _happened(IOtpVerifier.verify.selector, "verify");
            _happened(IOtpVerifier.verifyFor.selector, "verifyFor");
            _happened(IOtpVerifier.consume.selector, "consume");
            _happened(IOtpVerifier.verifyAndConsume.selector, "verifyAndConsume");
            _happened(bytes4(IOtpVerifier.OtpVerified.selector), "verified");
            _happened(bytes4(IOtpVerifier.OtpConsumed.selector), "consumed");
            _happened(bytes4(IOtpVerifier.OtpRevoked.selector), "revoked");
            _happened(bytes4(IOtpVerifier.PolicySet.selector), "policies set");
            assertGe(world.copies(), 1, "copied");
        }
        _15_LifeGoesOn();
    }

    function _happened(bytes4 what, string memory name) private view {
        assertGe(world.count(what), 1, name);
    }

    /// @dev Each step reverts if it is refused.
    function _15_LifeGoesOn() private {
        (address governor, address subject, address consumer) = (address(0x60), address(0x90), address(0x80));
        vm.startPrank(governor);
        if (verifier.paused()) verifier.unpause();
        verifier.grantRole(keccak256("ISSUER_ROLE"), address(0x70));
        verifier.setPolicy("login", IOtpVerifier.Policy(60, 300, 3, true));
        vm.stopPrank();
        IOtpVerifier.Ticket memory ticket;
        (ticket.issuer, ticket.purpose) = (address(0x70), "login");
        ticket.serial = verifier.nextSerial(ticket.issuer, ticket.purpose);
        bytes32 action = keccak256(abi.encode(consumer, bytes32("payload")));
        bytes32 codeHash = keccak256("code");
        ticket.id = verifier.computeId(ticket.issuer, ticket.purpose, ticket.serial, subject, action, codeHash);
        vm.prank(ticket.issuer);
        verifier.setOtp(ticket.purpose, ticket.serial, ticket.id, type(uint64).max);
        vm.prank(subject);
        verifier.verify(ticket, action, "code");
        vm.prank(consumer);
        verifier.consume(ticket, subject, ticket.purpose, "payload", codeHash);
        assertEq(uint256(verifier.statusOf(ticket)), uint256(IOtpVerifier.Status.Consumed), "15");
    }

    /// @dev One campaign for all: forge gives each `invariant_` function the same sequences, so fourteen of them would try
    /// no more than one. Nothing that it wrote would be there after the next call: what was is the world's to remember.
    function invariant_WhatAlwaysHolds() external view {
        _1_ASerialIsUsedAtMostOnce();
        _2_ACodeIsVerifiedAndConsumedAtMostOnce();
        _3_NobodyElseVerifiesOrConsumes();
        _4_ConsumedWasVerified();
        _5_RevokedStaysRevoked();
        _6_IssuersTouchTheirOwnAlone();
        _7_NextSerialNeverFalls();
        _8_ABatchKeepsItsPolicy();
        _9_PausedMeansPaused();
        _10_EventsAndStateAgree();
        _11_NothingPassesLate();
        _12_AStrangerChangesNothing();
        _13_PoliciesAreWithinTheBounds();
        _14_WhatIsRightIsNeverRefused();
    }

    function _1_ASerialIsUsedAtMostOnce() private view {
        assertFalse(world.broken(1), "1");
    }

    function _2_ACodeIsVerifiedAndConsumedAtMostOnce() private view {
        assertFalse(world.broken(2), "2");
    }

    function _3_NobodyElseVerifiesOrConsumes() private view {
        assertFalse(world.broken(3), "3");
    }

    function _4_ConsumedWasVerified() private view {
        assertFalse(world.broken(4), "4");
    }

    /// @dev To the world what was revoked once is revoked: what it sees of a revoked code afterwards is a fault.
    function _5_RevokedStaysRevoked() private view {
        assertFalse(world.broken(5), "5");
        Known[] memory batches = world.batches();
        for (uint256 i = 0; i < batches.length; ++i) {
            (,,, uint160 states) = verifier.batchOf(batches[i].issuer, batches[i].root);
            uint160 revoked = _revoked(batches[i].states);
            assertEq(_revoked(states) & revoked, revoked, "5");
        }
    }

    /// @dev 11 is both bits: the lower one where the upper one is set as well.
    function _revoked(uint160 states) private pure returns (uint160) {
        return states & (states >> 1) & (type(uint160).max / 3);
    }

    function _6_IssuersTouchTheirOwnAlone() private view {
        assertFalse(world.broken(6), "6");
    }

    function _7_NextSerialNeverFalls() private view {
        assertFalse(world.broken(7), "7");
        for (uint160 i = 0x70; i <= 0x71; ++i) {
            assertGe(verifier.nextSerial(address(i), "login"), world.next(address(i), "login"), "7");
            assertGe(verifier.nextSerial(address(i), "withdraw"), world.next(address(i), "withdraw"), "7");
        }
    }

    function _8_ABatchKeepsItsPolicy() private view {
        assertFalse(world.broken(8), "8");
        Known[] memory batches = world.batches();
        for (uint256 i = 0; i < batches.length; ++i) {
            (uint40 expiry, uint16 grace, uint40 first,) = verifier.batchOf(batches[i].issuer, batches[i].root);
            assertEq(expiry, batches[i].expiry, "8");
            assertEq(grace, batches[i].grace, "8");
            assertEq(first, batches[i].first, "8");
        }
    }

    function _9_PausedMeansPaused() private view {
        assertFalse(world.broken(9), "9");
    }

    function _10_EventsAndStateAgree() private view {
        assertFalse(world.broken(10), "10");
        Known[] memory batches = world.batches();
        for (uint256 i = 0; i < batches.length; ++i) {
            (,,, uint160 states) = verifier.batchOf(batches[i].issuer, batches[i].root);
            assertEq(states, batches[i].states, "10: states");
        }
        for (uint160 i = 0x70; i <= 0x71; ++i) {
            assertEq(verifier.hasRole(keccak256("ISSUER_ROLE"), address(i)), world.isIssuer(address(i)), "10: role");
            assertEq(verifier.nextSerial(address(i), "login"), world.next(address(i), "login"), "10: next");
            assertEq(verifier.nextSerial(address(i), "withdraw"), world.next(address(i), "withdraw"), "10: next");
        }
        assertEq(abi.encode(verifier.policyOf("login")), abi.encode(world.policyOf("login")), "10: policy");
        assertEq(abi.encode(verifier.policyOf("withdraw")), abi.encode(world.policyOf("withdraw")), "10: policy");
        assertEq(verifier.paused(), world.paused(), "10: paused");
    }

    function _11_NothingPassesLate() private view {
        assertFalse(world.broken(11), "11");
    }

    function _12_AStrangerChangesNothing() private view {
        assertFalse(world.broken(12), "12");
    }

    function _13_PoliciesAreWithinTheBounds() private view {
        _bounded(verifier.policyOf("login"));
        _bounded(verifier.policyOf("withdraw"));
    }

    function _bounded(IOtpVerifier.Policy memory policy) private pure {
        assertTrue(policy.ttl >= 30 && policy.ttl <= 600, "13: ttl");
        assertLe(policy.grace, 3600, "13: grace");
        assertTrue(policy.maxAttempts >= 1 && policy.maxAttempts <= 5, "13: maxAttempts");
    }

    function _14_WhatIsRightIsNeverRefused() private view {
        assertFalse(world.broken(14), "14");
    }
}
