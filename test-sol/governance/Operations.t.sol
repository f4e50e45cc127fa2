// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {DeployConfigs} from "../../script/DeployConfig.sol";
import {Cancel} from "../../script/governance/Cancel.s.sol";
import {Governance, Step} from "../../script/governance/Governance.sol";
import {Pause} from "../../script/governance/Pause.s.sol";
import {RotateIssuer} from "../../script/governance/RotateIssuer.s.sol";
import {SetPolicy} from "../../script/governance/SetPolicy.s.sol";
import {Unpause} from "../../script/governance/Unpause.s.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {GovernanceFixture} from "./GovernanceFixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Asks no node: the logs are those that the test recorded.
contract CancelByRecordedLogs is Cancel {
    function _logs(uint256, address where, bytes32[] memory topics)
        internal
        override
        returns (Vm.EthGetLogs[] memory logs)
    {
        Vm.Log[] memory all = vm.getRecordedLogs();
        logs = new Vm.EthGetLogs[](all.length);
        uint256 size = 0;
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i].emitter != where || all[i].topics[0] != topics[0] || all[i].topics[1] != topics[1]) continue;
            logs[size].topics = all[i].topics;
            logs[size++].data = all[i].data;
        }
        assembly ("memory-safe") {
            mstore(logs, size)
        }
    }
}

/// @notice No log of any role.
contract RotateWithoutLogs is RotateIssuer {
    function _logs(uint256, address, bytes32[] memory) internal pure override returns (Vm.EthGetLogs[] memory) {
        return new Vm.EthGetLogs[](0);
    }
}

contract OperationsTest is GovernanceFixture {
    Pause private pausing;
    Unpause private unpausing;
    SetPolicy private policies;
    RotateIssuer private issuers;
    Cancel private cancelling;

    bytes32 private constant ISSUER_ROLE = keccak256("ISSUER_ROLE");

    function setUp() public override {
        super.setUp();
        (pausing, unpausing, policies) = (new Pause(), new Unpause(), new SetPolicy());
        (issuers, cancelling) = (new RotateWithoutLogs(), new CancelByRecordedLogs());
        Governance[5] memory all = [Governance(pausing), unpausing, policies, issuers, cancelling];
        for (uint256 i = 0; i < all.length; ++i) {
            all[i].use(deployOut);
        }
    }

    function test_OneSignatureOfThreeFailsAndTwoPass() external {
        Step[] memory steps = pausing.run();
        assertEq(steps.length, 1, "no delay");
        SafeCall memory pause = _parse(pausing, steps[0]);
        bytes memory one = _signatures(keys, _safeTxHash(safe, pause), 1);
        vm.expectRevert("GS020");
        _exec(safe, pause, one);
        assertFalse(verifier.paused());
        // the same signature twice is not two
        vm.expectRevert("GS026");
        _exec(safe, pause, abi.encodePacked(one, one));
        assertFalse(verifier.paused());

        _exec(safe, pause, _signatures(keys, _safeTxHash(safe, pause), 2));
        assertTrue(verifier.paused());
    }

    function test_APauseStopsTheNextTransaction() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        _sign(pausing, pausing.run()[0]);
        bytes32 action = _action();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        vm.prank(subject);
        verifier.verify(ticket, action, CODE);
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        vm.prank(issuer);
        verifier.setOtp(LOGIN, 0, bytes32("id"), type(uint64).max);
        vm.expectRevert(abi.encodeWithSelector(Governance.NothingToDo.selector, "paused"));
        pausing.run();
    }

    function test_AnUnpauseWaitsAndCanBeRepeated() external {
        for (uint256 i = 0; i < 2; ++i) {
            _sign(pausing, pausing.run()[0]);
            Step[] memory steps = unpausing.run();
            _sign(unpausing, steps[0]);
            skip(config.delay - 1);
            _expectFailing(unpausing, steps[1]);
            assertTrue(verifier.paused());
            skip(1);
            _sign(unpausing, steps[1]);
            assertFalse(verifier.paused());
        }
    }

    function test_APolicyChangesForCodesIssuedAfterwards() external {
        IOtpVerifier.Ticket memory before = _issue();
        _pass(policies, policies.run("withdraw", 90, 0, 2, true));
        assertEq(verifier.policyOf(WITHDRAW).ttl, 90);
        assertEq(verifier.policyOf(WITHDRAW).maxAttempts, 2);
        skip(TTL - config.delay);
        _assertStatus(before, IOtpVerifier.Status.Issued);
        skip(1);
        _assertStatus(before, IOtpVerifier.Status.Expired);
        IOtpVerifier.Ticket memory later = _issue();
        skip(90);
        _assertStatus(later, IOtpVerifier.Status.Issued);
    }

    function test_ARunAgainFindsTheProposalThatWaits() external {
        _sign(policies, policies.run("withdraw", 90, 0, 2, true)[0]);
        Step[] memory left = policies.run("withdraw", 90, 0, 2, true);
        assertEq(left.length, 1, "the first step has landed");
        assertEq(left[0].after_, block.timestamp + config.delay);
        skip(config.delay);
        _sign(policies, left[0]);
        vm.expectRevert(abi.encodeWithSelector(Governance.NothingToDo.selector, "the policy is this already"));
        policies.run("withdraw", 90, 0, 2, true);
    }

    function test_TheSafeCannotPassTheTimelockBy() external {
        IOtpVerifier.Policy memory policy = _policy(90, 0, 2, true);
        SafeCall memory direct = _call(d.verifier, abi.encodeCall(IOtpVerifier.setPolicy, (WITHDRAW, policy)));
        bytes memory signatures = _signatures(keys, _safeTxHash(safe, direct), 3);
        vm.expectRevert("GS013");
        _exec(safe, direct, signatures);
    }

    function test_RevertWhen_APolicyCouldNeverBeSet() external {
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnsafeTtl.selector, "login", 29));
        policies.run("login", 29, 0, 1, true, true);
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnsafeTtl.selector, "login", 601));
        policies.run("login", 601, 0, 1, true, true);
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnsafeGrace.selector, "login", 3601));
        policies.run("login", 30, 3601, 1, true, true);
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnsafeMaxAttempts.selector, "login", 6));
        policies.run("login", 30, 0, 6, true, true);
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.BadPurpose.selector, ""));
        policies.run("", 30, 0, 1, true, true);
    }

    function test_RevertWhen_APolicyIsLaxerThanADeploymentsWithoutWaiver() external {
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnsafeTtl.selector, "login", 181));
        policies.run("login", 181, 0, 3, true);
        vm.expectRevert(abi.encodeWithSelector(DeployConfigs.UnsafeMaxAttempts.selector, "login", 4));
        policies.run("login", 180, 0, 4, true, false);
        assertEq(policies.run("login", 600, 3600, 5, true, true).length, 2);
    }

    function test_ThePolicysDescriptionSaysEachValueBesideThePresentOne() external {
        assertTrue(
            vm.contains(
                policies.run("withdraw", 90, 0, 2, false)[0].description,
                "Sets the policy of withdraw to ttl 90 s, grace 0 s, 2 attempts, disabled; at present ttl 60 s, grace 300 s, 3 attempts, enabled. First"
            )
        );
        assertTrue(
            vm.contains(
                policies.run("payouts", 600, 0, 5, true, true)[0].description,
                "Sets the policy of payouts to ttl 600 s, grace 0 s, 5 attempts, enabled. A new purpose. Waives what is recommended. First"
            )
        );
    }

    function test_ACancelledProposalCannotRun() external {
        Step[] memory steps = policies.run("login", 180, 3600, 3, true);
        _sign(policies, steps[0]);
        bytes32 id = _idOf(steps[1]);
        _sign(cancelling, cancelling.run(id)[0]);
        skip(config.delay);
        _expectFailing(policies, steps[1]);
        assertEq(verifier.policyOf(LOGIN).ttl, 60);
        assertFalse(timelock.isOperation(id));
        vm.expectRevert(
            abi.encodeWithSelector(Governance.NothingToDo.selector, "the timelock knows no such proposal that waits")
        );
        cancelling.run(id);
    }

    function test_ACancellationSaysWhatIsCancelled() external {
        vm.recordLogs();
        Step[] memory steps = policies.run("login", 180, 3600, 3, true);
        _sign(policies, steps[0]);
        _assertCancels(
            steps[1],
            string.concat("setPolicy ", vm.toString(LOGIN), " to ttl 180 s, grace 3600 s, 3 attempts, enabled.")
        );

        address fresh = makeAddr("fresh");
        steps = issuers.run(issuer, fresh);
        _sign(issuers, steps[0]);
        string memory words = string.concat("grantRole ISSUER_ROLE to ", vm.toString(fresh));
        _assertCancels(steps[1], string.concat(words, "; removeIssuer ", vm.toString(issuer), "."));
        _assertCancels(steps[1], ": the logs do not show what it does."); // they were read already
    }

    function _assertCancels(Step memory step, string memory words) private {
        bytes32 id = _idOf(step);
        string memory description = cancelling.run(id)[0].description;
        assertTrue(vm.contains(description, vm.toString(id)));
        assertTrue(vm.contains(description, words), description);
    }

    /// @dev The operation that an execute step executes.
    function _idOf(Step memory step) private view returns (bytes32) {
        bytes memory arguments = new bytes(step.data.length - 4);
        for (uint256 i = 0; i < arguments.length; ++i) {
            arguments[i] = step.data[i + 4];
        }
        (address[] memory to, uint256[] memory values, bytes[] memory data, bytes32 before, bytes32 salt) =
            abi.decode(arguments, (address[], uint256[], bytes[], bytes32, bytes32));
        return timelock.hashOperationBatch(to, values, data, before, salt);
    }

    // --- issuers

    function test_TheOldIssuerIsDeadInTheSameBlock() external {
        bytes32[] memory ids = _ids(issuer, WITHDRAW, 0, 1);
        Step[] memory steps = issuers.run(issuer, otherIssuer); // a standby: it holds the role already
        assertEq(steps.length, 1, "no delay");
        _sign(issuers, steps[0]);
        // no block later, no second later
        _expectMissingRole(issuer, ISSUER_ROLE);
        vm.prank(issuer);
        verifier.setOtps(WITHDRAW, 0, ids, type(uint64).max);
        _issueBatch(otherIssuer, WITHDRAW, 1, 0);
    }

    function test_ANewIssuerComesInTheTransactionInWhichTheOldOneGoes() external {
        IOtpVerifier.Ticket memory live = _issue();
        address fresh = makeAddr("fresh");
        Step[] memory steps = issuers.run(issuer, fresh);
        _sign(issuers, steps[0]);
        skip(config.delay - 1);
        _expectFailing(issuers, steps[1]);
        assertTrue(verifier.hasRole(ISSUER_ROLE, issuer));
        assertFalse(verifier.hasRole(ISSUER_ROLE, fresh));
        skip(1);
        _sign(issuers, steps[1]);
        assertFalse(verifier.hasRole(ISSUER_ROLE, issuer));
        assertTrue(verifier.hasRole(ISSUER_ROLE, fresh));
        _verify(live); // its codes stay good
    }

    function test_AStolenIssuerKeyIsRemovedAtOnce() external {
        _issue(); // which shows later that it was an issuer
        Step[] memory steps = issuers.remove(issuer);
        assertEq(steps.length, 1);
        _sign(issuers, steps[0]);
        assertFalse(verifier.hasRole(ISSUER_ROLE, issuer));
        vm.expectRevert(abi.encodeWithSelector(Governance.NothingToDo.selector, "no issuer any more"));
        issuers.remove(issuer);
    }

    function test_RevertWhen_TheNewIssuerIsNone() external {
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, "new issuer", address(0)));
        issuers.run(issuer, address(0));
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, "new issuer", issuer));
        issuers.run(issuer, issuer);
        address owner = config.owners[0];
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, "new issuer is the Safe or an owner", owner));
        issuers.run(issuer, owner);
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, "never issued and holds no role", stranger));
        issuers.run(stranger, issuer);
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, "never issued and holds no role", stranger));
        issuers.remove(stranger);
    }

    function test_RevertWhen_TheNewIssuerHoldsAnotherPower() external {
        _expectUnfit("new issuer is the Safe or an owner", d.safe);
        issuers.run(issuer, d.safe);
        _expectUnfit("new issuer is the timelock", d.timelock);
        issuers.run(issuer, d.timelock);
        bytes32[3] memory roles = [bytes32(0), keccak256("GOVERNOR_ROLE"), keccak256("GUARDIAN_ROLE")];
        for (uint256 i = 0; i < roles.length; ++i) {
            address other = makeAddr(vm.toString(i));
            vm.prank(d.timelock);
            verifier.grantRole(roles[i], other);
            _expectUnfit("new issuer is admin, governor or guardian", other);
            issuers.run(issuer, other);
        }
    }

    function _expectUnfit(string memory what, address account) private {
        vm.expectRevert(abi.encodeWithSelector(Governance.Unfit.selector, what, account));
    }

    // --- on a local chain

    function test_TheScriptExecutesOnALocalChain() external {
        uint256[] memory two = new uint256[](2);
        (two[0], two[1]) = (keys[2], keys[0]);
        pausing.execute(pausing.run()[0], two);
        assertTrue(verifier.paused());
        Step[] memory steps = unpausing.run();
        unpausing.execute(steps[0], two);
        steps = unpausing.run();
        vm.expectRevert(abi.encodeWithSelector(Governance.NotYet.selector, block.timestamp + config.delay));
        unpausing.execute(steps[0], two);
        skip(config.delay);
        unpausing.execute(steps[0], two);
        assertFalse(verifier.paused());
    }

    function test_RevertWhen_KeysAreUsedOnAnotherChain() external {
        Step memory pause = pausing.run()[0];
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(Governance.LocalChainOnly.selector, 1));
        pausing.execute(pause, keys);
    }

    function test_RevertWhen_TheDeploymentIsOfAnotherChain() external {
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(Governance.OtherChain.selector, 31_337));
        pausing.use(deployOut);
    }
}
