// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeBatch} from "./SafeBatch.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {Enum} from "@safe-global/safe-contracts/contracts/common/Enum.sol";
import {Script, console} from "forge-std/Script.sol";
import {Vm} from "forge-std/Vm.sol";

// what it prints is what it is for
// solhint-disable no-console

/// @dev One thing that the Safe does: one transaction of its owners. `after_` is the first second in which it passes.
struct Step {
    string name;
    string description;
    address to;
    bytes data;
    uint256 after_;
}

/// @title Governance
/// @notice What every governance script shares. A script prints what the owners have to sign, as files for Safe's
/// Transaction Builder, and sends nothing:
///
///     DEPLOY_OUT=.stack/deployment.json forge script script/governance/Pause.s.sol --rpc-url URL
///
/// With GOVERNANCE_OUT=.stack/governance it writes the same to files there. What protects is one transaction; what loosens
/// or changes is two, `schedule` and `execute`, with the timelock's delay between them. A script that is run again says
/// where the proposal stands and prints what is left.
///
/// On a local chain (id 31337, and nowhere else) `OWNER_KEYS=0x…,0x… … --broadcast` signs with these keys and executes
/// what is due. Which script when: README.md beside this file.
abstract contract Governance is Script {
    /// @notice Keys in the environment are for a chain whose keys everybody knows.
    error LocalChainOnly(uint256 chainId);
    /// @notice The timelock lets it pass from this second on.
    error NotYet(uint256 readyAt);
    /// @notice There is nothing to do: `what` is so already.
    error NothingToDo(string what);
    /// @notice `what` is not as the operation needs it.
    error Unfit(string what, address account);
    /// @notice DEPLOY_OUT describes a deployment on another chain.
    error OtherChain(uint256 chainId);

    uint256 private constant LOCAL_CHAIN = 31_337;

    /// @notice The verifier's proxy.
    address public verifier;
    /// @notice The proxy's admin.
    address public proxyAdmin;
    /// @notice The governor.
    TimelockController public timelock;
    /// @notice Whose owners sign.
    Safe public safe;
    /// @notice The verifier's first implementation.
    address public firstImplementation;
    /// @notice No log of the verifier is older.
    uint256 public deploymentBlock;

    /// @notice Takes the addresses from the text of a DEPLOY_OUT.
    function use(string memory deployment) public {
        uint256 chainId = vm.parseJsonUint(deployment, ".chainId");
        if (chainId != block.chainid) revert OtherChain(chainId);
        verifier = vm.parseJsonAddress(deployment, ".verifier");
        proxyAdmin = vm.parseJsonAddress(deployment, ".proxyAdmin");
        timelock = TimelockController(payable(vm.parseJsonAddress(deployment, ".timelock")));
        safe = Safe(payable(vm.parseJsonAddress(deployment, ".safe")));
        firstImplementation = vm.parseJsonAddress(deployment, ".implementation");
        deploymentBlock = vm.parseJsonUint(deployment, ".deploymentBlock");
    }

    /// @dev Before each operation; a test has called `use` already.
    modifier connected() {
        if (verifier == address(0)) use(vm.readFile(vm.envString("DEPLOY_OUT")));
        _;
    }

    /// @dev The logs of this contract with these topics from this block on. Virtual for tests, which ask no node.
    function _logs(uint256 from, address where, bytes32[] memory topics)
        internal
        virtual
        returns (Vm.EthGetLogs[] memory)
    {
        return vm.eth_getLogs(from, block.number, where, topics);
    }

    /// @dev From where logs are read: FROM_BLOCK on a node that limits the range, or the deployment.
    function _fromBlock() internal view returns (uint256) {
        return vm.envOr("FROM_BLOCK", deploymentBlock);
    }

    // --- what an operation is made of

    /// @dev One transaction, for what the Safe may do without delay.
    function _atOnce(string memory name, string memory description, address to, bytes memory data)
        internal
        returns (Step[] memory steps)
    {
        steps = new Step[](1);
        steps[0] = Step({name: name, description: description, to: to, data: data, after_: 0});
        _show(steps);
    }

    /// @dev The same for several, which the owners sign in this order.
    function _atOnce(Step[] memory steps) internal returns (Step[] memory) {
        _show(steps);
        return steps;
    }

    /// @dev What is left of a proposal to the timelock: both steps, or the second alone once the first has landed.
    function _throughTimelock(
        string memory name,
        string memory description,
        address[] memory targets,
        bytes[] memory payloads
    ) internal returns (Step[] memory steps) {
        uint256[] memory values = new uint256[](targets.length);
        bytes32 salt = _nextSalt(targets, values, payloads);
        bytes32 id = timelock.hashOperationBatch(targets, values, payloads, bytes32(0), salt);
        bool scheduled = timelock.isOperationPending(id);
        Step memory second = Step({
            name: string.concat(name, "-execute"),
            description: string.concat(description, " Second of two steps. Operation ", vm.toString(id)),
            to: address(timelock),
            data: abi.encodeCall(TimelockController.executeBatch, (targets, values, payloads, bytes32(0), salt)),
            after_: scheduled ? timelock.getTimestamp(id) : type(uint256).max
        });

        steps = new Step[](scheduled ? 1 : 2);
        if (!scheduled) {
            steps[0] = Step({
                name: string.concat(name, "-schedule"),
                description: string.concat(description, " First of two steps. Operation ", vm.toString(id)),
                to: address(timelock),
                data: abi.encodeCall(
                    TimelockController.scheduleBatch,
                    (targets, values, payloads, bytes32(0), salt, timelock.getMinDelay())
                ),
                after_: 0
            });
        }
        steps[steps.length - 1] = second;
        console.log("operation", vm.toString(id));
        console.log("cancel it with: forge script script/governance/Cancel.s.sol --sig 'run(bytes32)'", vm.toString(id));
        _show(steps);
    }

    /// @dev One call through the timelock.
    function _throughTimelock(string memory name, string memory description, address to, bytes memory data)
        internal
        returns (Step[] memory)
    {
        (address[] memory targets, bytes[] memory payloads) = (new address[](1), new bytes[](1));
        (targets[0], payloads[0]) = (to, data);
        return _throughTimelock(name, description, targets, payloads);
    }

    /// @dev The timelock takes an operation once, ever; the second pause needs a second unpause. The lowest number that is
    /// not done yet makes the operation new, and finds one that waits.
    function _nextSalt(address[] memory targets, uint256[] memory values, bytes[] memory payloads)
        private
        view
        returns (bytes32)
    {
        uint256 salt = 0;
        while (timelock.isOperationDone(
                timelock.hashOperationBatch(targets, values, payloads, bytes32(0), bytes32(salt))
            )) ++salt;
        return bytes32(salt);
    }

    // --- what comes of it

    function _show(Step[] memory steps) private {
        string memory folder = vm.envOr("GOVERNANCE_OUT", string(""));
        if (bytes(folder).length != 0) vm.createDir(folder, true);
        for (uint256 i = 0; i < steps.length; ++i) {
            string memory json = toJson(steps[i]);
            console.log("--- Safe", vm.toString(address(safe)), steps[i].name);
            if (steps[i].after_ == type(uint256).max) {
                console.log("passes once the first step has landed and the timelock's delay is over");
            } else if (steps[i].after_ > 0) {
                console.log("passes from this second on:", steps[i].after_);
            }
            console.log(json);
            if (bytes(folder).length != 0) vm.writeFile(string.concat(folder, "/", steps[i].name, ".json"), json);
        }
        string memory keys = vm.envOr("OWNER_KEYS", string(""));
        if (bytes(keys).length != 0) executeReady(steps, vm.envUint("OWNER_KEYS", ","));
    }

    /// @notice Executes the first step, and those after it whose time has come.
    function executeReady(Step[] memory steps, uint256[] memory ownerKeys) public {
        execute(steps[0], ownerKeys);
        // the timelock compares with the same clock
        // forge-lint: disable-next-line(block-timestamp)
        for (uint256 i = 1; i < steps.length && steps[i].after_ <= block.timestamp; ++i) {
            execute(steps[i], ownerKeys);
        }
    }

    /// @notice The step as a file for Safe's Transaction Builder.
    function toJson(Step memory step) public view returns (string memory) {
        return SafeBatch.toJson(address(safe), step.name, step.description, step.to, step.data);
    }

    /// @notice Signs the step with the owners' keys and executes it; on a local chain alone.
    function execute(Step memory step, uint256[] memory ownerKeys) public {
        if (block.chainid != LOCAL_CHAIN) revert LocalChainOnly(block.chainid);
        // the timelock compares with the same clock
        // forge-lint: disable-next-line(block-timestamp)
        if (step.after_ > block.timestamp) revert NotYet(step.after_);
        bytes32 hash = safe.getTransactionHash(
            step.to, 0, step.data, Enum.Operation.Call, 0, 0, 0, address(0), address(0), safe.nonce()
        );
        bytes memory signatures = SafeBatch.sign(hash, ownerKeys);
        vm.broadcast(ownerKeys[0]);
        safe.execTransaction(
            step.to, 0, step.data, Enum.Operation.Call, 0, 0, 0, address(0), payable(address(0)), signatures
        );
    }
}
