// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Code, World} from "../World.sol";
import {Actor} from "./Actor.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice Knows every code and may do nothing.
contract Stranger is Actor {
    /// @dev The functions that change state, from the committed ABI, which `script/snapshots.mjs` holds to the build.
    bytes4[] private _functions;

    constructor(World world) Actor(world) {
        string[] memory entries = vm.parseJsonStringArray(vm.readFile("test-sol/snapshots/abi.json"), "");
        for (uint256 i = 0; i < entries.length; ++i) {
            string[] memory words = vm.split(entries[i], " ");
            bytes32 mutability = keccak256(bytes(words[words.length - 1]));
            bool changes = mutability == keccak256("nonpayable") || mutability == keccak256("payable");
            if (keccak256(bytes(words[0])) == keccak256("function") && changes) {
                _functions.push(bytes4(keccak256(bytes(words[1]))));
            }
        }
        require(_functions.length > 0, "no function in the ABI changes state");
    }

    /// @dev Every one of them, each with arguments that are right for who may call it: on a code that is issued, and on one
    /// that is verified.
    function tryEverything(uint256 which, uint256 seed) external {
        for (uint256 state = 0; state < 2; ++state) {
            (, Code memory code) = _codeIn(state, which);
            for (uint256 i = 0; i < _functions.length; ++i) {
                bytes[] memory attempts = _attempts(_functions[i], code, seed);
                require(attempts.length > 0, string.concat("no attempt at ", vm.toString(bytes32(_functions[i]))));
                for (uint256 j = 0; j < attempts.length; ++j) {
                    require(bytes4(attempts[j]) == _functions[i], "an attempt at another function");
                    if (_passes(STRANGER, attempts[j], address(0))) WORLD.fault(12);
                }
            }
        }
    }

    /// @dev None for a function that nobody thought of here, which fails the run.
    function _attempts(bytes4 f, Code memory code, uint256 seed) private view returns (bytes[] memory attempts) {
        if (
            f == IAccessControl.grantRole.selector || f == IAccessControl.revokeRole.selector
                || f == IAccessControl.renounceRole.selector
        ) return _onRoles(f, _issuer(seed));
        bytes memory attempt = _onCode(f, code);
        if (attempt.length == 0) attempt = _onIssuing(f, _purpose(seed));
        if (attempt.length == 0) attempt = _onGoverning(f, _purpose(seed), _issuer(seed));
        if (attempt.length == 0) return attempts;
        attempts = new bytes[](1);
        attempts[0] = attempt;
    }

    function _onCode(bytes4 f, Code memory code) private pure returns (bytes memory) {
        (bytes32 purpose, bytes32 action, uint64 never) = (code.ticket.purpose, _action(code), type(uint64).max);
        if (f == IOtpVerifier.verify.selector) {
            return abi.encodeCall(IOtpVerifier.verify, (code.ticket, action, code.secret));
        }
        if (f == IOtpVerifier.verifyFor.selector) {
            return abi.encodeCall(IOtpVerifier.verifyFor, (code.subject, code.ticket, action, code.secret, never, ""));
        }
        if (f == IOtpVerifier.consume.selector) {
            bytes32 codeHash = keccak256(bytes(code.secret));
            return
                abi.encodeCall(IOtpVerifier.consume, (code.ticket, code.subject, purpose, code.payloadHash, codeHash));
        }
        if (f == IOtpVerifier.verifyAndConsume.selector) {
            return abi.encodeCall(
                IOtpVerifier.verifyAndConsume, (code.ticket, code.subject, purpose, code.payloadHash, code.secret)
            );
        }
        if (f == IOtpVerifier.revoke.selector) return abi.encodeCall(IOtpVerifier.revoke, (_tickets(code)));
        if (f == IOtpVerifier.revokeBatches.selector) {
            return abi.encodeCall(IOtpVerifier.revokeBatches, (code.ticket.issuer, _roots(code)));
        }
        return "";
    }

    function _onIssuing(bytes4 f, bytes32 purpose) private view returns (bytes memory) {
        uint40 serial = VERIFIER.nextSerial(STRANGER, purpose);
        bytes32[] memory ids = new bytes32[](1);
        if (f == IOtpVerifier.setOtp.selector) {
            return abi.encodeCall(IOtpVerifier.setOtp, (purpose, serial, ids[0], type(uint64).max));
        }
        if (f == IOtpVerifier.setOtps.selector) {
            return abi.encodeCall(IOtpVerifier.setOtps, (purpose, serial, ids, type(uint64).max));
        }
        return "";
    }

    function _onGoverning(bytes4 f, bytes32 purpose, address issuer) private pure returns (bytes memory) {
        if (f == IOtpVerifier.initialize.selector) {
            return abi.encodeCall(IOtpVerifier.initialize, (STRANGER, STRANGER, new address[](0)));
        }
        if (f == IOtpVerifier.setPolicy.selector) {
            return abi.encodeCall(IOtpVerifier.setPolicy, (purpose, IOtpVerifier.Policy(60, 300, 3, true)));
        }
        if (f == IOtpVerifier.removeIssuer.selector) return abi.encodeCall(IOtpVerifier.removeIssuer, (issuer));
        if (f == IOtpVerifier.pause.selector) return abi.encodeCall(IOtpVerifier.pause, ());
        if (f == IOtpVerifier.unpause.selector) return abi.encodeCall(IOtpVerifier.unpause, ());
        return "";
    }

    /// @dev On every role: given to itself, taken from or renounced for who holds it. Its own, of which it has none, it may
    /// renounce: that passes and does nothing.
    function _onRoles(bytes4 f, address issuer) private pure returns (bytes[] memory attempts) {
        bytes32[4] memory roles =
            [bytes32(0), keccak256("GOVERNOR_ROLE"), keccak256("GUARDIAN_ROLE"), keccak256("ISSUER_ROLE")];
        address[4] memory holders = [GOVERNOR, GOVERNOR, GUARDIAN, issuer];
        attempts = new bytes[](4);
        for (uint256 i = 0; i < 4; ++i) {
            address account = f == IAccessControl.grantRole.selector ? STRANGER : holders[i];
            attempts[i] = abi.encodeWithSelector(f, roles[i], account);
        }
    }
}
