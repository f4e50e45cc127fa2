// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GatedVault} from "../src-sol/examples/GatedVault.sol";
import {IOtpVerifier} from "../src-sol/interfaces/IOtpVerifier.sol";
import {DeployConfig, DeployConfigs, PolicyConfig} from "./DeployConfig.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {TransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {SafeL2} from "@safe-global/safe-contracts/contracts/SafeL2.sol";
import {
    CompatibilityFallbackHandler
} from "@safe-global/safe-contracts/contracts/handler/CompatibilityFallbackHandler.sol";
import {SafeProxyFactory} from "@safe-global/safe-contracts/contracts/proxies/SafeProxyFactory.sol";
import {Script} from "forge-std/Script.sol";

/// @dev What a deployment left on the chain; `vault` is zero where none was asked for.
struct Deployment {
    address verifier;
    address implementation;
    address proxyAdmin;
    address timelock;
    address safe;
    address vault;
}

/// @title Deploy
/// @notice Deploys the verifier with its governance: Safe (n of m) → TimelockController → GOVERNOR_ROLE,
/// DEFAULT_ADMIN_ROLE and the ProxyAdmin. The deployer is governor for as long as it takes to set the policies; then it
/// hands over, renounces, and the script ends with an error if it holds anything anywhere.
///
///     DEPLOY_CONFIG=script/config/local.json DEPLOY_OUT=.stack/deployment.json \
///         forge script script/Deploy.s.sol --rpc-url URL --private-key KEY --broadcast
///
/// The key comes from forge's --private-key, --account or --ledger, never from here. forge runs the script against the
/// chain's state before it sends anything, and DEPLOY_OUT is written then: it counts when forge has ended with 0.
/// Afterwards `--sig 'check(address)' DEPLOYER`, without --broadcast, checks the same on the chain itself.
contract Deploy is Script {
    /// @notice Run with forge's own default sender: pass --private-key, --account or --ledger.
    error NoDeployer();
    /// @notice The result is not what it must be; nothing was sent.
    error Unfit(string what, address account);

    /// @notice Reads DEPLOY_CONFIG, deploys, writes DEPLOY_OUT.
    function run() external {
        if (msg.sender == DEFAULT_SENDER) revert NoDeployer();
        uint256 deploymentBlock = block.number; // the chain's head, so at or before every block of the deployment
        DeployConfig memory config = DeployConfigs.parse(vm.readFile(vm.envString("DEPLOY_CONFIG")));
        Deployment memory d = deploy(config, msg.sender);
        _write(vm.envString("DEPLOY_OUT"), toJson(d, config, deploymentBlock));
    }

    /// @notice Checks a deployment by its DEPLOY_CONFIG and DEPLOY_OUT on the chain that forge is connected to.
    function check(address deployer) external view {
        DeployConfig memory config = DeployConfigs.parse(vm.readFile(vm.envString("DEPLOY_CONFIG")));
        string memory json = vm.readFile(vm.envString("DEPLOY_OUT"));
        checkDeployed(
            Deployment({
                verifier: vm.parseJsonAddress(json, ".verifier"),
                implementation: vm.parseJsonAddress(json, ".implementation"),
                proxyAdmin: vm.parseJsonAddress(json, ".proxyAdmin"),
                timelock: vm.parseJsonAddress(json, ".timelock"),
                safe: vm.parseJsonAddress(json, ".safe"),
                vault: config.vault ? vm.parseJsonAddress(json, ".vault") : address(0)
            }),
            config,
            deployer
        );
    }

    /// @notice Deploys as `deployer`, and reverts unless the result is what the configuration says.
    function deploy(DeployConfig memory config, address deployer) public returns (Deployment memory d) {
        DeployConfigs.check(config, deployer);
        vm.startBroadcast(deployer);
        d.safe = _deploySafe(config.owners, config.threshold);
        d.timelock = _deployTimelock(config.delay, d.safe);
        d.implementation = deployCode("OtpVerifier.sol:OtpVerifier");
        d.verifier = address(
            new TransparentUpgradeableProxy(
                d.implementation,
                d.timelock, // owns the ProxyAdmin from its first block
                abi.encodeCall(IOtpVerifier.initialize, (deployer, d.safe, config.issuers))
            )
        );
        d.proxyAdmin = address(uint160(uint256(vm.load(d.verifier, ERC1967Utils.ADMIN_SLOT))));
        if (config.vault) d.vault = address(new GatedVault(IOtpVerifier(d.verifier)));
        _govern(IOtpVerifier(d.verifier), config);
        _handOver(d.verifier, d.timelock, deployer);
        vm.stopBroadcast();
        checkDeployed(d, config, deployer);
    }

    /// @dev The singleton that emits events, since an audit of who signed what needs no tracing node then.
    function _deploySafe(address[] memory owners, uint256 threshold) private returns (address) {
        SafeProxyFactory factory = new SafeProxyFactory();
        address singleton = address(new SafeL2());
        address handler = address(new CompatibilityFallbackHandler());
        bytes memory setup = abi.encodeCall(
            Safe.setup, (owners, threshold, address(0), "", handler, address(0), 0, payable(address(0)))
        );
        return address(factory.createProxyWithNonce(singleton, setup, 0));
    }

    /// @dev The Safe executes as well: who decided a change decides when it lands, and may let it lie. Open execution would
    /// give that choice to anybody, for an upgrade and its follow-up in any order, and buys nothing, since the same owners
    /// can always propose.
    function _deployTimelock(uint256 delay, address safe) private returns (address) {
        address[] memory only = new address[](1);
        only[0] = safe;
        return address(new TimelockController(delay, only, only, address(0)));
    }

    function _govern(IOtpVerifier verifier, DeployConfig memory config) private {
        IAccessControl(address(verifier)).grantRole(verifier.GUARDIAN_ROLE(), config.guardian);
        for (uint256 i = 0; i < config.policies.length; ++i) {
            verifier.setPolicy(_purposeOf(config.policies[i]), _policyOf(config.policies[i]));
        }
    }

    function _handOver(address verifier, address timelock, address deployer) private {
        bytes32 governor = IOtpVerifier(verifier).GOVERNOR_ROLE();
        IAccessControl(verifier).grantRole(governor, timelock);
        IAccessControl(verifier).grantRole(bytes32(0), timelock);
        IAccessControl(verifier).renounceRole(governor, deployer);
        IAccessControl(verifier).renounceRole(bytes32(0), deployer);
    }

    /// @notice Reverts unless the deployer holds nothing, each role is where the configuration puts it, and the Safe and
    /// the timelock are what it says.
    function checkDeployed(Deployment memory d, DeployConfig memory config, address deployer) public view {
        _checkRoles(d, config, deployer);
        _checkTimelock(TimelockController(payable(d.timelock)), d.safe, config.delay, deployer);
        _checkSafe(Safe(payable(d.safe)), config, deployer);

        address admin = address(uint160(uint256(vm.load(d.verifier, ERC1967Utils.ADMIN_SLOT))));
        address implementation = address(uint160(uint256(vm.load(d.verifier, ERC1967Utils.IMPLEMENTATION_SLOT))));
        if (admin != d.proxyAdmin) revert Unfit("proxy admin", admin);
        if (implementation != d.implementation) revert Unfit("implementation", implementation);
        if (Ownable(admin).owner() != d.timelock) revert Unfit("proxy admin's owner", Ownable(admin).owner());

        for (uint256 i = 0; i < config.policies.length; ++i) {
            PolicyConfig memory wanted = config.policies[i];
            IOtpVerifier.Policy memory set = IOtpVerifier(d.verifier).policyOf(_purposeOf(wanted));
            if (keccak256(abi.encode(set)) != keccak256(abi.encode(_policyOf(wanted)))) {
                revert Unfit(string.concat("policy ", wanted.purpose), d.verifier);
            }
        }
        if (config.vault && address(GatedVault(d.vault).VERIFIER()) != d.verifier) revert Unfit("vault", d.vault);
    }

    function _checkRoles(Deployment memory d, DeployConfig memory config, address deployer) private view {
        IOtpVerifier verifier = IOtpVerifier(d.verifier);
        bytes32[4] memory roles =
            [bytes32(0), verifier.GOVERNOR_ROLE(), verifier.GUARDIAN_ROLE(), verifier.ISSUER_ROLE()];
        for (uint256 i = 0; i < roles.length; ++i) {
            _checkLacks(d.verifier, roles[i], deployer);
        }
        _checkHolds(d.verifier, roles[0], d.timelock);
        _checkHolds(d.verifier, roles[1], d.timelock);
        _checkHolds(d.verifier, roles[2], d.safe);
        _checkHolds(d.verifier, roles[2], config.guardian);
        for (uint256 i = 0; i < config.issuers.length; ++i) {
            _checkHolds(d.verifier, roles[3], config.issuers[i]);
        }
    }

    function _checkTimelock(TimelockController timelock, address safe, uint256 delay, address deployer) private view {
        bytes32[3] memory roles = [timelock.PROPOSER_ROLE(), timelock.CANCELLER_ROLE(), timelock.EXECUTOR_ROLE()];
        for (uint256 i = 0; i < roles.length; ++i) {
            _checkHolds(address(timelock), roles[i], safe);
            _checkLacks(address(timelock), roles[i], deployer);
            _checkLacks(address(timelock), roles[i], address(0)); // open to all
        }
        _checkLacks(address(timelock), bytes32(0), deployer);
        _checkLacks(address(timelock), bytes32(0), safe);
        if (timelock.getMinDelay() != delay) revert Unfit("timelock's delay", address(timelock));
    }

    function _checkSafe(Safe safe, DeployConfig memory config, address deployer) private view {
        if (safe.getThreshold() != config.threshold) revert Unfit("Safe's threshold", address(safe));
        if (safe.getOwners().length != config.owners.length) {
            revert Unfit("number of the Safe's owners", address(safe));
        }
        for (uint256 i = 0; i < config.owners.length; ++i) {
            if (!safe.isOwner(config.owners[i])) revert Unfit("missing owner of the Safe", config.owners[i]);
        }
        if (safe.isOwner(deployer)) revert Unfit("deployer among the Safe's owners", deployer);
    }

    function _checkHolds(address where, bytes32 role, address account) private view {
        if (!IAccessControl(where).hasRole(role, account)) revert Unfit("missing role", account);
    }

    function _checkLacks(address where, bytes32 role, address account) private view {
        if (IAccessControl(where).hasRole(role, account)) revert Unfit("role where none may be", account);
    }

    /// @dev A purpose is its text, left-aligned; DeployConfigs has checked that it fits.
    function _purposeOf(PolicyConfig memory policy) private pure returns (bytes32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return bytes32(bytes(policy.purpose));
    }

    /// @dev DeployConfigs has checked the bounds, all far below the types'.
    function _policyOf(PolicyConfig memory policy) private pure returns (IOtpVerifier.Policy memory) {
        return IOtpVerifier.Policy({
            // forge-lint: disable-next-line(unsafe-typecast)
            ttl: uint32(policy.ttl),
            // forge-lint: disable-next-line(unsafe-typecast)
            grace: uint16(policy.grace),
            // forge-lint: disable-next-line(unsafe-typecast)
            maxAttempts: uint8(policy.maxAttempts),
            enabled: policy.enabled
        });
    }

    /// @notice The result file: addresses of what was deployed and of who holds what; `vault` is null without one.
    function toJson(Deployment memory d, DeployConfig memory config, uint256 deploymentBlock)
        public
        view
        returns (string memory json)
    {
        json = string.concat('{\n  "chainId": ', vm.toString(block.chainid));
        json = string.concat(json, ',\n  "verifier": ', _quoted(d.verifier));
        json = string.concat(json, ',\n  "implementation": ', _quoted(d.implementation));
        json = string.concat(json, ',\n  "proxyAdmin": ', _quoted(d.proxyAdmin));
        json = string.concat(json, ',\n  "timelock": ', _quoted(d.timelock));
        json = string.concat(json, ',\n  "safe": ', _quoted(d.safe));
        json = string.concat(json, ',\n  "guardian": ', _quoted(config.guardian));
        json = string.concat(json, ',\n  "issuers": [');
        for (uint256 i = 0; i < config.issuers.length; ++i) {
            json = string.concat(json, i == 0 ? "" : ", ", _quoted(config.issuers[i]));
        }
        json = string.concat(json, '],\n  "vault": ', d.vault == address(0) ? "null" : _quoted(d.vault));
        json = string.concat(json, ',\n  "deploymentBlock": ', vm.toString(deploymentBlock), "\n}\n");
    }

    function _quoted(address account) private pure returns (string memory) {
        return string.concat('"', vm.toString(account), '"');
    }

    /// @dev Makes the folder where it is missing.
    function _write(string memory path, string memory text) private {
        string[] memory parts = vm.split(path, "/");
        if (parts.length > 1) {
            string memory folder = parts[0];
            for (uint256 i = 1; i < parts.length - 1; ++i) {
                folder = string.concat(folder, "/", parts[i]);
            }
            vm.createDir(folder, true);
        }
        vm.writeFile(path, text);
    }
}
