// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Deploy, Deployment} from "../../script/Deploy.s.sol";
import {DeployConfig, DeployConfigs} from "../../script/DeployConfig.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The example configuration, with owners whose keys the tests have.
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
