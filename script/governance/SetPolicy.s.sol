// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {DeployConfigs, PolicyConfig} from "../DeployConfig.sol";
import {Governance, Step} from "./Governance.sol";

/// @title SetPolicy
/// @notice Changes what holds for the codes of one purpose, behind the delay: purpose, ttl and grace in seconds, wrong
/// digits per request, whether codes are issued. Codes issued before keep what they got.
///
///     … SetPolicy.s.sol --sig 'run(string,uint32,uint16,uint8,bool)' withdraw 90 300 3 true
contract SetPolicy is Governance {
    /// @notice Two transactions, within a deployment's limits: ttl 30..180, grace 0..3600, attempts 1..3.
    function run(string calldata purpose, uint32 ttl, uint16 grace, uint8 maxAttempts, bool enabled)
        external
        connected
        returns (Step[] memory)
    {
        return _set(purpose, IOtpVerifier.Policy(ttl, grace, maxAttempts, enabled), false);
    }

    /// @notice The same with the contract's own limits, ttl 30..600 and attempts 1..5, when `waiver` says that it is meant.
    function run(string calldata purpose, uint32 ttl, uint16 grace, uint8 maxAttempts, bool enabled, bool waiver)
        external
        connected
        returns (Step[] memory)
    {
        return _set(purpose, IOtpVerifier.Policy(ttl, grace, maxAttempts, enabled), waiver);
    }

    function _set(string memory purpose, IOtpVerifier.Policy memory policy, bool waiver)
        private
        returns (Step[] memory)
    {
        DeployConfigs.checkPolicy(
            PolicyConfig(purpose, policy.ttl, policy.grace, policy.maxAttempts, policy.enabled, waiver)
        );
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes32 key = bytes32(bytes(purpose)); // at most 31 bytes
        IOtpVerifier.Policy memory present = IOtpVerifier(verifier).policyOf(key);
        if (keccak256(abi.encode(policy)) == keccak256(abi.encode(present))) {
            revert NothingToDo("the policy is this already");
        }
        return _throughTimelock(
            string.concat("set-policy-", purpose),
            string.concat(
                "Sets the policy of ",
                purpose,
                " to ",
                DeployConfigs.words(policy),
                present.ttl == 0
                    ? ". A new purpose."
                    : string.concat("; at present ", DeployConfigs.words(present), "."),
                waiver ? " Waives what is recommended." : ""
            ),
            verifier,
            abi.encodeCall(IOtpVerifier.setPolicy, (key, policy))
        );
    }
}
