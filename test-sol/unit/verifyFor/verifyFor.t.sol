// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {ContractWallet} from "../../utils/ContractWallet.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";

contract VerifyForTest is Fixture {
    IOtpVerifier.Ticket private ticket;
    bytes32 private action;
    uint64 private deadline;

    function setUp() public override {
        super.setUp();
        action = _action();
        deadline = _soon();
        ticket = _issue();
    }

    /// @dev EIP-712 by its own words: domain from ERC-5267's fields, struct from the protocol's type.
    function _digest(bytes32 id, bytes32 action_, uint64 deadline_) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OtpVerifier"),
                keccak256("1"),
                block.chainid,
                address(verifier)
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(keccak256("Verify(bytes32 id,bytes32 action,uint64 deadline)"), id, action_, deadline_)
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _sign(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _signature() private view returns (bytes memory) {
        return _sign(subjectKey, _digest(ticket.id, action, deadline));
    }

    function _expectInvalid(address subject_, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.InvalidSignature.selector, subject_));
        verifier.verifyFor(subject_, ticket, action, CODE, deadline, signature);
    }

    function test_RevertWhen_Paused() external {
        bytes memory signature = _signature();
        _pause();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        verifier.verifyFor(subject, ticket, action, CODE, deadline, signature);
    }

    function test_RevertWhen_PastTheDeadline() external {
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.PastDeadline.selector, deadline));
        verifier.verifyFor(subject, ticket, action, CODE, deadline, "");
    }

    function test_RevertWhen_TheSignatureIsAnothers() external {
        (, uint256 key) = makeAddrAndKey("thief");
        _expectInvalid(subject, _sign(key, _digest(ticket.id, action, deadline)));
        _expectInvalid(stranger, _signature());
        _expectInvalid(subject, "");
        _expectInvalid(subject, new bytes(65));
        _expectInvalid(address(0), new bytes(65));
    }

    function test_RevertWhen_SomethingElseWasSigned() external {
        _expectInvalid(subject, _sign(subjectKey, _digest(keccak256("other"), action, deadline)));
        _expectInvalid(subject, _sign(subjectKey, _digest(ticket.id, keccak256("other"), deadline)));
        _expectInvalid(subject, _sign(subjectKey, _digest(ticket.id, action, deadline + 1)));
    }

    function test_RevertWhen_SignedForAnotherChain() external {
        bytes memory signature = _signature();
        vm.chainId(block.chainid + 1);
        _expectInvalid(subject, signature);
    }

    function test_RevertWhen_TheContractWalletRefuses() external {
        ContractWallet wallet = new ContractWallet(subject);
        _expectInvalid(address(wallet), _sign(uint256(keccak256("other")), _digest(ticket.id, action, deadline)));
    }

    function test_RevertWhen_AsInVerify() external {
        bytes memory signature = _signature();
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        verifier.verifyFor(subject, ticket, action, "wrong", deadline, signature);

        verifier.verifyFor(subject, ticket, action, CODE, deadline, signature);
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        verifier.verifyFor(subject, ticket, action, CODE, deadline, signature);
    }

    function test_WhenTheSubjectSigned() external {
        bytes memory signature = _signature();
        vm.warp(deadline);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpVerified(ticket.id, subject, action, issuer, WITHDRAW);
        vm.prank(stranger);
        assertTrue(verifier.verifyFor(subject, ticket, action, CODE, deadline, signature));
        _assertStatus(ticket, IOtpVerifier.Status.Verified);
        _consume(ticket);
    }

    function test_WhenAContractWalletSignsByErc1271() external {
        ContractWallet wallet = new ContractWallet(subject);
        _issueFor(address(wallet));
        bytes memory signature = _signature();
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpVerified(ticket.id, address(wallet), action, issuer, WITHDRAW);
        assertTrue(verifier.verifyFor(address(wallet), ticket, action, CODE, deadline, signature));
    }

    /// @dev The wallet is asked by a staticcall and before anything is read: what it tries inside changes nothing.
    function test_WhenTheWalletCallsBack() external {
        ContractWallet wallet = new ContractWallet(subject);
        _issueFor(address(wallet));
        wallet.callBack(address(verifier), abi.encodeCall(IOtpVerifier.verify, (ticket, action, CODE)));
        bytes memory signature = _signature();
        assertTrue(verifier.verifyFor(address(wallet), ticket, action, CODE, deadline, signature));
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        wallet.execute(address(verifier), abi.encodeCall(IOtpVerifier.verify, (ticket, action, CODE)));
    }

    function _issueFor(address wallet) private {
        uint40 serial = verifier.nextSerial(issuer, WITHDRAW);
        bytes32 id = _id(issuer, WITHDRAW, serial, wallet, action, CODE);
        vm.prank(issuer);
        verifier.setOtp(WITHDRAW, serial, id, deadline);
        ticket = _ticket(issuer, WITHDRAW, serial, _roots(id), 0);
    }
}
