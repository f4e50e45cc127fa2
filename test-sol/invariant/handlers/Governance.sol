// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Code, World} from "../World.sol";
import {Actor} from "./Actor.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice What protects. It acts seldom, or nothing would ever be used.
contract Guardian is Actor {
    constructor(World world) Actor(world) {}

    function pause(uint256 seed) external {
        if (seed % 4 == 0) _call(GUARDIAN, abi.encodeCall(IOtpVerifier.pause, ()));
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

    function setPolicy(uint256 seed, uint32 ttl, uint16 grace, uint8 attempts) external {
        if (seed % 4 != 0) (ttl, grace, attempts) = (20 + ttl % 600, grace % 3700, attempts % 7);
        IOtpVerifier.Policy memory policy =
            IOtpVerifier.Policy({ttl: ttl, grace: grace, maxAttempts: attempts, enabled: seed % 16 != 0});
        _call(GOVERNOR, abi.encodeCall(IOtpVerifier.setPolicy, (_purpose(seed), policy)));
    }

    function unpause() external {
        _call(GOVERNOR, abi.encodeCall(IOtpVerifier.unpause, ()));
    }

    function restoreIssuer(uint256 seed) external {
        _call(GOVERNOR, abi.encodeCall(IAccessControl.grantRole, (keccak256("ISSUER_ROLE"), _issuer(seed))));
    }
}

/// @notice Knows every code and may do nothing.
contract Stranger is Actor {
    constructor(World world) Actor(world) {}

    function tryEverything(uint256 which, uint256 seed) external {
        (bool any, Code memory code) = _code(which);
        if (!any) return;
        bytes32 purpose = code.ticket.purpose;
        bytes32 codeHash = keccak256(bytes(code.secret));
        bytes32[] memory ids = new bytes32[](1);
        IOtpVerifier.Policy memory policy = IOtpVerifier.Policy(60, 300, 3, true);
        bytes[13] memory calls = [
            abi.encodeCall(IOtpVerifier.verify, (code.ticket, _action(code), code.secret)),
            abi.encodeCall(
                IOtpVerifier.verifyFor, (code.subject, code.ticket, _action(code), code.secret, type(uint64).max, "")
            ),
            abi.encodeCall(IOtpVerifier.consume, (code.ticket, code.subject, purpose, code.payloadHash, codeHash)),
            abi.encodeCall(
                IOtpVerifier.verifyAndConsume, (code.ticket, code.subject, purpose, code.payloadHash, code.secret)
            ),
            abi.encodeCall(IOtpVerifier.revoke, (_tickets(code))),
            abi.encodeCall(IOtpVerifier.revokeBatches, (code.ticket.issuer, _roots(code))),
            abi.encodeCall(IOtpVerifier.setOtp, (purpose, 2 ** 19, codeHash, type(uint64).max)),
            abi.encodeCall(IOtpVerifier.setOtps, (purpose, 2 ** 19, ids, type(uint64).max)),
            abi.encodeCall(IOtpVerifier.setPolicy, (purpose, policy)),
            abi.encodeCall(IOtpVerifier.removeIssuer, (code.ticket.issuer)),
            abi.encodeCall(IOtpVerifier.pause, ()),
            abi.encodeCall(IOtpVerifier.unpause, ()),
            abi.encodeCall(IAccessControl.grantRole, (bytes32(0), STRANGER))
        ];
        if (_call(STRANGER, calls[seed % 13])) WORLD.fault(12);
    }
}

/// @notice Time goes on: mostly by less than a code lives, now and then past everything.
contract Time is Actor {
    constructor(World world) Actor(world) {}

    function pass(uint256 secondsLong, uint256 seed) external {
        vm.warp(block.timestamp + bound(secondsLong, 0, seed % 8 == 0 ? 5000 : 20));
    }
}
