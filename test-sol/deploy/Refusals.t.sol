// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Deploy} from "../../script/Deploy.s.sol";
import {DeployConfig, DeployConfigs, PolicyConfig} from "../../script/DeployConfig.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {DeployFixture} from "./DeployFixture.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice What the script refuses to deploy, each with its error.
contract RefusalsTest is DeployFixture {
    function _expectRefused(bytes memory error) private {
        vm.expectRevert(error);
        script.deploy(config, deployer);
    }

    function test_RevertWhen_OneSignatureIsEnough() external {
        config.threshold = 1;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.ThresholdTooLow.selector, 1));
    }

    function test_RevertWhen_TheThresholdIsAboveTheOwners() external {
        config.threshold = 4;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.ThresholdTooHigh.selector, 4, 3));
    }

    function test_RevertWhen_TheDelayIsUnderTheFloor() external {
        config.delay = 9;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.DelayTooShort.selector, 9, 10));
        vm.chainId(1);
        config.delay = 24 hours - 1;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.DelayTooShort.selector, 24 hours - 1, 24 hours));
        config.delay = 24 hours;
        _withKeysOfTheirOwn();
        script.deploy(config, deployer);
    }

    function test_RevertWhen_TheDelayIsAboveThirtyDays() external {
        config.delay = 30 days + 1;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.DelayTooLong.selector, 30 days + 1, 30 days));
        config.delay = 30 days;
        script.deploy(config, deployer);
    }

    function _withKeysOfTheirOwn() private {
        config.guardian = makeAddr("guardian");
        (config.issuers[0], config.issuers[1]) = (makeAddr("issuer"), makeAddr("standby"));
    }

    function test_RevertWhen_EverybodyHasAKeyOfARealDeployment() external {
        address known = config.issuers[0]; // one of anvil's, as script/config/local.json has them
        script.deploy(config, deployer);
        vm.chainId(1);
        config.delay = 24 hours;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.WellKnownKey.selector, known));
        _withKeysOfTheirOwn();
        config.owners[2] = known;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.WellKnownKey.selector, known));
        config.owners[2] = makeAddr("another owner");
        address guardian = config.guardian;
        config.guardian = known;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.WellKnownKey.selector, known));
        config.guardian = guardian;
        deployer = known;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.WellKnownKey.selector, known));
    }

    function test_RevertWhen_AnIssuerIsAnOwner() external {
        config.issuers[1] = config.owners[2];
        _expectRefused(_overlap("issuer", "owner", config.owners[2]));
    }

    function test_RevertWhen_TheGuardianIsAnOwner() external {
        config.guardian = config.owners[0];
        _expectRefused(_overlap("guardian", "owner", config.owners[0]));
    }

    function test_RevertWhen_TheGuardianIsAnIssuer() external {
        config.guardian = config.issuers[0];
        _expectRefused(_overlap("guardian", "issuer", config.issuers[0]));
    }

    function test_RevertWhen_TheDeployerKeepsAPower() external {
        deployer = config.owners[1];
        _expectRefused(_overlap("deployer", "owner", deployer));
        deployer = config.issuers[1];
        _expectRefused(_overlap("deployer", "issuer", deployer));
        deployer = config.guardian;
        _expectRefused(_overlap("deployer", "guardian", deployer));
    }

    function _overlap(string memory what, string memory with, address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(DeployConfigs.RolesOverlap.selector, what, with, account);
    }

    function test_RevertWhen_AnAddressIsZeroOrTwice() external {
        address owner = config.owners[0];
        config.owners[1] = owner;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.BadAddress.selector, "owner", owner));
        config.owners[1] = address(0);
        _expectRefused(abi.encodeWithSelector(DeployConfigs.BadAddress.selector, "owner", address(0)));
        config.guardian = address(0);
        _expectRefused(abi.encodeWithSelector(DeployConfigs.BadAddress.selector, "guardian", address(0)));
    }

    function test_RevertWhen_AnIssuerIsZeroOrTwice() external {
        address first = config.issuers[0];
        config.issuers[1] = first;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.BadAddress.selector, "issuer", first));
        config.issuers[1] = address(0);
        _expectRefused(abi.encodeWithSelector(DeployConfigs.BadAddress.selector, "issuer", address(0)));
    }

    function test_RevertWhen_ThereIsNoIssuer() external {
        config.issuers = new address[](0);
        _expectRefused(abi.encodeWithSelector(DeployConfigs.NoIssuer.selector));
    }

    function test_RevertWhen_APolicyIsMissingOrTwice() external {
        config.policies[1].purpose = "withdrawal";
        _expectRefused(abi.encodeWithSelector(DeployConfigs.PolicyMissing.selector, "withdraw"));
        config.policies[1].purpose = "withdraw";
        PolicyConfig memory more = config.policies[0];
        config.policies.push(more);
        _expectRefused(abi.encodeWithSelector(DeployConfigs.PolicyTwice.selector, "login"));
        config.policies[4].purpose = "a purpose of thirty-two bytes is";
        _expectRefused(abi.encodeWithSelector(DeployConfigs.BadPurpose.selector, "a purpose of thirty-two bytes is"));
        config.policies[4].purpose = "";
        _expectRefused(abi.encodeWithSelector(DeployConfigs.BadPurpose.selector, ""));
    }

    function test_RevertWhen_APolicyIsUnsafe() external {
        PolicyConfig storage policy = config.policies[3];
        policy.ttl = 29;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.UnsafeTtl.selector, "roles", 29));
        policy.ttl = 181;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.UnsafeTtl.selector, "roles", 181));
        policy.ttl = 180;
        policy.maxAttempts = 4;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.UnsafeMaxAttempts.selector, "roles", 4));
        policy.maxAttempts = 0;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.UnsafeMaxAttempts.selector, "roles", 0));
        policy.maxAttempts = 3;
        policy.grace = 3601;
        _expectRefused(abi.encodeWithSelector(DeployConfigs.UnsafeGrace.selector, "roles", 3601));
    }

    function test_AWaiverReachesToTheContractsBoundsAndNoFurther() external {
        PolicyConfig storage policy = config.policies[3];
        policy.waiver = true;
        (policy.ttl, policy.maxAttempts) = (601, 5);
        _expectRefused(abi.encodeWithSelector(DeployConfigs.UnsafeTtl.selector, "roles", 601));
        (policy.ttl, policy.maxAttempts) = (600, 6);
        _expectRefused(abi.encodeWithSelector(DeployConfigs.UnsafeMaxAttempts.selector, "roles", 6));
        policy.maxAttempts = 5;
        d = script.deploy(config, deployer);
        assertEq(IOtpVerifier(d.verifier).policyOf("roles").ttl, 600);
        assertEq(IOtpVerifier(d.verifier).policyOf("roles").maxAttempts, 5);
    }

    function test_WithoutAVault() external {
        config.vault = false;
        d = script.deploy(config, deployer);
        assertEq(d.vault, address(0));
        assertTrue(vm.contains(script.toJson(d, config, 1), '"vault": null'));
    }

    function test_RevertWhen_RunWithForgesDefaultSender() external {
        vm.expectRevert(Deploy.NoDeployer.selector);
        vm.prank(DEFAULT_SENDER);
        script.run();
    }

    function parse(string memory json) external view returns (DeployConfig memory) {
        return DeployConfigs.parse(json);
    }

    function test_RevertWhen_AKeyIsUnknown() external {
        string memory json = vm.readFile("script/config/local.json");
        string memory other = vm.replace(json, '"delay"', '"delaySeconds"');
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnknownKey.selector, "delaySeconds"));
        this.parse(other);
        other = vm.replace(json, '"grace"', '"graceSeconds"');
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnknownKey.selector, "graceSeconds"));
        this.parse(other);
    }

    /// @dev No key or other account can be made governor: it is always the timelock that the script deploys.
    function test_RevertWhen_AnAccountOfTheFileIsToGovern() external {
        string memory json = vm.readFile("script/config/local.json");
        string memory keyed = string.concat('"governor": "', vm.toString(deployer), '", "delay"');
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnknownKey.selector, "governor"));
        this.parse(vm.replace(json, '"delay"', keyed));

        d = script.deploy(config, deployer);
        assertGt(d.timelock.code.length, 0, "a contract");
        assertTrue(IAccessControl(d.verifier).hasRole(keccak256("GOVERNOR_ROLE"), d.timelock));
    }

    function test_ReadsAWaiver() external view {
        string memory json = vm.readFile("script/config/local.json");
        DeployConfig memory parsed = this.parse(vm.replace(json, '"enabled": true', '"enabled": false, "waiver": true'));
        assertTrue(parsed.policies[2].waiver);
        assertFalse(parsed.policies[2].enabled);
        assertFalse(this.parse(json).policies[2].waiver);
    }
}
