// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GatedVault} from "../../../src-sol/examples/GatedVault.sol";
import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";

/// @notice Calls the vault again while it is paid, and goes on whatever that gives.
contract Reenterer {
    bytes private _data;
    bool public reentered;
    bytes public refusal;

    function callBack(bytes calldata data) external {
        _data = data;
    }

    function run(address target, bytes calldata data, uint256 value) external {
        (bool ok,) = target.call{value: value}(data);
        require(ok, "run");
    }

    receive() external payable {
        (reentered, refusal) = msg.sender.call(_data);
    }
}

contract VaultTest is Fixture {
    GatedVault private vault;
    address private to = makeAddr("to");

    function setUp() public override {
        super.setUp();
        vault = new GatedVault(verifier);
        deal(subject, 10 ether);
        vm.prank(subject);
        vault.deposit{value: 5 ether}();
    }

    function _issueWithdrawal(address account, address to_, uint256 amount, uint256 nonce)
        private
        returns (IOtpVerifier.Ticket memory ticket)
    {
        bytes32 payloadHash = keccak256(
            abi.encode(keccak256("Withdrawal(address to,uint256 amount,uint256 nonce)"), to_, amount, nonce)
        );
        bytes32 action = _action(address(vault), payloadHash);
        assertEq(vault.payloadHashOf(to_, amount, nonce), payloadHash);
        assertEq(vault.actionOf(to_, amount, nonce), action);
        uint40 serial = verifier.nextSerial(issuer, WITHDRAW);
        bytes32 id = _id(issuer, WITHDRAW, serial, account, action, CODE);
        vm.prank(issuer);
        verifier.setOtp(WITHDRAW, serial, id, type(uint64).max);
        return _ticket(issuer, WITHDRAW, serial, _roots(id), 0);
    }

    function _withdrawWithCode(IOtpVerifier.Ticket memory ticket, address to_, uint256 amount) private {
        vm.prank(subject);
        vault.withdrawWithCode(to_, amount, ticket, CODE);
    }

    function test_TakesDeposits() external {
        vm.expectEmit(address(vault));
        emit GatedVault.Deposited(subject, 2 ether);
        vm.prank(subject);
        vault.deposit{value: 2 ether}();
        assertEq(vault.balanceOf(subject), 7 ether);
        assertEq(address(vault.VERIFIER()), address(verifier));
        assertEq(vault.PURPOSE(), WITHDRAW);
    }

    function test_PaysOutInTwoSteps() external {
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, to, 3 ether, 0);
        bytes32 action = vault.actionOf(to, 3 ether, 0);
        vm.startPrank(subject);
        verifier.verify(ticket, action, CODE);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpConsumed(ticket.id, subject, address(vault), issuer, WITHDRAW);
        vm.expectEmit(address(vault));
        emit GatedVault.Withdrawn(subject, to, 3 ether, 0);
        vault.withdraw(to, 3 ether, ticket, _hash(CODE));
        vm.stopPrank();
        _assertPaid(3 ether);
    }

    function test_PaysOutInOneStep() external {
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, to, 3 ether, 0);
        vm.expectEmit(address(vault));
        emit GatedVault.Withdrawn(subject, to, 3 ether, 0);
        _withdrawWithCode(ticket, to, 3 ether);
        _assertPaid(3 ether);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
    }

    function _assertPaid(uint256 amount) private view {
        assertEq(to.balance, amount);
        assertEq(vault.balanceOf(subject), 5 ether - amount);
        assertEq(address(vault).balance, 5 ether - amount);
        assertEq(vault.nonces(subject), 1);
    }

    function test_RevertWhen_NothingWasVerified() external {
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, to, 3 ether, 0);
        _expectId(IOtpVerifier.OtpNotVerified.selector, ticket.id);
        vm.prank(subject);
        vault.withdraw(to, 3 ether, ticket, _hash(CODE));
    }

    function test_RevertWhen_TheCodeIsUsedAgain() external {
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, to, 1 ether, 0);
        _withdrawWithCode(ticket, to, 1 ether);
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        _withdrawWithCode(ticket, to, 1 ether);
    }

    function test_RevertWhen_TheWithdrawalIsAnother() external {
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, to, 1 ether, 0);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        _withdrawWithCode(ticket, stranger, 1 ether);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        _withdrawWithCode(ticket, to, 2 ether);
    }

    function test_RevertWhen_TheNonceIsAnother() external {
        IOtpVerifier.Ticket memory early = _issueWithdrawal(subject, to, 1 ether, 1);
        _expectId(IOtpVerifier.WrongCode.selector, early.id);
        _withdrawWithCode(early, to, 1 ether);
        // two codes for the same nonce: one of them pays
        IOtpVerifier.Ticket memory one = _issueWithdrawal(subject, to, 1 ether, 0);
        IOtpVerifier.Ticket memory two = _issueWithdrawal(subject, to, 1 ether, 0);
        _withdrawWithCode(one, to, 1 ether);
        _expectId(IOtpVerifier.WrongCode.selector, two.id);
        _withdrawWithCode(two, to, 1 ether);
        _withdrawWithCode(early, to, 1 ether);
        assertEq(to.balance, 2 ether);
    }

    function test_RevertWhen_AnotherAccountCallsWithTheCode() external {
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, to, 1 ether, 0);
        deal(stranger, 1 ether);
        vm.startPrank(stranger);
        vault.deposit{value: 1 ether}();
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vault.withdrawWithCode(to, 1 ether, ticket, CODE);
    }

    function test_RevertWhen_TheCodeIsOfAnotherPurpose() external {
        bytes32 id = _id(issuer, LOGIN, 0, subject, vault.actionOf(to, 1 ether, 0), CODE);
        vm.prank(issuer);
        verifier.setOtp(LOGIN, 0, id, type(uint64).max);
        IOtpVerifier.Ticket memory ticket = _ticket(issuer, LOGIN, 0, _roots(id), 0);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, LOGIN));
        _withdrawWithCode(ticket, to, 1 ether);
    }

    function test_RevertWhen_TheBalanceIsTooLow() external {
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, to, 6 ether, 0);
        vm.expectRevert(abi.encodeWithSelector(GatedVault.InsufficientBalance.selector, subject, 5 ether, 6 ether));
        _withdrawWithCode(ticket, to, 6 ether);
    }

    function test_RevertWhen_TheRecipientDoesNotTakeIt() external {
        address refuser = address(vault); // takes ether by deposit alone
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(subject, refuser, 1 ether, 0);
        vm.expectRevert(abi.encodeWithSelector(GatedVault.TransferFailed.selector, refuser, 1 ether));
        _withdrawWithCode(ticket, refuser, 1 ether);
        _assertStatus(ticket, IOtpVerifier.Status.Issued);
        assertEq(vault.nonces(subject), 0);
    }

    function test_ARecipientThatCallsBackGetsNothing() external {
        Reenterer thief = new Reenterer();
        IOtpVerifier.Ticket memory ticket = _issueWithdrawal(address(thief), address(thief), 1 ether, 0);
        bytes memory call = abi.encodeCall(GatedVault.withdrawWithCode, (address(thief), 1 ether, ticket, CODE));
        deal(address(thief), 2 ether);
        thief.run(address(vault), abi.encodeCall(GatedVault.deposit, ()), 2 ether);
        thief.callBack(call);
        thief.run(address(vault), call, 0);
        assertFalse(thief.reentered());
        assertEq(thief.refusal(), abi.encodeWithSelector(IOtpVerifier.OtpUsed.selector, ticket.id));
        assertEq(address(thief).balance, 1 ether);
        assertEq(vault.balanceOf(address(thief)), 1 ether);
    }
}
