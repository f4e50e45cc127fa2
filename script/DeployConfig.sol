// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../src-sol/interfaces/IOtpVerifier.sol";
import {Vm} from "forge-std/Vm.sol";

/// @dev A purpose's policy as the file says it. `waiver` says that a value outside of what is recommended is meant.
struct PolicyConfig {
    string purpose;
    uint256 ttl;
    uint256 grace;
    uint256 maxAttempts;
    bool enabled;
    bool waiver;
}

/// @dev One network's deployment. Times in seconds.
/// @param owners The Safe's owners.
/// @param threshold How many of them sign, 2 at least.
/// @param delay The timelock's delay: 24 h at least, 10 s on a local chain; 30 days at most.
/// @param guardian Holds GUARDIAN_ROLE beside the Safe: the faster one.
/// @param issuers Hold ISSUER_ROLE; the second and on are standby.
/// @param policies For login, withdraw, keys and roles at least.
/// @param vault Whether to deploy the example vault.
struct DeployConfig {
    address[] owners;
    uint256 threshold;
    uint256 delay;
    address guardian;
    address[] issuers;
    PolicyConfig[] policies;
    bool vault;
}

/// @title DeployConfigs
/// @notice Reads a deployment from JSON (script/config/local.json is an example with every key but a policy's optional
/// `waiver`) and refuses what is unsafe.
library DeployConfigs {
    /// @notice Not a key of the file; a mistyped one would be passed over otherwise.
    error UnknownKey(string key);
    /// @notice One signature must never be enough.
    error ThresholdTooLow(uint256 threshold);
    /// @notice No Safe can ask for more signatures than it has owners.
    error ThresholdTooHigh(uint256 threshold, uint256 owners);
    /// @notice Shorter than anybody could react to.
    error DelayTooShort(uint256 delay, uint256 floor);
    /// @notice Above 30 days: only after as many could it be changed, and no upgrade could come before.
    error DelayTooLong(uint256 delay, uint256 ceiling);
    /// @notice `what` is zero, or not the only one of its kind.
    error BadAddress(string what, address account);
    /// @notice The account would hold two powers that are kept apart: owners, guardian, issuers and the deployer share
    /// nobody.
    error RolesOverlap(string what, string with, address account);
    /// @notice Everybody has this account's key: it is one of those that development chains begin with.
    error WellKnownKey(address account);
    /// @notice Nobody could issue codes.
    error NoIssuer();
    /// @notice A policy that every deployment has is not there.
    error PolicyMissing(string purpose);
    /// @notice A purpose has 1 to 31 bytes.
    error BadPurpose(string purpose);
    /// @notice The purpose has two policies.
    error PolicyTwice(string purpose);
    /// @notice Outside of 30..180 s without `"waiver": true`; outside of 30..600 s in any case.
    error UnsafeTtl(string purpose, uint256 ttl);
    /// @notice Above 3600 s.
    error UnsafeGrace(string purpose, uint256 grace);
    /// @notice More than 3 without `"waiver": true`; 0 or more than 5 in any case.
    error UnsafeMaxAttempts(string purpose, uint256 maxAttempts);

    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 private constant LOCAL_CHAIN = 31_337;
    uint256 private constant LONGEST_DELAY = 30 days;

    /// @dev What anvil and Hardhat derive their accounts from: script/config/local.json names some of them.
    string private constant WELL_KNOWN = "test test test test test test test test test test test junk";
    uint32 private constant WELL_KNOWN_ACCOUNTS = 20;

    function parse(string memory json) internal view returns (DeployConfig memory config) {
        _checkKeys(json, "$", "owners threshold delay guardian issuers policies vault");
        config.owners = VM.parseJsonAddressArray(json, ".owners");
        config.threshold = VM.parseJsonUint(json, ".threshold");
        config.delay = VM.parseJsonUint(json, ".delay");
        config.guardian = VM.parseJsonAddress(json, ".guardian");
        config.issuers = VM.parseJsonAddressArray(json, ".issuers");
        config.vault = VM.parseJsonBool(json, ".vault");

        uint256 size = 0;
        while (VM.keyExistsJson(json, _policyPath(size))) ++size;
        config.policies = new PolicyConfig[](size);
        for (uint256 i = 0; i < size; ++i) {
            config.policies[i] = _parsePolicy(json, _policyPath(i));
        }
    }

    function _parsePolicy(string memory json, string memory path) private view returns (PolicyConfig memory policy) {
        _checkKeys(json, path, "purpose ttl grace maxAttempts enabled waiver");
        policy.purpose = VM.parseJsonString(json, string.concat(path, ".purpose"));
        policy.ttl = VM.parseJsonUint(json, string.concat(path, ".ttl"));
        policy.grace = VM.parseJsonUint(json, string.concat(path, ".grace"));
        policy.maxAttempts = VM.parseJsonUint(json, string.concat(path, ".maxAttempts"));
        policy.enabled = VM.parseJsonBool(json, string.concat(path, ".enabled"));
        string memory waiver = string.concat(path, ".waiver");
        policy.waiver = VM.keyExistsJson(json, waiver) && VM.parseJsonBool(json, waiver);
    }

    function _policyPath(uint256 index) private pure returns (string memory) {
        return string.concat(".policies[", VM.toString(index), "]");
    }

    function _checkKeys(string memory json, string memory path, string memory known) private pure {
        string[] memory keys = VM.parseJsonKeys(json, path);
        string[] memory names = VM.split(known, " ");
        for (uint256 i = 0; i < keys.length; ++i) {
            bool found = false;
            for (uint256 j = 0; j < names.length; ++j) {
                found = found || _same(keys[i], names[j]);
            }
            if (!found) revert UnknownKey(keys[i]);
        }
    }

    /// @notice Reverts with what is unsafe.
    function check(DeployConfig memory config, address deployer) internal view {
        check(config);
        _checkOutside("deployer", deployer, "owner", config.owners);
        _checkOutside("deployer", deployer, "issuer", config.issuers);
        if (deployer == config.guardian) revert RolesOverlap("deployer", "guardian", deployer);
        if (block.chainid != LOCAL_CHAIN && _isKnown(deployer)) revert WellKnownKey(deployer);
    }

    /// @notice The same without a deployer, who holds nothing once the deployment is done.
    function check(DeployConfig memory config) internal view {
        if (config.threshold < 2) revert ThresholdTooLow(config.threshold);
        if (config.threshold > config.owners.length) revert ThresholdTooHigh(config.threshold, config.owners.length);
        uint256 floor = block.chainid == LOCAL_CHAIN ? 10 seconds : 24 hours;
        if (config.delay < floor) revert DelayTooShort(config.delay, floor);
        if (config.delay > LONGEST_DELAY) revert DelayTooLong(config.delay, LONGEST_DELAY);

        if (config.guardian == address(0)) revert BadAddress("guardian", address(0));
        if (config.issuers.length == 0) revert NoIssuer();
        _checkDistinct("owner", config.owners);
        _checkDistinct("issuer", config.issuers);
        _checkOutside("guardian", config.guardian, "owner", config.owners);
        _checkOutside("guardian", config.guardian, "issuer", config.issuers);
        for (uint256 i = 0; i < config.issuers.length; ++i) {
            _checkOutside("issuer", config.issuers[i], "owner", config.owners);
        }
        if (block.chainid != LOCAL_CHAIN) _checkNobodyKnows(config);
        _checkPolicies(config.policies);
    }

    function _checkNobodyKnows(DeployConfig memory config) private pure {
        for (uint32 i = 0; i < WELL_KNOWN_ACCOUNTS; ++i) {
            address known = VM.addr(VM.deriveKey(WELL_KNOWN, i));
            bool used = known == config.guardian || _isAmong(config.owners, known) || _isAmong(config.issuers, known);
            if (used) revert WellKnownKey(known);
        }
    }

    function _isKnown(address account) private pure returns (bool known) {
        for (uint32 i = 0; i < WELL_KNOWN_ACCOUNTS; ++i) {
            known = known || VM.addr(VM.deriveKey(WELL_KNOWN, i)) == account;
        }
    }

    function _isAmong(address[] memory accounts, address account) private pure returns (bool) {
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (accounts[i] == account) return true;
        }
        return false;
    }

    function _checkDistinct(string memory what, address[] memory accounts) private pure {
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (accounts[i] == address(0)) revert BadAddress(what, accounts[i]);
            for (uint256 j = 0; j < i; ++j) {
                if (accounts[i] == accounts[j]) revert BadAddress(what, accounts[i]);
            }
        }
    }

    function _checkOutside(string memory what, address account, string memory group, address[] memory accounts)
        private
        pure
    {
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (accounts[i] == account) revert RolesOverlap(what, group, account);
        }
    }

    function _checkPolicies(PolicyConfig[] memory policies) private pure {
        string[4] memory needed = ["login", "withdraw", "keys", "roles"];
        for (uint256 n = 0; n < needed.length; ++n) {
            bool found = false;
            for (uint256 i = 0; i < policies.length; ++i) {
                found = found || _same(policies[i].purpose, needed[n]);
            }
            if (!found) revert PolicyMissing(needed[n]);
        }
        for (uint256 i = 0; i < policies.length; ++i) {
            checkPolicy(policies[i]);
            for (uint256 j = 0; j < i; ++j) {
                if (_same(policies[i].purpose, policies[j].purpose)) revert PolicyTwice(policies[i].purpose);
            }
        }
    }

    /// @notice Reverts with what is unsafe in one policy, whether a deployment or a vote sets it.
    function checkPolicy(PolicyConfig memory p) internal pure {
        uint256 length = bytes(p.purpose).length;
        if (length == 0 || length > 31) revert BadPurpose(p.purpose);
        if (p.ttl < 30 || p.ttl > (p.waiver ? 600 : 180)) revert UnsafeTtl(p.purpose, p.ttl);
        if (p.grace > 3600) revert UnsafeGrace(p.purpose, p.grace);
        if (p.maxAttempts == 0 || p.maxAttempts > (p.waiver ? 5 : 3)) {
            revert UnsafeMaxAttempts(p.purpose, p.maxAttempts);
        }
    }

    /// @notice All four values of a policy.
    function words(IOtpVerifier.Policy memory policy) internal pure returns (string memory) {
        return string.concat(
            "ttl ",
            VM.toString(policy.ttl),
            " s, grace ",
            VM.toString(policy.grace),
            " s, ",
            VM.toString(policy.maxAttempts),
            policy.enabled ? " attempts, enabled" : " attempts, disabled"
        );
    }

    function _same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
