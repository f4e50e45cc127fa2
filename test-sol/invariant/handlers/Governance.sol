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
        bool due = WORLD.calls() > 50 && WORLD.count(bytes4(IVerifier.Paused.selector)) == 0;
        if (seed % 4 == 0 || due) _call(GUARDIAN, abi.encodeCall(IOtpVerifier.pause, ()));
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
        if (seed % 8 == 1) {
            (ttl, grace, attempts) = (20 + ttl % 600, grace % 3700, attempts % 7); // about the bounds
        } else if (seed % 8 > 1) {
            (ttl, grace, attempts) = (30 + ttl % 571, grace % 3601, 1 + attempts % 5);
        }
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

    /// @dev Every function of the ABI that changes state, each with arguments that are right for who may call it.
    function tryEverything(uint256 which, uint256 seed) external {
        for (uint256 state = 0; state < 2; ++state) {
            (bool any, Code memory code) = _codeIn(state, which);
            if (any) _tryCode(code);
        }
        _tryIssuing(_purpose(seed));
        _tryGoverning(_purpose(seed), _issuer(seed));
        _tryRoles(_issuer(seed));
    }

    function _tryCode(Code memory code) private {
        (bytes32 purpose, bytes32 action, uint64 never) = (code.ticket.purpose, _action(code), type(uint64).max);
        bytes32 codeHash = keccak256(bytes(code.secret));
        _try(abi.encodeCall(IOtpVerifier.verify, (code.ticket, action, code.secret)));
        _try(abi.encodeCall(IOtpVerifier.verifyFor, (code.subject, code.ticket, action, code.secret, never, "")));
        _try(abi.encodeCall(IOtpVerifier.consume, (code.ticket, code.subject, purpose, code.payloadHash, codeHash)));
        _try(
            abi.encodeCall(
                IOtpVerifier.verifyAndConsume, (code.ticket, code.subject, purpose, code.payloadHash, code.secret)
            )
        );
        _try(abi.encodeCall(IOtpVerifier.revoke, (_tickets(code))));
        _try(abi.encodeCall(IOtpVerifier.revokeBatches, (code.ticket.issuer, _roots(code))));
    }

    function _tryIssuing(bytes32 purpose) private {
        uint40 serial = VERIFIER.nextSerial(STRANGER, purpose);
        bytes32[] memory ids = new bytes32[](1);
        _try(abi.encodeCall(IOtpVerifier.setOtp, (purpose, serial, ids[0], type(uint64).max)));
        _try(abi.encodeCall(IOtpVerifier.setOtps, (purpose, serial, ids, type(uint64).max)));
    }

    function _tryGoverning(bytes32 purpose, address issuer) private {
        _try(abi.encodeCall(IOtpVerifier.initialize, (STRANGER, STRANGER, new address[](0))));
        _try(abi.encodeCall(IOtpVerifier.setPolicy, (purpose, IOtpVerifier.Policy(60, 300, 3, true))));
        _try(abi.encodeCall(IOtpVerifier.removeIssuer, (issuer)));
        _try(abi.encodeCall(IOtpVerifier.pause, ()));
        _try(abi.encodeCall(IOtpVerifier.unpause, ()));
    }

    /// @dev Its own role it may renounce, since it has none: that passes and does nothing. Another's it may not.
    function _tryRoles(address issuer) private {
        bytes32[4] memory roles =
            [bytes32(0), keccak256("GOVERNOR_ROLE"), keccak256("GUARDIAN_ROLE"), keccak256("ISSUER_ROLE")];
        address[4] memory holders = [GOVERNOR, GOVERNOR, GUARDIAN, issuer];
        for (uint256 i = 0; i < 4; ++i) {
            _try(abi.encodeCall(IAccessControl.grantRole, (roles[i], STRANGER)));
            _try(abi.encodeCall(IAccessControl.revokeRole, (roles[i], holders[i])));
            _try(abi.encodeCall(IAccessControl.renounceRole, (roles[i], holders[i])));
        }
    }

    function _try(bytes memory data) private {
        if (_passes(STRANGER, data, address(0))) WORLD.fault(12);
    }
}

/// @notice Time goes on: mostly by less than a code lives, now and then past everything.
contract Time is Actor {
    constructor(World world) Actor(world) {}

    function pass(uint256 secondsLong, uint256 seed) external {
        vm.warp(block.timestamp + bound(secondsLong, 0, seed % 8 == 0 ? 5000 : 20));
    }
}
