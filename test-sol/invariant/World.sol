// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {CommonBase} from "forge-std/Base.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice A code that actors try, and what its issuer knows of it.
struct Code {
    IOtpVerifier.Ticket ticket;
    bytes32 root;
    address subject;
    address consumer;
    bytes32 payloadHash;
    string secret;
    bool copied; // its id was copied from another issuer, so nobody can use it
}

/// @notice What is known of a batch from its event and the policy then.
struct Known {
    address issuer;
    bytes32 root;
    bytes32 purpose;
    uint256 first;
    uint256 size;
    uint256 expiry;
    uint256 grace;
    uint160 states;
}

/// @notice The ghost state: what the verifier's events say, call by call, and each promise that a call broke.
contract World is CommonBase {
    IVerifier public immutable VERIFIER;

    Code[] private _codes;
    Known[] private _batches;

    // where a code lies: batch number + 1 and place
    mapping(address issuer => mapping(bytes32 id => uint256)) public batchAt;
    mapping(address issuer => mapping(bytes32 id => uint256)) public placeOf;
    mapping(address issuer => mapping(bytes32 root => uint256)) private _batchOf;
    mapping(address issuer => mapping(bytes32 id => uint256)) private _codeAt;

    mapping(address issuer => mapping(bytes32 purpose => mapping(uint256 serial => bool))) private _taken;
    mapping(address issuer => mapping(bytes32 purpose => uint256)) public next;
    mapping(address issuer => mapping(bytes32 id => uint256)) private _verified;
    mapping(address issuer => mapping(bytes32 id => uint256)) private _consumed;
    mapping(bytes32 purpose => IOtpVerifier.Policy) private _policies;
    mapping(address account => bool) public isIssuer;
    bool public paused;

    /// @notice How often what happened, by the event's topic, and a use by the function too: what a run has to reach. What
    /// was there before the first call does not count.
    mapping(bytes4 what => uint256) public count;
    /// @notice How many ids were copied from another issuer.
    uint256 public copies;
    /// @notice How many calls actors made of their own, without those that only ask whether a call is refused.
    uint256 public calls;
    /// @notice The numbers of INVARIANTS.md that a call broke.
    mapping(uint256 number => bool) public broken;

    constructor(IVerifier verifier) {
        VERIFIER = verifier;
        vm.recordLogs();
    }

    function addCode(Code calldata code) external {
        _codes.push(code);
        if (code.copied) ++copies;
        _codeAt[code.ticket.issuer][code.ticket.id] = _codes.length;
    }

    function codeCount() external view returns (uint256) {
        return _codes.length;
    }

    function codeOf(uint256 number) external view returns (Code memory) {
        return _codes[number];
    }

    /// @notice The batch that the id lies in.
    function batchWith(address issuer, bytes32 id) external view returns (Known memory) {
        return _batches[batchAt[issuer][id] - 1];
    }

    function batches() external view returns (Known[] memory) {
        return _batches;
    }

    function policyOf(bytes32 purpose) external view returns (IOtpVerifier.Policy memory) {
        return _policies[purpose];
    }

    function countCall() external {
        ++calls;
    }

    function fault(uint256 number) public {
        broken[number] = true;
    }

    function stateOf(IOtpVerifier.Ticket calldata ticket) external view returns (uint256) {
        Known storage known = _batches[batchAt[ticket.issuer][ticket.id] - 1];
        return (known.states / 4 ** placeOf[ticket.issuer][ticket.id]) % 4;
    }

    /// @notice Takes in what the call of `caller` logged. `signer` signed what it carried, if anything.
    function settle(address caller, bytes4 selector, address signer) external {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(VERIFIER)) _take(logs[i], caller, selector, signer);
        }
    }

    function _take(Vm.Log memory log, address caller, bytes4 selector, address signer) private {
        bytes32 topic = log.topics[0];
        _count(bytes4(topic));
        if (topic == IOtpVerifier.OtpBatchSet.selector) {
            _batchSet(log, caller);
        } else if (topic == IOtpVerifier.OtpSet.selector) {
            _otpSet(log);
        } else if (topic == IOtpVerifier.OtpVerified.selector) {
            _otpVerified(log, caller, selector, signer);
        } else if (topic == IOtpVerifier.OtpConsumed.selector) {
            _otpConsumed(log, caller, selector);
        } else if (topic == IOtpVerifier.OtpRevoked.selector) {
            _set(_address(log.topics[2]), log.topics[1], 3);
        } else if (topic == IOtpVerifier.OtpBatchRevoked.selector) {
            _batchRevoked(log);
        } else if (topic == IOtpVerifier.PolicySet.selector) {
            _policies[log.topics[1]] = abi.decode(log.data, (IOtpVerifier.Policy));
        } else if (topic == IVerifier.Paused.selector) {
            paused = true;
        } else if (topic == IVerifier.Unpaused.selector) {
            paused = false;
        } else if (topic == IAccessControl.RoleGranted.selector) {
            _role(log, true);
        } else if (topic == IAccessControl.RoleRevoked.selector) {
            _role(log, false);
        }
    }

    function _count(bytes4 what) private {
        if (calls > 0) ++count[what];
    }

    function _role(Vm.Log memory log, bool granted) private {
        if (log.topics[1] == keccak256("ISSUER_ROLE")) isIssuer[_address(log.topics[2])] = granted;
    }

    function _batchSet(Vm.Log memory log, address caller) private {
        (address issuer, bytes32 purpose) = (_address(log.topics[2]), log.topics[3]);
        (uint256 first, uint256 size, uint256 expiry) = abi.decode(log.data, (uint256, uint256, uint256));
        if (paused) fault(9);
        if (issuer != caller) fault(6);
        IOtpVerifier.Policy memory policy = _policies[purpose];
        if (expiry != block.timestamp + policy.ttl || !policy.enabled) fault(8);
        for (uint256 serial = first; serial < first + size; ++serial) {
            if (_taken[issuer][purpose][serial]) fault(1);
            _taken[issuer][purpose][serial] = true;
        }
        if (first + size <= next[issuer][purpose]) fault(7);
        next[issuer][purpose] = first + size;
        _batches.push(Known(issuer, log.topics[1], purpose, first, size, expiry, policy.grace, 0));
        _batchOf[issuer][log.topics[1]] = _batches.length;
    }

    /// @dev Belongs to the batch event before it.
    function _otpSet(Vm.Log memory log) private {
        Known storage known = _batches[_batches.length - 1];
        if (known.root != log.topics[2]) fault(10);
        batchAt[known.issuer][log.topics[1]] = _batches.length;
        placeOf[known.issuer][log.topics[1]] = abi.decode(log.data, (uint256)) - known.first;
    }

    function _otpVerified(Vm.Log memory log, address caller, bytes4 selector, address signer) private {
        (address issuer,) = abi.decode(log.data, (address, bytes32));
        bytes32 id = log.topics[1];
        _count(selector);
        uint256 at = _codeAt[issuer][id];
        if (at == 0) return fault(3);
        Code storage code = _codes[at - 1];
        bool right = _address(log.topics[2]) == code.subject && !code.copied
            && log.topics[3] == keccak256(abi.encode(code.consumer, code.payloadHash));
        if (selector == IOtpVerifier.verify.selector) right = right && caller == code.subject;
        else if (selector == IOtpVerifier.verifyFor.selector) right = right && signer == code.subject;
        else right = right && selector == IOtpVerifier.verifyAndConsume.selector && caller == code.consumer;
        if (!right) fault(3);
        if (++_verified[issuer][id] > 1) fault(2);
        if (paused) fault(9);
        if (block.timestamp > _batches[batchAt[issuer][id] - 1].expiry) fault(11);
        _set(issuer, id, 1);
    }

    function _otpConsumed(Vm.Log memory log, address caller, bytes4 selector) private {
        (address issuer,) = abi.decode(log.data, (address, bytes32));
        bytes32 id = log.topics[1];
        if (selector == IOtpVerifier.consume.selector) _count(selector);
        if (_verified[issuer][id] != 1) fault(4);
        if (++_consumed[issuer][id] > 1) fault(2);
        if (_address(log.topics[3]) != caller || _codes[_codeAt[issuer][id] - 1].consumer != caller) fault(3);
        if (paused) fault(9);
        Known storage known = _batches[batchAt[issuer][id] - 1];
        if (block.timestamp > known.expiry + known.grace) fault(11);
        _set(issuer, id, 2);
    }

    function _batchRevoked(Vm.Log memory log) private {
        Known storage known = _batches[_batchOf[_address(log.topics[2])][log.topics[1]] - 1];
        for (uint256 place = 0; place < 80; ++place) {
            uint160 one = uint160(4 ** place);
            if ((known.states / one) % 4 != 2) known.states |= 3 * one;
        }
    }

    function _set(address issuer, bytes32 id, uint160 state) private {
        Known storage known = _batches[batchAt[issuer][id] - 1];
        uint160 one = uint160(4 ** placeOf[issuer][id]);
        uint160 old = (known.states / one) % 4;
        if (old == 3) fault(5);
        known.states = known.states - old * one + state * one;
    }

    function _address(bytes32 word) private pure returns (address) {
        return address(uint160(uint256(word)));
    }
}
