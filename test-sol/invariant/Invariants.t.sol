// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {Known, World} from "./World.sol";
import {Governor, Guardian, Stranger, Time} from "./handlers/Governance.sol";
import {Issuers} from "./handlers/Issuers.sol";
import {Consumers, Subjects} from "./handlers/Users.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The numbers are those of INVARIANTS.md.
contract InvariantsTest is Test {
    World private world;
    IVerifier private verifier;

    /// @dev What 5 was broken by is gone from the state, so what was seen revoked is kept here.
    mapping(uint256 batch => uint160) private revoked;
    mapping(address issuer => mapping(bytes32 purpose => uint256)) private nextSeen;

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

    /// @dev A run in which little happened proves little. A whole run has some 160 calls of the actors' own (depth 250 in
    /// foundry.toml, less those of handlers that had nothing to do); a shorter one is a failure that forge shrinks or replays.
    function afterInvariant() external view {
        if (world.calls() < 100) return;
        assertGe(world.count(bytes4(IOtpVerifier.OtpBatchSet.selector)), 3, "issued");
        assertGe(world.count(bytes4(IOtpVerifier.OtpVerified.selector)), 2, "verified");
        assertGe(world.count(bytes4(IOtpVerifier.OtpConsumed.selector)), 1, "consumed");
        uint256 codes = world.count(bytes4(IOtpVerifier.OtpRevoked.selector));
        assertGe(codes + world.count(bytes4(IOtpVerifier.OtpBatchRevoked.selector)), 1, "revoked");
        assertGe(world.count(bytes4(IOtpVerifier.PolicySet.selector)), 3, "policies set");
        assertGe(world.count(bytes4(IVerifier.Paused.selector)), 1, "paused");
    }

    function invariant_1_ASerialIsUsedAtMostOnce() external view {
        assertFalse(world.broken(1));
    }

    function invariant_2_ACodeIsVerifiedAndConsumedAtMostOnce() external view {
        assertFalse(world.broken(2));
    }

    function invariant_3_NobodyElseVerifiesOrConsumes() external view {
        assertFalse(world.broken(3));
    }

    function invariant_4_ConsumedWasVerified() external view {
        assertFalse(world.broken(4));
    }

    function invariant_5_RevokedStaysRevoked() external {
        assertFalse(world.broken(5));
        Known[] memory batches = world.batches();
        for (uint256 i = 0; i < batches.length; ++i) {
            (,,, uint160 states) = verifier.batchOf(batches[i].issuer, batches[i].root);
            // 11 is both bits: the lower one where the upper one is set as well
            uint160 both = states & (states >> 1) & (type(uint160).max / 3);
            assertEq(both & revoked[i], revoked[i]);
            revoked[i] = both;
        }
    }

    function invariant_6_IssuersTouchTheirOwnAlone() external view {
        assertFalse(world.broken(6));
    }

    function invariant_7_NextSerialNeverFalls() external {
        assertFalse(world.broken(7));
        for (uint160 i = 0x70; i <= 0x71; ++i) {
            _seen(address(i), "login");
            _seen(address(i), "withdraw");
        }
    }

    function _seen(address issuer, bytes32 purpose) private {
        uint256 next = verifier.nextSerial(issuer, purpose);
        assertGe(next, nextSeen[issuer][purpose]);
        nextSeen[issuer][purpose] = next;
    }

    function invariant_8_ABatchKeepsItsPolicy() external view {
        assertFalse(world.broken(8));
        Known[] memory batches = world.batches();
        for (uint256 i = 0; i < batches.length; ++i) {
            (uint40 expiry, uint16 grace, uint40 first,) = verifier.batchOf(batches[i].issuer, batches[i].root);
            assertEq(expiry, batches[i].expiry);
            assertEq(grace, batches[i].grace);
            assertEq(first, batches[i].first);
        }
    }

    function invariant_9_PausedMeansPaused() external view {
        assertFalse(world.broken(9));
    }

    function invariant_10_EventsAndStateAgree() external view {
        assertFalse(world.broken(10));
        Known[] memory batches = world.batches();
        for (uint256 i = 0; i < batches.length; ++i) {
            (,,, uint160 states) = verifier.batchOf(batches[i].issuer, batches[i].root);
            assertEq(states, batches[i].states, "states");
        }
        for (uint160 i = 0x70; i <= 0x71; ++i) {
            assertEq(verifier.hasRole(keccak256("ISSUER_ROLE"), address(i)), world.isIssuer(address(i)), "role");
            assertEq(verifier.nextSerial(address(i), "login"), world.next(address(i), "login"), "next");
            assertEq(verifier.nextSerial(address(i), "withdraw"), world.next(address(i), "withdraw"), "next");
        }
        assertEq(abi.encode(verifier.policyOf("login")), abi.encode(world.policyOf("login")), "policy");
        assertEq(abi.encode(verifier.policyOf("withdraw")), abi.encode(world.policyOf("withdraw")), "policy");
        assertEq(verifier.paused(), world.paused(), "paused");
    }

    function invariant_11_NothingPassesLate() external view {
        assertFalse(world.broken(11));
    }

    function invariant_12_AStrangerChangesNothing() external view {
        assertFalse(world.broken(12));
    }

    function invariant_13_PoliciesAreWithinTheBounds() external view {
        _bounded(verifier.policyOf("login"));
        _bounded(verifier.policyOf("withdraw"));
    }

    function _bounded(IOtpVerifier.Policy memory policy) private pure {
        assertTrue(policy.ttl >= 30 && policy.ttl <= 600, "ttl");
        assertLe(policy.grace, 3600, "grace");
        assertTrue(policy.maxAttempts >= 1 && policy.maxAttempts <= 5, "maxAttempts");
    }

    function invariant_14_WhatIsRightIsNeverRefused() external view {
        assertFalse(world.broken(14));
    }
}
