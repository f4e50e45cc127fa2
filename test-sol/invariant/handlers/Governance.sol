// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../../utils/IVerifier.sol";
import {Code, World} from "../World.sol";
import {Actor} from "./Actor.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice What protects. It acts seldom, or nothing would ever be used.
contract Guardian is Actor {
    constructor(World world) Actor(world) {}

    /// @dev By chance alone one run in forty would see no pause.
    function pause(uint256 seed) external {
        if (seed % 4 == 0 || _isDue(bytes4(IVerifier.Paused.selector))) {
            _call(GUARDIAN, abi.encodeCall(IOtpVerifier.pause, ()));
        }
    }

    function revoke(uint256 which, uint256 seed) external {
        (bool any, Code memory code) = _code(which);
        if (any && seed % 3 == 0) _call(GUARDIAN, abi.encodeCall(IOtpVerifier.revoke, (_tickets(code))));
    }

    function revokeBatch(uint256 which, uint256 seed) external {
        (bool any, Code memory code) = _code(which);
        if (!any || seed % 5 != 0) return;
        _call(GUARDIAN, abi.encodeCall(IOtpVerifier.revokeBatches, (code.ticket.issuer, _roots(code))));
    }

    function removeIssuer(uint256 seed) external {
        if (seed % 6 == 0) _call(GUARDIAN, abi.encodeCall(IOtpVerifier.removeIssuer, (_issuer(seed / 6))));
    }
}

/// @notice What loosens: policies within and out of the bounds, roles, the end of a pause.
contract Governor is Actor {
    constructor(World world) Actor(world) {}

    modifier catchesUp() {
        IOtpVerifier.Policy memory policy = IOtpVerifier.Policy(60, 300, 3, true);
        if (_isDue(bytes4(IOtpVerifier.PolicySet.selector))) {
            _call(GOVERNOR, abi.encodeCall(IOtpVerifier.setPolicy, ("login", policy)));
        }
        _;
    }

    function setPolicy(uint256 seed, uint32 ttl, uint16 grace, uint8 attempts) external catchesUp {
        if (seed % 8 == 1) {
            (ttl, grace, attempts) = (20 + ttl % 600, grace % 3700, attempts % 7); // about the bounds
        } else if (seed % 8 > 1) {
            (ttl, grace, attempts) = (30 + ttl % 571, grace % 3601, 1 + attempts % 5);
        }
        IOtpVerifier.Policy memory policy =
            IOtpVerifier.Policy({ttl: ttl, grace: grace, maxAttempts: attempts, enabled: seed % 16 != 0});
        _call(GOVERNOR, abi.encodeCall(IOtpVerifier.setPolicy, (_purpose(seed), policy)));
    }

    function unpause() external catchesUp {
        _call(GOVERNOR, abi.encodeCall(IOtpVerifier.unpause, ()));
    }

    function restoreIssuer(uint256 seed) external catchesUp {
        _call(GOVERNOR, abi.encodeCall(IAccessControl.grantRole, (keccak256("ISSUER_ROLE"), _issuer(seed))));
    }
}

/// @notice Time goes on: mostly by less than a code lives, now and then past everything.
contract Time is Actor {
    constructor(World world) Actor(world) {}

    function pass(uint256 secondsLong, uint256 seed) external {
        vm.warp(block.timestamp + bound(secondsLong, 0, seed % 8 == 0 ? 5000 : 20));
    }
}
