// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../../utils/IVerifier.sol";
import {Code, World} from "../World.sol";
import {CommonBase} from "forge-std/Base.sol";
import {StdUtils} from "forge-std/StdUtils.sol";

/// @notice What every actor's handler has: the world, a way to call that never reverts, and names for everybody.
abstract contract Actor is CommonBase, StdUtils {
    World internal immutable WORLD;
    IVerifier internal immutable VERIFIER;

    address internal constant GOVERNOR = address(0x60);
    address internal constant GUARDIAN = address(0x61);
    address internal constant STRANGER = address(0x62);

    constructor(World world) {
        WORLD = world;
        VERIFIER = world.VERIFIER();
    }

    function _issuer(uint256 seed) internal pure returns (address) {
        return address(uint160(0x70 + seed % 2));
    }

    function _consumer(uint256 seed) internal pure returns (address) {
        return address(uint160(0x80 + seed % 2));
    }

    function _key(uint256 seed) internal pure returns (uint256) {
        return 0xa11ce + seed % 3;
    }

    function _purpose(uint256 seed) internal pure returns (bytes32) {
        return seed % 3 == 0 ? bytes32("login") : bytes32("withdraw");
    }

    function _call(address caller, bytes memory data) internal returns (bool) {
        return _call(caller, data, address(0));
    }

    function _call(address caller, bytes memory data, address signer) internal returns (bool ok) {
        WORLD.countCall();
        return _passes(caller, data, signer);
    }

    /// @dev For a call that has to be refused: it is settled like any other, but does not count as something done.
    function _passes(address caller, bytes memory data, address signer) internal returns (bool ok) {
        vm.recordLogs(); // each call of a sequence starts without
        vm.prank(caller);
        (ok,) = address(VERIFIER).call(data);
        WORLD.settle(caller, bytes4(data), signer);
    }

    /// @dev By chance alone now and then a run would miss something that each has to reach. Who can bring it about does so
    /// when it is late, whichever of its functions is called.
    function _isDue(bytes4 what) internal view returns (bool) {
        return WORLD.calls() > 50 && WORLD.count(what) == 0;
    }

    /// @dev Half of the time one of the newest: the older ones are dead.
    function _code(uint256 seed) internal view returns (bool any, Code memory code) {
        uint256 count = WORLD.codeCount();
        if (count == 0) return (false, code);
        uint256 recent = count < 6 ? count : 6;
        uint256 number = seed % 2 == 0 ? count - 1 - (seed / 2) % recent : (seed / 2) % count;
        return (true, WORLD.codeOf(number));
    }

    /// @dev The newest code in this state, or any: by chance alone a code is seldom used to its end.
    function _codeIn(uint256 state, uint256 seed) internal view returns (bool any, Code memory code) {
        uint256 count = WORLD.codeCount();
        for (uint256 i = count; seed % 4 != 0 && i > 0 && count - i < 12; --i) {
            code = WORLD.codeOf(i - 1);
            if (!code.copied && WORLD.stateOf(code.ticket) == state) return (true, code);
        }
        return _code(seed);
    }

    function _live(Code memory code) internal view returns (bool) {
        if (WORLD.paused() || code.copied || WORLD.stateOf(code.ticket) != 0) return false;
        return block.timestamp <= WORLD.batchWith(code.ticket.issuer, code.ticket.id).expiry;
    }

    function _action(Code memory code) internal pure returns (bytes32) {
        return keccak256(abi.encode(code.consumer, code.payloadHash));
    }

    function _tickets(Code memory code) internal pure returns (IOtpVerifier.Ticket[] memory list) {
        list = new IOtpVerifier.Ticket[](1);
        list[0] = code.ticket;
    }

    function _roots(Code memory code) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = code.root;
    }
}
