// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Code, Known, World} from "../World.sol";
import {Actor} from "./Actor.sol";
import {Issuing} from "./Issuers.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @notice What subjects and consumers share: whatever they use, they try to use again.
abstract contract User is Issuing {
    /// @dev Whether it passed the first time. The same call at once is never good twice, whether it passed or not: by
    /// chance alone the same code is seldom tried again while it lives.
    function _useTwice(address caller, bytes memory data, address signer) internal returns (bool ok) {
        ok = _call(caller, data, signer);
        if (_passes(caller, data, signer)) WORLD.fault(2);
    }

    /// @dev As above for a code of this world, which is then tried by every other way that is closed to it now.
    function _useUp(Code memory code, address caller, bytes memory data, address signer) internal returns (bool ok) {
        ok = _useTwice(caller, data, signer);
        uint256 state = WORLD.stateOf(code.ticket);
        if (state > 0 && _passes(code.subject, _verifyCall(code), address(0))) WORLD.fault(2);
        if (state > 0 && _passes(code.consumer, _verifyAndConsumeCall(code), address(0))) WORLD.fault(2);
        if (state > 1 && _passes(code.consumer, _consumeCall(code, code.ticket.purpose), address(0))) WORLD.fault(2);
    }

    function _verifyCall(Code memory code) internal pure returns (bytes memory) {
        return abi.encodeCall(IOtpVerifier.verify, (code.ticket, _action(code), code.secret));
    }

    function _consumeCall(Code memory code, bytes32 purpose) internal pure returns (bytes memory) {
        bytes32 codeHash = keccak256(bytes(code.secret));
        return abi.encodeCall(IOtpVerifier.consume, (code.ticket, code.subject, purpose, code.payloadHash, codeHash));
    }

    function _verifyAndConsumeCall(Code memory code) internal pure returns (bytes memory) {
        return abi.encodeCall(
            IOtpVerifier.verifyAndConsume,
            (code.ticket, code.subject, code.ticket.purpose, code.payloadHash, code.secret)
        );
    }
}

/// @notice Subjects: they verify their own codes and try those of others, with right and wrong codes.
contract Subjects is User {
    constructor(World world) Actor(world) {}

    modifier catchesUp(uint256 seed) {
        if (_isDue(IOtpVerifier.verify.selector)) _verify(_fresh(seed));
        if (_isDue(IOtpVerifier.verifyFor.selector)) _verifyFor(_fresh(seed), _key(seed / 4), uint64(block.timestamp));
        _;
    }

    function verify(uint256 which) external catchesUp(which) {
        (bool any, Code memory code) = _codeIn(0, which);
        if (any) _verify(code);
    }

    function _verify(Code memory code) private {
        bool live = _live(code);
        if (_useUp(code, code.subject, _verifyCall(code), address(0)) != live) WORLD.fault(14);
    }

    /// @dev Another subject, or a wrong code, action or proof.
    function verifyWrongly(uint256 which, uint256 seed) external catchesUp(seed) {
        (bool any, Code memory code) = _code(which);
        if (!any) return;
        address caller = code.subject;
        bytes32 action = _action(code);
        if (seed % 5 == 0) caller = vm.addr(_key(seed / 5));
        if (seed % 5 == 1) code.secret = "482913";
        if (seed % 5 == 2) action = keccak256(abi.encode(address(0), code.payloadHash));
        if (seed % 5 == 3) code.ticket.serial += 1;
        if (seed % 5 == 4) code.ticket.issuer = _issuer(seed / 5);
        _useTwice(caller, abi.encodeCall(IOtpVerifier.verify, (code.ticket, action, code.secret)), address(0));
    }

    /// @dev A third of the time signed by who may sign it.
    function verifyFor(uint256 which, uint256 seed) external catchesUp(seed) {
        (bool any, Code memory code) = _codeIn(0, which);
        if (any) _verifyFor(code, _key(seed), uint64(block.timestamp + seed % 2));
    }

    function _verifyFor(Code memory code, uint256 key, uint64 deadline) private {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Verify(bytes32 id,bytes32 action,uint64 deadline)"), code.ticket.id, _action(code), deadline
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, MessageHashUtils.toTypedDataHash(_domain(), structHash));
        bool expected = _live(code) && vm.addr(key) == code.subject;
        bytes memory data = abi.encodeCall(
            IOtpVerifier.verifyFor,
            (code.subject, code.ticket, _action(code), code.secret, deadline, abi.encodePacked(r, s, v))
        );
        if (_useUp(code, STRANGER, data, vm.addr(key)) != expected) WORLD.fault(14);
    }

    function _domain() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OtpVerifier"),
                keccak256("1"),
                block.chainid,
                address(VERIFIER)
            )
        );
    }
}

/// @notice Two contracts that spend codes: those that name them, and those that do not.
contract Consumers is User {
    constructor(World world) Actor(world) {}

    modifier catchesUp(uint256 seed) {
        if (_isDue(IOtpVerifier.consume.selector)) {
            Code memory code = _fresh(seed);
            _call(code.subject, _verifyCall(code));
            _consume(code);
        }
        if (_isDue(IOtpVerifier.verifyAndConsume.selector)) {
            Code memory code = _fresh(seed);
            _verifyAndConsume(code, code.consumer);
        }
        _;
    }

    function consume(uint256 which) external catchesUp(which) {
        (bool any, Code memory code) = _codeIn(1, which);
        if (any) _consume(code);
    }

    function _consume(Code memory code) private {
        bool expected = _spendable(code);
        bytes memory data = _consumeCall(code, code.ticket.purpose);
        if (_useUp(code, code.consumer, data, address(0)) != expected) WORLD.fault(14);
    }

    function consumeWrongly(uint256 which, uint256 seed) external catchesUp(seed) {
        (bool any, Code memory code) = _code(which);
        if (!any) return;
        bytes32 purpose = code.ticket.purpose;
        address caller = code.consumer;
        if (seed % 4 == 0) caller = _consumer(seed / 4);
        if (seed % 4 == 1) purpose = _purpose(seed / 4);
        if (seed % 4 == 2) code.subject = vm.addr(_key(seed / 4));
        if (seed % 4 == 3) code.secret = "482913";
        _useTwice(caller, _consumeCall(code, purpose), address(0));
    }

    function verifyAndConsume(uint256 which, uint256 seed) external catchesUp(seed) {
        (bool any, Code memory code) = _codeIn(0, which);
        if (any) _verifyAndConsume(code, seed % 4 == 0 ? _consumer(seed / 4) : code.consumer);
    }

    function _verifyAndConsume(Code memory code, address caller) private {
        bool expected = _live(code) && caller == code.consumer;
        if (_useUp(code, caller, _verifyAndConsumeCall(code), address(0)) != expected) WORLD.fault(14);
    }

    function _spendable(Code memory code) private view returns (bool) {
        if (WORLD.paused() || code.copied || WORLD.stateOf(code.ticket) != 1) return false;
        Known memory batch = WORLD.batchWith(code.ticket.issuer, code.ticket.id);
        return block.timestamp <= batch.expiry + batch.grace;
    }
}
