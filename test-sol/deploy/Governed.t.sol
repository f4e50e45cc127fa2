// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {Safes} from "../utils/Safes.sol";
import {DeployFixture} from "./DeployFixture.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ProxyAdmin} from "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol";
import {ITransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";

/// @notice What is deployed is governed by the real Safe and timelock, in plain calls without the governance scripts.
contract GovernedTest is DeployFixture, Safes {
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
