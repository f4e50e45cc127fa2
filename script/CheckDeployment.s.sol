// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../src-sol/interfaces/IOtpVerifier.sol";
import {DeployConfig, DeployConfigs, PolicyConfig} from "./DeployConfig.sol";
import {FileCheck} from "./FileCheck.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IERC1967} from "@openzeppelin/contracts/interfaces/IERC1967.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {TransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {SafeL2} from "@safe-global/safe-contracts/contracts/SafeL2.sol";
import {
    CompatibilityFallbackHandler
} from "@safe-global/safe-contracts/contracts/handler/CompatibilityFallbackHandler.sol";
import {SafeProxy} from "@safe-global/safe-contracts/contracts/proxies/SafeProxy.sol";
import {Script, console} from "forge-std/Script.sol";
import {Vm} from "forge-std/Vm.sol";

// what it finds is what it is for
// solhint-disable no-console

/// @title CheckDeployment
/// @notice Compares what stands at an address with this repository's build and the network's file, and says in words what
/// differs. Ends with an error when anything does.
///
///     DEPLOY_CONFIG=script/config/local.json FROM_BLOCK=1 node script/check.mjs --rpc-url URL VERIFIER
///
/// which runs this and shows its words without forge's trace. It needs nothing but the proxy's address: proxy admin, timelock
/// and Safe are found from there. Who holds a role, how the Safe was set up and which implementations the proxy had is read
/// from the logs since FROM_BLOCK (0 by default; the deployment's block on a node that limits the range), so that what nobody
/// thought of is found as well. A check is as honest as the node that it asks.
///
/// What it cannot see: storage that no log and no getter names. An implementation that stood here before can have written
/// any, so each later one is reported, one that was voted in as well. So can the code that created a contract, a singleton
/// that the Safe had before, or a delegatecall that the Safe's owners signed (a module that is in no list, say): the
/// transactions that created these contracts must be looked at too, and are Deploy.s.sol's where one deployed oneself.
contract CheckDeployment is Script {
    /// @notice So many differences, each said in words above.
    error Differs(uint256 differences);

    uint256 private constant PAGE = 10;

    /// @dev ERC-7201 slot of OpenZeppelin's Initializable; its lowest 64 bits are all set in one that is locked.
    bytes32 private constant INITIALIZABLE = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;

    uint256 private _differences;
    uint256 private _fromBlock;

    /// @notice Checks the verifier behind this proxy, and all that governs it.
    function run(address verifier) external {
        DeployConfig memory config = DeployConfigs.parse(vm.readFile(vm.envString("DEPLOY_CONFIG")));
        _fromBlock = vm.envOr("FROM_BLOCK", uint256(0));

        _checkFile(config);
        (address timelock, bool whole) = _checkProxy(verifier);
        if (whole) {
            address safe = _checkTimelock(timelock, config);
            _checkVerifierRoles(verifier, timelock, safe, config);
            _checkPolicies(verifier, config);
            if (safe != address(0)) _checkSafe(safe, config);
        }

        if (_differences != 0) revert Differs(_differences);
        console.log("nothing differs");
    }

    function _differ(string memory what) private {
        ++_differences;
        console.log(string.concat("DIFFERS: ", what));
    }

    function _ok(string memory what) private pure {
        console.log(string.concat("ok: ", what));
    }

    function _expect(bool same, string memory what) private {
        if (same) _ok(what);
        else _differ(string.concat("not so: ", what));
    }

    /// @dev A chain that is as an unsafe file says is unsafe.
    function _checkFile(DeployConfig memory config) private {
        try new FileCheck().check(config) {
            _ok("the file is one that Deploy takes");
        } catch (bytes memory reason) {
            // the selector of the error
            // forge-lint: disable-next-line(unsafe-typecast)
            string memory name = _nameOf(bytes4(reason));
            _differ(string.concat("not so: the file is one that Deploy takes: it says ", name));
        }
    }

    function _nameOf(bytes4 selector) private pure returns (string memory) {
        string[12] memory errors = [
            "ThresholdTooLow(uint256)",
            "ThresholdTooHigh(uint256,uint256)",
            "DelayTooShort(uint256,uint256)",
            "DelayTooLong(uint256,uint256)",
            "BadAddress(string,address)",
            "RolesOverlap(string,string,address)",
            "WellKnownKey(address)",
            "NoIssuer()",
            "PolicyMissing(string)",
            "UnsafeTtl(string,uint256)",
            "UnsafeGrace(string,uint256)",
            "UnsafeMaxAttempts(string,uint256)"
        ];
        for (uint256 i = 0; i < errors.length; ++i) {
            if (bytes4(keccak256(bytes(errors[i]))) == selector) return vm.split(errors[i], "(")[0];
        }
        return vm.toString(abi.encodePacked(selector));
    }

    // --- byte code

    function _checkProxy(address verifier) private returns (address timelock, bool whole) {
        address admin = _slot(verifier, ERC1967Utils.ADMIN_SLOT);
        address implementation = _slot(verifier, ERC1967Utils.IMPLEMENTATION_SLOT);
        if (admin.code.length == 0 || implementation.code.length == 0) {
            _differ(string.concat(vm.toString(verifier), " is no transparent proxy on this chain"));
            return (address(0), false);
        }
        address build = deployCode("OtpVerifier.sol:OtpVerifier");
        address proxy = _buildProxy(build);
        address proxyAdmin = _slot(proxy, ERC1967Utils.ADMIN_SLOT);
        _checkCode("the proxy", _without(verifier.code, admin), _without(proxy.code, proxyAdmin));
        _checkCode("the implementation", implementation.code, build.code);
        bool locked = uint64(uint256(vm.load(implementation, INITIALIZABLE))) == type(uint64).max;
        _expect(locked, "the implementation itself can be initialized by nobody");
        _checkCode("the proxy admin", admin.code, proxyAdmin.code);
        _expect(!PausableUpgradeable(verifier).paused(), "the verifier is not paused");
        _checkHistory(verifier, implementation);

        timelock = Ownable(admin).owner();
        address[] memory none = new address[](0);
        bytes memory wanted = address(new TimelockController(0, none, none, msg.sender)).code;
        _checkCode("the proxy admin's owner, the timelock,", timelock.code, wanted);
        whole = timelock.code.length != 0;
    }

    function _checkHistory(address verifier, address implementation) private {
        Vm.EthGetLogs[] memory logs = _logsOf(verifier, IERC1967.Upgraded.selector);
        address last = logs.length == 0 ? address(0) : address(uint160(uint256(logs[logs.length - 1].topics[1])));
        _expect(last == implementation, "the last Upgraded log names the implementation");
        for (uint256 i = 1; i < logs.length; ++i) {
            address next = address(uint160(uint256(logs[i].topics[1])));
            _differ(string.concat("upgraded to ", vm.toString(next), "; the one before can have written any storage"));
        }
    }

    function _logsOf(address where, bytes32 topic) private returns (Vm.EthGetLogs[] memory) {
        bytes32[] memory topics = new bytes32[](1);
        topics[0] = topic;
        return vm.eth_getLogs(_fromBlock, block.number, where, topics);
    }

    function _checkCode(string memory what, bytes memory code, bytes memory wanted) private {
        _expect(keccak256(code) == keccak256(wanted), string.concat(what, " has the byte code of this build"));
    }

    /// @dev This build's contracts are deployed here, in the script's own memory: nothing is sent.
    function _buildProxy(address implementation) private returns (address) {
        address[] memory none = new address[](0);
        bytes memory initialize = abi.encodeCall(IOtpVerifier.initialize, (msg.sender, msg.sender, none));
        return address(new TransparentUpgradeableProxy(implementation, msg.sender, initialize));
    }

    /// @dev A proxy has its admin's address in its code.
    function _without(bytes memory code, address admin) private pure returns (bytes memory) {
        bytes32 word = bytes32(uint256(uint160(admin)));
        for (uint256 i = 0; i + 32 <= code.length; ++i) {
            bytes32 here;
            // Solidity reads no word out of the middle of bytes
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                here := mload(add(add(code, 0x20), i))
            }
            if (here != word) continue;
            for (uint256 j = i; j < i + 32; ++j) {
                code[j] = 0;
            }
        }
        return code;
    }

    function _slot(address account, bytes32 slot) private view returns (address) {
        return address(uint160(uint256(vm.load(account, slot))));
    }

    // --- roles

    /// @dev Whoever was granted the role since `_fromBlock` and has it now.
    function _holders(address where, bytes32 role) private returns (address[] memory holders) {
        bytes32[] memory topics = new bytes32[](2);
        (topics[0], topics[1]) = (IAccessControl.RoleGranted.selector, role);
        Vm.EthGetLogs[] memory logs = vm.eth_getLogs(_fromBlock, block.number, where, topics);
        holders = new address[](0);
        for (uint256 i = 0; i < logs.length; ++i) {
            address account = address(uint160(uint256(logs[i].topics[2])));
            if (_contains(holders, account) || !IAccessControl(where).hasRole(role, account)) continue;
            holders = _with(holders, account);
        }
    }

    function _with(address[] memory list, address account) private pure returns (address[] memory longer) {
        longer = new address[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = account;
    }

    function _contains(address[] memory list, address account) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == account) return true;
        }
        return false;
    }

    /// @dev All of these, and nobody else; and only DEFAULT_ADMIN_ROLE gives the role.
    function _checkHolders(string memory name, address where, bytes32 role, address[] memory wanted) private {
        _expect(IAccessControl(where).getRoleAdmin(role) == 0, string.concat("only the admin gives ", name));
        for (uint256 i = 0; i < wanted.length; ++i) {
            _expect(
                IAccessControl(where).hasRole(role, wanted[i]), string.concat(vm.toString(wanted[i]), " holds ", name)
            );
        }
        address[] memory holders = _holders(where, role);
        for (uint256 i = 0; i < holders.length; ++i) {
            if (_contains(wanted, holders[i])) continue;
            _differ(string.concat(vm.toString(holders[i]), " holds ", name, ", and nobody gave it to it in the file"));
        }
    }

    function _one(address account) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }

    function _checkVerifierRoles(address verifier, address timelock, address safe, DeployConfig memory config) private {
        _expect(
            _logsOf(verifier, keccak256("Initialized(uint64)")).length != 0,
            "FROM_BLOCK is before the deployment, so that no holder of a role is missed"
        );
        address[] memory guardians = new address[](2);
        (guardians[0], guardians[1]) = (safe, config.guardian);
        _checkHolders("DEFAULT_ADMIN_ROLE of the verifier", verifier, bytes32(0), _one(timelock));
        _checkHolders("GOVERNOR_ROLE", verifier, IOtpVerifier(verifier).GOVERNOR_ROLE(), _one(timelock));
        _checkHolders("GUARDIAN_ROLE", verifier, IOtpVerifier(verifier).GUARDIAN_ROLE(), guardians);
        _checkHolders("ISSUER_ROLE", verifier, IOtpVerifier(verifier).ISSUER_ROLE(), config.issuers);
    }

    /// @dev The Safe is the timelock's one proposer.
    function _checkTimelock(address account, DeployConfig memory config) private returns (address safe) {
        TimelockController timelock = TimelockController(payable(account));
        uint256 delay = timelock.getMinDelay();
        _expect(
            delay == config.delay,
            string.concat(
                "the timelock's delay of ", vm.toString(delay), " s is the file's ", vm.toString(config.delay)
            )
        );
        address[] memory proposers = _holders(account, timelock.PROPOSER_ROLE());
        if (proposers.length != 1) {
            _differ(string.concat("the timelock has ", vm.toString(proposers.length), " proposers instead of one Safe"));
        }
        _expect(
            timelock.getRoleAdmin(timelock.PROPOSER_ROLE()) == 0, "only the admin gives the timelock's PROPOSER_ROLE"
        );
        if (proposers.length == 0) return address(0);
        safe = proposers[0];
        _checkHolders("the timelock's CANCELLER_ROLE", account, timelock.CANCELLER_ROLE(), _one(safe));
        _checkHolders("the timelock's EXECUTOR_ROLE", account, timelock.EXECUTOR_ROLE(), _one(safe));
        _checkHolders("the timelock's DEFAULT_ADMIN_ROLE", account, bytes32(0), _one(account));
    }

    // --- the Safe

    function _checkSafe(address account, DeployConfig memory config) private {
        _checkCode("the Safe", account.code, type(SafeProxy).runtimeCode);
        _checkCode("the Safe's singleton", _slot(account, bytes32(0)).code, type(SafeL2).runtimeCode);
        if (account.code.length == 0) return;
        Safe safe = Safe(payable(account));
        uint256 threshold = safe.getThreshold();
        _expect(
            threshold == config.threshold,
            string.concat(
                "the Safe's threshold of ", vm.toString(threshold), " is the file's ", vm.toString(config.threshold)
            )
        );
        address[] memory owners = safe.getOwners();
        for (uint256 i = 0; i < config.owners.length; ++i) {
            _expect(_contains(owners, config.owners[i]), string.concat(vm.toString(config.owners[i]), " owns the Safe"));
        }
        for (uint256 i = 0; i < owners.length; ++i) {
            if (_contains(config.owners, owners[i])) continue;
            _differ(string.concat(vm.toString(owners[i]), " owns the Safe, and is not in the file"));
        }
        _checkSetup(account, config);
        (address[] memory modules,) = safe.getModulesPaginated(address(1), PAGE);
        _expect(modules.length == 0, "the Safe has no module");
        _expect(
            _slot(account, keccak256("guard_manager.guard.address")) == address(0), "the Safe has no transaction guard"
        );
        _checkCode(
            "the Safe's fallback handler",
            _slot(account, keccak256("fallback_manager.handler.address")).code,
            type(CompatibilityFallbackHandler).runtimeCode
        );
    }

    /// @dev The setup can delegatecall anything, which can write a module or an owner that is in no list.
    function _checkSetup(address safe, DeployConfig memory config) private {
        Vm.EthGetLogs[] memory logs = _logsOf(safe, Safe.SafeSetup.selector);
        _expect(logs.length == 1, "the Safe was set up once");
        for (uint256 i = 0; i < logs.length; ++i) {
            (address[] memory owners,, address initializer, address handler) =
                abi.decode(logs[i].data, (address[], uint256, address, address));
            _expect(initializer == address(0), "no code of others ran in the Safe's setup");
            _expect(
                keccak256(abi.encode(owners)) == keccak256(abi.encode(config.owners)),
                "the Safe was set up with the file's owners"
            );
            _checkCode(
                "the fallback handler of the Safe's setup", handler.code, type(CompatibilityFallbackHandler).runtimeCode
            );
        }
    }

    // --- policies

    function _checkPolicies(address verifier, DeployConfig memory config) private {
        for (uint256 i = 0; i < config.policies.length; ++i) {
            PolicyConfig memory wanted = config.policies[i];
            IOtpVerifier.Policy memory set = IOtpVerifier(verifier).policyOf(_purposeOf(wanted));
            bool same = set.ttl == wanted.ttl && set.grace == wanted.grace && set.maxAttempts == wanted.maxAttempts
                && set.enabled == wanted.enabled;
            _expect(same, string.concat("the policy of ", wanted.purpose, " is the file's: ", DeployConfigs.words(set)));
        }
        Vm.EthGetLogs[] memory logs = _logsOf(verifier, IOtpVerifier.PolicySet.selector);
        for (uint256 i = 0; i < logs.length; ++i) {
            _checkKnown(logs[i].topics[1], verifier, config.policies);
        }
    }

    function _checkKnown(bytes32 purpose, address verifier, PolicyConfig[] memory policies) private {
        for (uint256 i = 0; i < policies.length; ++i) {
            if (_purposeOf(policies[i]) == purpose) return;
        }
        if (!IOtpVerifier(verifier).policyOf(purpose).enabled) return;
        _differ(string.concat("purpose ", vm.toString(purpose), " issues codes, and is not in the file"));
    }

    function _purposeOf(PolicyConfig memory policy) private pure returns (bytes32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return bytes32(bytes(policy.purpose)); // a longer one is found as another purpose, and differs
    }
}
