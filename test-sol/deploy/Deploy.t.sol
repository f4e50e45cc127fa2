// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Deploy, Deployment} from "../../script/Deploy.s.sol";
import {DeployConfig, DeployConfigs, PolicyConfig} from "../../script/DeployConfig.sol";
import {GatedVault} from "../../src-sol/examples/GatedVault.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {Safes} from "../utils/Safes.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ProxyAdmin} from "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol";
import {ITransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";

abstract contract DeployFixture is Test {
    Deploy internal script;
    DeployConfig internal config;
    Deployment internal d;
    address internal deployer = makeAddr("deployer");
    uint256[] internal ownerKeys;

    function setUp() public virtual {
        vm.warp(1_700_000_000);
        script = new Deploy();
        DeployConfig memory parsed = DeployConfigs.parse(vm.readFile("script/config/local.json"));
        for (uint256 i = 0; i < 3; ++i) {
            (address owner, uint256 key) = makeAddrAndKey(string.concat("owner", vm.toString(i)));
            parsed.owners[i] = owner;
            ownerKeys.push(key);
        }
        (config.owners, config.issuers) = (parsed.owners, parsed.issuers);
        (config.threshold, config.delay) = (parsed.threshold, parsed.delay);
        (config.guardian, config.vault) = (parsed.guardian, parsed.vault);
        for (uint256 i = 0; i < parsed.policies.length; ++i) {
            config.policies.push(parsed.policies[i]);
        }
    }
}

contract DeployTest is DeployFixture, Safes {
    IVerifier private verifier;
    TimelockController private timelock;
    Safe private safe;

    function setUp() public override {
        super.setUp();
        d = script.deploy(config, deployer);
        verifier = IVerifier(d.verifier);
        timelock = TimelockController(payable(d.timelock));
        safe = Safe(payable(d.safe));
    }

    // --- the Safe's and the timelock's ways

    function _exec(address to, bytes memory data, uint256 signers) private {
        _exec(safe, ownerKeys, _call(to, data), signers);
    }

    function _schedule(address to, bytes memory data) private {
        bytes memory call =
            abi.encodeCall(TimelockController.schedule, (to, 0, data, bytes32(0), bytes32(0), config.delay));
        _exec(address(timelock), call, 2);
    }

    function _execute(address to, bytes memory data) private {
        bytes memory call = abi.encodeCall(TimelockController.execute, (to, 0, data, bytes32(0), bytes32(0)));
        _exec(address(timelock), call, 2);
    }

    // --- what is deployed

    function test_EachRoleIsWhereItBelongs() external view {
        bytes32 issuerRole = keccak256("ISSUER_ROLE");
        bytes32 guardianRole = keccak256("GUARDIAN_ROLE");
        bytes32 governorRole = keccak256("GOVERNOR_ROLE");
        assertTrue(verifier.hasRole(bytes32(0), d.timelock));
        assertTrue(verifier.hasRole(governorRole, d.timelock));
        assertTrue(verifier.hasRole(guardianRole, d.safe));
        assertTrue(verifier.hasRole(guardianRole, config.guardian));
        assertTrue(verifier.hasRole(issuerRole, config.issuers[0]));
        assertTrue(verifier.hasRole(issuerRole, config.issuers[1]));
        assertEq(Ownable(d.proxyAdmin).owner(), d.timelock);
        assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), d.safe));
        assertTrue(timelock.hasRole(timelock.CANCELLER_ROLE(), d.safe));
        assertTrue(timelock.hasRole(timelock.EXECUTOR_ROLE(), d.safe));
        assertEq(safe.getThreshold(), 2);
        assertEq(safe.getOwners(), config.owners);

        address[2] memory powerless = [deployer, address(script)];
        for (uint256 i = 0; i < powerless.length; ++i) {
            assertFalse(verifier.hasRole(bytes32(0), powerless[i]));
            assertFalse(verifier.hasRole(governorRole, powerless[i]));
            assertFalse(verifier.hasRole(guardianRole, powerless[i]));
            assertFalse(verifier.hasRole(issuerRole, powerless[i]));
            assertFalse(timelock.hasRole(bytes32(0), powerless[i]));
            assertFalse(timelock.hasRole(timelock.PROPOSER_ROLE(), powerless[i]));
        }
        assertFalse(verifier.hasRole(governorRole, d.safe), "the Safe governs through the timelock alone");
    }

    /// @dev The logs are the whole truth about roles: nobody was given one and kept it who is not checked above.
    function test_NobodyElseHoldsAnything() external {
        vm.recordLogs();
        Deployment memory again = script.deploy(config, makeAddr("another deployer"));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 held = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != again.verifier) continue;
            if (logs[i].topics[0] == IAccessControl.RoleGranted.selector) ++held;
            if (logs[i].topics[0] == IAccessControl.RoleRevoked.selector) --held;
        }
        assertEq(held, 2 + 2 + 2, "timelock twice, two guardians, two issuers");
    }

    function test_ThePoliciesAndTheVaultAreSet() external view {
        bytes32[4] memory purposes = [bytes32("login"), "withdraw", "keys", "roles"];
        for (uint256 i = 0; i < purposes.length; ++i) {
            IOtpVerifier.Policy memory policy = verifier.policyOf(purposes[i]);
            assertEq(policy.ttl, 60);
            assertEq(policy.grace, 300);
            assertEq(policy.maxAttempts, 3);
            assertTrue(policy.enabled);
        }
        assertEq(address(GatedVault(d.vault).VERIFIER()), d.verifier);
    }

    function test_TheResultSaysWhatWasDeployed() external view {
        string memory json = script.toJson(d, config, 17);
        assertEq(vm.parseJsonUint(json, ".chainId"), block.chainid);
        assertEq(vm.parseJsonAddress(json, ".verifier"), d.verifier);
        assertEq(vm.parseJsonAddress(json, ".implementation"), d.implementation);
        assertEq(vm.parseJsonAddress(json, ".proxyAdmin"), d.proxyAdmin);
        assertEq(vm.parseJsonAddress(json, ".timelock"), d.timelock);
        assertEq(vm.parseJsonAddress(json, ".safe"), d.safe);
        assertEq(vm.parseJsonAddress(json, ".guardian"), config.guardian);
        assertEq(vm.parseJsonAddressArray(json, ".issuers"), config.issuers);
        assertEq(vm.parseJsonAddress(json, ".vault"), d.vault);
        assertEq(vm.parseJsonUint(json, ".deploymentBlock"), 17);
    }

    function test_TheCheckSeesARoleThatSomebodyKept() external {
        vm.prank(d.timelock);
        verifier.grantRole(keccak256("GUARDIAN_ROLE"), deployer);
        vm.expectRevert(abi.encodeWithSelector(Deploy.Unfit.selector, "role where none may be", deployer));
        script.checkDeployed(d, config, deployer);
    }

    function test_TheCheckSeesAnotherOwnerOfTheProxyAdmin() external {
        vm.prank(d.timelock);
        Ownable(d.proxyAdmin).transferOwnership(deployer);
        vm.expectRevert(abi.encodeWithSelector(Deploy.Unfit.selector, "proxy admin's owner", deployer));
        script.checkDeployed(d, config, deployer);
    }

    // --- how it is governed

    function test_OneSignatureOfThreeFailsAndTwoPass() external {
        bytes memory pause = abi.encodeCall(IOtpVerifier.pause, ());
        SafeCall memory call = _call(d.verifier, pause);
        bytes memory one = _signatures(ownerKeys, _safeTxHash(safe, call), 1);
        vm.expectRevert("GS020");
        _exec(safe, call, one);
        assertFalse(verifier.paused());

        _exec(d.verifier, pause, 2);
        assertTrue(verifier.paused(), "what protects needs no delay");
    }

    function test_WhatLoosensWaitsForTheTimelock() external {
        vm.prank(config.guardian);
        verifier.pause();
        bytes memory unpause = abi.encodeCall(IOtpVerifier.unpause, ());
        vm.expectRevert("GS013"); // the Safe itself is no governor
        this.exec(d.verifier, unpause);

        _schedule(d.verifier, unpause);
        skip(config.delay - 1);
        vm.expectRevert("GS013");
        this.execute(d.verifier, unpause);
        assertTrue(verifier.paused());
        skip(1);
        _execute(d.verifier, unpause);
        assertFalse(verifier.paused());
    }

    function test_ANewIssuerWaitsAndAnOldOneGoesAtOnce() external {
        address fresh = makeAddr("fresh");
        bytes32 role = keccak256("ISSUER_ROLE");
        bytes memory grant = abi.encodeCall(IAccessControl.grantRole, (role, fresh));
        _schedule(d.verifier, grant);
        skip(config.delay);
        _execute(d.verifier, grant);
        assertTrue(verifier.hasRole(role, fresh));

        _exec(d.verifier, abi.encodeCall(IOtpVerifier.removeIssuer, (config.issuers[0])), 2);
        assertFalse(verifier.hasRole(role, config.issuers[0]));
    }

    function test_AnUpgradeGoesThroughTheTimelockAndKeepsALiveCode() external {
        address issuer = config.issuers[0];
        bytes32 id = keccak256("id");
        vm.prank(issuer);
        bytes32 root = verifier.setOtp("login", 0, id, type(uint64).max);

        address next = deployCode("OtpVerifier.sol:OtpVerifier");
        bytes memory upgrade =
            abi.encodeCall(ProxyAdmin.upgradeAndCall, (ITransparentUpgradeableProxy(d.verifier), next, ""));
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, d.safe));
        vm.prank(d.safe);
        ProxyAdmin(d.proxyAdmin).upgradeAndCall(ITransparentUpgradeableProxy(d.verifier), next, "");

        _schedule(d.proxyAdmin, upgrade);
        skip(config.delay);
        _execute(d.proxyAdmin, upgrade);
        assertNotEq(next, d.implementation);
        assertEq(address(uint160(uint256(vm.load(d.verifier, _IMPLEMENTATION)))), next);
        (uint40 expiry,,,) = verifier.batchOf(issuer, root);
        assertEq(expiry, block.timestamp - config.delay + 60);
        assertTrue(verifier.hasRole(keccak256("ISSUER_ROLE"), issuer));
    }

    bytes32 private constant _IMPLEMENTATION = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);

    function exec(address to, bytes memory data) external {
        _exec(to, data, 2);
    }

    function execute(address to, bytes memory data) external {
        _execute(to, data);
    }
}

contract DeployRefusalTest is DeployFixture {
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

    function test_ReadsAWaiver() external view {
        string memory json = vm.readFile("script/config/local.json");
        DeployConfig memory parsed = this.parse(vm.replace(json, '"enabled": true', '"enabled": false, "waiver": true'));
        assertTrue(parsed.policies[2].waiver);
        assertFalse(parsed.policies[2].enabled);
        assertFalse(this.parse(json).policies[2].waiver);
    }
}
