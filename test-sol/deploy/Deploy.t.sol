// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Deploy, Deployment} from "../../script/Deploy.s.sol";
import {GatedVault} from "../../src-sol/examples/GatedVault.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {DeployFixture} from "./DeployFixture.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice What the script deploys: who holds what, and who nothing.
contract DeployTest is DeployFixture {
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
}
