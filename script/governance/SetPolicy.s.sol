// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Governance, Step} from "./Governance.sol";

/// @title SetPolicy
/// @notice Changes what holds for the codes of one purpose, behind the delay: purpose, ttl and grace in seconds, wrong
/// digits per request, whether codes are issued. Codes issued before keep what they got.
///
///     … SetPolicy.s.sol --sig 'run(string,uint32,uint16,uint8,bool)' withdraw 90 300 3 true
contract SetPolicy is Governance {
    /// @notice A purpose has 1 to 31 bytes.
    error BadPurpose(string purpose);
    /// @notice Two signatures and a delay would be spent on a call that reverts: ttl 30..600, grace 0..3600, attempts 1..5.
    error OutOfBounds(uint32 ttl, uint16 grace, uint8 maxAttempts);

    /// @notice Two transactions.
    function run(string calldata purpose, uint32 ttl, uint16 grace, uint8 maxAttempts, bool enabled)
        external
        connected
        returns (Step[] memory)
    {
        uint256 length = bytes(purpose).length;
        if (length == 0 || length > 31) revert BadPurpose(purpose);
        if (ttl < 30 || ttl > 600 || grace > 3600 || maxAttempts == 0 || maxAttempts > 5) {
            revert OutOfBounds(ttl, grace, maxAttempts);
        }
        IOtpVerifier.Policy memory policy =
            IOtpVerifier.Policy({ttl: ttl, grace: grace, maxAttempts: maxAttempts, enabled: enabled});
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes32 key = bytes32(bytes(purpose)); // at most 31 bytes
        if (keccak256(abi.encode(policy)) == keccak256(abi.encode(IOtpVerifier(verifier).policyOf(key)))) {
            revert NothingToDo("the policy is this already");
        }
        return _throughTimelock(
            string.concat("set-policy-", purpose),
            string.concat("Sets the policy of ", purpose, ": ttl ", vm.toString(ttl), " s."),
            verifier,
            abi.encodeCall(IOtpVerifier.setPolicy, (key, policy))
        );
    }
}
