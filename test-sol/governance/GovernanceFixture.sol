// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Deploy, Deployment} from "../../script/Deploy.s.sol";
import {DeployConfig, DeployConfigs} from "../../script/DeployConfig.sol";
import {Governance, Step} from "../../script/governance/Governance.sol";
import {Fixture} from "../utils/Fixture.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {Safes} from "../utils/Safes.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";

/// @notice A verifier as the deployment script deploys it, with the real Safe and timelock. What the scripts print is
/// parsed again and executed as it stands there: the file is what the owners sign, so the file is what is tested.
abstract contract GovernanceFixture is Fixture, Safes {
    DeployConfig internal config;
    Deployment internal d;
    Safe internal safe;
    TimelockController internal timelock;
    string internal deployOut;
    uint256[] internal keys;

    function setUp() public virtual override {
        vm.warp(1_700_000_000);
        (subject, subjectKey) = makeAddrAndKey("subject");
        DeployConfig memory parsed = DeployConfigs.parse(vm.readFile("script/config/local.json"));
        (parsed.owners, keys) = _ownerKeys();
        Deploy script = new Deploy();
        d = script.deploy(parsed, makeAddr("deployer"));
        deployOut = script.toJson(d, parsed, block.number);
        verifier = IVerifier(d.verifier);
        safe = Safe(payable(d.safe));
        timelock = TimelockController(payable(d.timelock));
        (governor, guardian) = (d.timelock, parsed.guardian);
        (issuer, otherIssuer) = (parsed.issuers[0], parsed.issuers[1]);
        (config.owners, config.delay) = (parsed.owners, parsed.delay);
    }

    /// @dev What the file says, as the Safe's transaction.
    function _parse(Governance script, Step memory step) internal view returns (SafeCall memory) {
        string memory json = script.toJson(step);
        assertEq(vm.parseJsonString(json, ".version"), "1.0");
        assertEq(vm.parseJsonString(json, ".chainId"), vm.toString(block.chainid));
        assertEq(vm.parseJsonAddress(json, ".meta.createdFromSafeAddress"), d.safe);
        assertEq(vm.parseJsonString(json, ".transactions[0].value"), "0");
        assertFalse(vm.keyExistsJson(json, ".transactions[1]"), "one transaction a file");
        return _call(vm.parseJsonAddress(json, ".transactions[0].to"), vm.parseJsonBytes(json, ".transactions[0].data"));
    }

    function _sign(Governance script, Step memory step) internal {
        _exec(safe, keys, _parse(script, step), 2);
    }

    function sign(Governance script, Step memory step) external {
        _sign(script, step);
    }

    /// @dev The Safe says GS013 for whatever the call inside it says.
    function _expectFailing(Governance script, Step memory step) internal {
        vm.expectRevert("GS013");
        this.sign(script, step);
    }

    /// @dev Both steps of a proposal, with the delay between them.
    function _pass(Governance script, Step[] memory steps) internal {
        assertEq(steps.length, 2);
        _sign(script, steps[0]);
        skip(config.delay);
        _sign(script, steps[1]);
    }

    function _implementationOf() internal view returns (address) {
        return
            address(
                uint160(uint256(vm.load(d.verifier, bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1))))
            );
    }
}
