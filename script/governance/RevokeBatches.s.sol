// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Step} from "./Governance.sol";
import {Issuers} from "./Issuers.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {Vm} from "forge-std/Vm.sol";

/// @title RevokeBatches
/// @notice For a stolen issuer key: pauses, takes the issuer's role, and revokes its live codes, each at once. What is done
/// already is left out, so it is run until there is nothing to do; `Unpause` ends the incident.
/// @dev The order matters: while it is paused nobody issues or uses a code, so that no batch appears behind the list.
contract RevokeBatches is Issuers {
    /// @notice No batch of this issuer has this root.
    error UnknownBatch(bytes32 root);

    /// @dev Some 8,000 gas each: far below what one transaction may use.
    uint256 private constant ROOTS_A_STEP = 400;

    /// @dev The lower bit of each code's two.
    uint160 private constant LOW_BITS = type(uint160).max / 3;

    /// @notice Revokes what the logs since FROM_BLOCK (the deployment's by default) show as the issuer's and live. A code
    /// lives 70 minutes at most (ttl and grace at their bounds), so on a node that limits the range the blocks of that time
    /// are enough.
    function run(address issuer) external connected returns (Step[] memory) {
        bytes32[] memory roots = _rootsOf(issuer);
        if (roots.length == 0) _checkWasIssuer(issuer);
        return _end(issuer, _live(issuer, roots));
    }

    /// @notice Revokes these batches of the issuer, as far as they are live.
    function run(address issuer, bytes32[] calldata roots) external connected returns (Step[] memory) {
        for (uint256 i = 0; i < roots.length; ++i) {
            (uint40 expiry,,,) = IOtpVerifier(verifier).batchOf(issuer, roots[i]);
            if (expiry == 0) revert UnknownBatch(roots[i]);
        }
        if (roots.length == 0) _checkWasIssuer(issuer);
        return _end(issuer, _live(issuer, roots));
    }

    function _end(address issuer, bytes32[] memory roots) private returns (Step[] memory) {
        bool pausing = !PausableUpgradeable(verifier).paused();
        bool removing = _issues(issuer);
        uint256 revocations = (roots.length + ROOTS_A_STEP - 1) / ROOTS_A_STEP;
        uint256 size = (pausing ? 1 : 0) + (removing ? 1 : 0) + revocations;
        if (size == 0) revert NothingToDo("paused, no issuer, and no live batch of it");

        Step[] memory steps = new Step[](size);
        uint256 at = 0;
        if (pausing) {
            steps[at++] = _step("pause", "Stops issuing and using codes.", abi.encodeCall(IOtpVerifier.pause, ()));
        }
        if (removing) {
            string memory what = string.concat("Issuer ", vm.toString(issuer), " issues no more.");
            steps[at++] = _step("remove-issuer", what, abi.encodeCall(IOtpVerifier.removeIssuer, (issuer)));
        }
        for (uint256 i = 0; i < revocations; ++i) {
            steps[at++] = _revocation(issuer, roots, i);
        }
        return _atOnce(steps);
    }

    function _revocation(address issuer, bytes32[] memory roots, uint256 i) private view returns (Step memory) {
        uint256 left = roots.length - i * ROOTS_A_STEP;
        bytes32[] memory part = _slice(roots, i * ROOTS_A_STEP, left < ROOTS_A_STEP ? left : ROOTS_A_STEP);
        return _step(
            string.concat("revoke-batches-", vm.toString(i + 1)),
            string.concat("Revokes ", vm.toString(part.length), " live batches of ", vm.toString(issuer), "."),
            abi.encodeCall(IOtpVerifier.revokeBatches, (issuer, part))
        );
    }

    function _step(string memory name, string memory description, bytes memory data)
        private
        view
        returns (Step memory)
    {
        return Step({name: name, description: description, to: verifier, data: data, after_: 0});
    }

    /// @dev Of one issuance each, so none twice.
    function _rootsOf(address issuer) private returns (bytes32[] memory roots) {
        bytes32[] memory topics = new bytes32[](1);
        topics[0] = IOtpVerifier.OtpBatchSet.selector;
        Vm.EthGetLogs[] memory logs = _logs(_fromBlock(), verifier, topics);
        roots = new bytes32[](logs.length);
        uint256 size = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (address(uint160(uint256(logs[i].topics[2]))) == issuer) roots[size++] = logs[i].topics[1];
        }
        return _slice(roots, 0, size);
    }

    /// @dev Those in which a code could still be verified or consumed. A place that no code has counts as issued, since the
    /// chain does not store how many there are.
    function _live(address issuer, bytes32[] memory roots) private view returns (bytes32[] memory live) {
        live = new bytes32[](roots.length);
        uint256 size = 0;
        for (uint256 i = 0; i < roots.length; ++i) {
            (uint40 expiry, uint16 grace,, uint160 states) = IOtpVerifier(verifier).batchOf(issuer, roots[i]);
            // each place consumed (10) or revoked (11): its upper bit is set
            bool over = (states >> 1) & LOW_BITS == LOW_BITS;
            // the verifier compares with the same clock
            // forge-lint: disable-next-line(block-timestamp)
            if (!over && uint256(expiry) + grace >= block.timestamp) live[size++] = roots[i];
        }
        return _slice(live, 0, size);
    }

    function _slice(bytes32[] memory list, uint256 from, uint256 size) private pure returns (bytes32[] memory part) {
        part = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            part[i] = list[from + i];
        }
    }
}
