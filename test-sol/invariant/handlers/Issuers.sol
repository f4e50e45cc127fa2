// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {PlainTree} from "../../utils/PlainTree.sol";
import {Code, Known, World} from "../World.sol";
import {Actor} from "./Actor.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice How codes come about, for who issues them and for who uses them.
abstract contract Issuing is Actor {
    /// @dev A code that passes, whatever was paused, removed or disabled before.
    function _fresh(uint256 seed) internal returns (Code memory) {
        (address issuer, bytes32 purpose) = (_issuer(seed), _purpose(seed / 2));
        if (WORLD.paused()) _passes(GOVERNOR, abi.encodeCall(IOtpVerifier.unpause, ()), address(0));
        bytes memory grant = abi.encodeCall(IAccessControl.grantRole, (keccak256("ISSUER_ROLE"), issuer));
        _passes(GOVERNOR, grant, address(0));
        if (!WORLD.policyOf(purpose).enabled) {
            IOtpVerifier.Policy memory policy = IOtpVerifier.Policy(60, 300, 3, true);
            _passes(GOVERNOR, abi.encodeCall(IOtpVerifier.setPolicy, (purpose, policy)), address(0));
        }
        uint40 serial = VERIFIER.nextSerial(issuer, purpose);
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = _id(_draft(seed, purpose, serial));
        _issue(issuer, purpose, serial, ids, seed);
        return WORLD.codeOf(WORLD.codeCount() - 1);
    }

    function _issue(address issuer, bytes32 purpose, uint40 first, bytes32[] memory ids, uint256 seed) internal {
        bytes memory data = abi.encodeCall(IOtpVerifier.setOtps, (purpose, first, ids, type(uint64).max));
        if (!_call(issuer, data)) return;
        // the ends of the batch and one between are what the others try
        uint256[3] memory places = [0, ids.length - 1, seed % ids.length];
        for (uint256 i = 0; i < 3; ++i) {
            if (i > 0 && (places[i] == places[0] || (i == 2 && places[2] == places[1]))) continue;
            Code memory code = _draft(seed, purpose, first + uint40(places[i]));
            code.ticket.id = ids[places[i]];
            code.ticket.proof = PlainTree.proof(purpose, first, ids, places[i]);
            code.root = PlainTree.root(purpose, first, ids);
            WORLD.addCode(code);
        }
    }

    function _draft(uint256 seed, bytes32 purpose, uint40 serial) internal pure returns (Code memory code) {
        code.ticket.issuer = _issuer(seed);
        code.ticket.purpose = purpose;
        code.ticket.serial = serial;
        code.subject = vm.addr(_key(seed / 4));
        code.consumer = _consumer(seed / 12);
        code.payloadHash = keccak256(abi.encode("payload", seed));
        code.secret = string(abi.encodePacked("code", seed, serial));
    }

    function _id(Code memory code) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                block.chainid,
                address(VERIFIER),
                code.ticket.issuer,
                code.ticket.purpose,
                uint256(code.ticket.serial),
                code.subject,
                _action(code),
                keccak256(bytes(code.secret))
            )
        );
    }
}

/// @notice Two issuers: they issue alone and in batches, skip numbers, number wrongly, copy each other's ids, revoke.
contract Issuers is Issuing {
    constructor(World world) Actor(world) {}

    modifier catchesUp(uint256 seed) {
        if (_isDue(bytes4(IOtpVerifier.OtpRevoked.selector))) {
            Code memory code = _fresh(seed);
            _call(code.ticket.issuer, abi.encodeCall(IOtpVerifier.revoke, (_tickets(code))));
        }
        if (WORLD.calls() > 50 && WORLD.copies() == 0) _copyFresh(seed);
        _;
    }

    /// @dev What the other issuer has before a call must be there after it.
    modifier keepsTheOther(uint256 seed) {
        bytes32 before = _fingerprint(_issuer(seed ^ 1));
        _;
        if (_fingerprint(_issuer(seed ^ 1)) != before) WORLD.fault(6);
    }

    function issue(uint256 seed, uint256 size, uint256 skipped) external catchesUp(seed) keepsTheOther(seed) {
        size = seed % 7 == 0 ? bound(size, 1, 80) : bound(size, 1, 5);
        bytes32 purpose = _purpose(seed / 2);
        uint40 first = VERIFIER.nextSerial(_issuer(seed), purpose);
        first += uint40(seed % 5 == 0 ? bound(skipped, 0, 2 ** 20 + 1) : 0);
        bytes32[] memory ids = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            ids[i] = _id(_draft(seed, purpose, first + uint40(i)));
        }
        _issue(_issuer(seed), purpose, first, ids, seed);
    }

    /// @dev Numbers from the past: nothing of it may land.
    function issueAgain(uint256 seed, uint256 back) external catchesUp(seed) keepsTheOther(seed) {
        bytes32 purpose = _purpose(seed / 2);
        uint40 next = VERIFIER.nextSerial(_issuer(seed), purpose);
        if (next == 0) return;
        bytes32 id = keccak256(abi.encode(seed));
        uint40 serial = uint40(next - bound(back, 1, next));
        _call(_issuer(seed), abi.encodeCall(IOtpVerifier.setOtp, (purpose, serial, id, type(uint64).max)));
    }

    /// @dev As from the mempool: the same id, the copier's own batch.
    function copy(uint256 seed) external catchesUp(seed) keepsTheOther(seed) {
        (bool any, Code memory code) = _code(seed);
        if (any && code.ticket.issuer != _issuer(seed)) _copy(_issuer(seed), code);
    }

    function _copy(address issuer, Code memory code) private {
        uint40 next = VERIFIER.nextSerial(issuer, code.ticket.purpose);
        // a different serial would not even look right
        if (next > code.ticket.serial || code.ticket.serial - next > 2 ** 20) return;
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = code.ticket.id;
        bytes memory data =
            abi.encodeCall(IOtpVerifier.setOtp, (code.ticket.purpose, code.ticket.serial, ids[0], type(uint64).max));
        if (!_call(issuer, data)) return;
        code.ticket.issuer = issuer;
        code.ticket.proof = new bytes32[](0);
        code.root = PlainTree.leaf(code.ticket.purpose, code.ticket.serial, ids[0]);
        code.copied = true;
        WORLD.addCode(code);
    }

    function revoke(uint256 seed, uint256 which) external catchesUp(seed) keepsTheOther(seed) {
        (bool any, Code memory code) = _code(which);
        if (any && seed % 3 == 0) _call(_issuer(seed), abi.encodeCall(IOtpVerifier.revoke, (_tickets(code))));
    }

    function revokeBatch(uint256 seed, uint256 which) external catchesUp(seed) keepsTheOther(seed) {
        (bool any, Code memory code) = _code(which);
        if (!any || seed % 5 != 0) return;
        _call(_issuer(seed), abi.encodeCall(IOtpVerifier.revokeBatches, (code.ticket.issuer, _roots(code))));
    }

    /// @dev The one that is behind copies from the other, after it has come as near as that takes.
    function _copyFresh(uint256 seed) private {
        bytes32 purpose = _purpose(seed / 2);
        if (VERIFIER.nextSerial(_issuer(seed), purpose) < VERIFIER.nextSerial(_issuer(seed ^ 1), purpose)) seed ^= 1;
        _fresh(seed ^ 1); // so that it may issue
        uint40 goal = VERIFIER.nextSerial(_issuer(seed), purpose);
        uint40 next = VERIFIER.nextSerial(_issuer(seed ^ 1), purpose);
        for (; next + 2 ** 20 < goal; next += 2 ** 20) {
            bytes32 id = keccak256(abi.encode(seed, next));
            bytes memory data = abi.encodeCall(IOtpVerifier.setOtp, (purpose, next + 2 ** 20 - 1, id, type(uint64).max));
            _call(_issuer(seed ^ 1), data);
        }
        _copy(_issuer(seed ^ 1), _fresh(seed));
    }

    function _fingerprint(address issuer) private view returns (bytes32 hash) {
        hash = keccak256(abi.encode(VERIFIER.nextSerial(issuer, "login"), VERIFIER.nextSerial(issuer, "withdraw")));
        Known[] memory batches = WORLD.batches();
        for (uint256 i = 0; i < batches.length; ++i) {
            if (batches[i].issuer != issuer) continue;
            (uint40 expiry, uint16 grace, uint40 first, uint160 states) = VERIFIER.batchOf(issuer, batches[i].root);
            hash = keccak256(abi.encode(hash, expiry, grace, first, states));
        }
    }
}
