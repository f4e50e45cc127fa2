// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpGated} from "../../../src-sol/OtpGated.sol";
import {GatedKeys} from "../../../src-sol/examples/GatedKeys.sol";
import {GatedRoles} from "../../../src-sol/examples/GatedRoles.sol";
import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice A consumer that tries its own gated function again from inside of it, with the very same code.
contract ReenteringConsumer is OtpGated {
    bytes32 internal constant PAYLOAD_HASH = keccak256("payload");
    uint256 public passed;
    bytes public refusal;
    bool private _inside;

    constructor(IOtpVerifier verifier) OtpGated(verifier) {}

    function run(address subject, IOtpVerifier.Ticket calldata ticket, string calldata code)
        external
        onlyWithCode(ticket, "withdraw", PAYLOAD_HASH, code)
    {
        ++passed;
        if (_inside) return;
        _inside = true;
        // as itself, and past the gate straight at the verifier: in the name of the subject, whose rights it claims
        try this.run(subject, ticket, code) {}
        catch (bytes memory error) {
            refusal = error;
        }
        try VERIFIER.verifyAndConsume(ticket, subject, "withdraw", PAYLOAD_HASH, code) {
            ++passed;
        } catch (bytes memory error) {
            refusal = error;
        }
        try VERIFIER.consume(ticket, subject, "withdraw", PAYLOAD_HASH, keccak256(bytes(code))) {
            ++passed;
        } catch (bytes memory error) {
            refusal = error;
        }
    }
}

abstract contract GatedFixture is Fixture {
    bytes32 internal constant KEYS = "keys";
    bytes32 internal constant ROLES = "roles";

    function setUp() public virtual override {
        super.setUp();
        vm.startPrank(governor);
        verifier.setPolicy(KEYS, _policy(TTL, GRACE, 3, true));
        verifier.setPolicy(ROLES, _policy(TTL, GRACE, 3, true));
        vm.stopPrank();
    }

    function _issueFor(bytes32 purpose, address account, bytes32 action)
        internal
        returns (IOtpVerifier.Ticket memory ticket)
    {
        uint40 serial = verifier.nextSerial(issuer, purpose);
        bytes32 id = _id(issuer, purpose, serial, account, action, CODE);
        vm.prank(issuer);
        verifier.setOtp(purpose, serial, id, type(uint64).max);
        return _ticket(issuer, purpose, serial, _roots(id), 0);
    }
}

contract GatedKeysTest is GatedFixture {
    GatedKeys private gated;
    address private key = makeAddr("key");

    function setUp() public override {
        super.setUp();
        gated = new GatedKeys(verifier);
    }

    function _issueChange(address key_, uint256 nonce) private returns (IOtpVerifier.Ticket memory) {
        bytes32 payloadHash = keccak256(abi.encode(keccak256("KeyChange(address key,uint256 nonce)"), key_, nonce));
        assertEq(gated.payloadHashOf(key_, nonce), payloadHash);
        bytes32 action = _action(address(gated), payloadHash);
        assertEq(gated.actionOf(key_, nonce), action);
        return _issueFor(KEYS, subject, action);
    }

    function test_TrustsOneVerifier() external view {
        assertEq(address(gated.VERIFIER()), address(verifier));
        assertEq(gated.PURPOSE(), KEYS);
    }

    function test_ChangesAKeyInTwoSteps() external {
        IOtpVerifier.Ticket memory ticket = _issueChange(key, 0);
        bytes32 action = gated.actionOf(key, 0);
        vm.startPrank(subject);
        verifier.verify(ticket, action, CODE);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpConsumed(ticket.id, subject, address(gated), issuer, KEYS);
        vm.expectEmit(address(gated));
        emit GatedKeys.KeyChanged(subject, key, 0);
        gated.changeKey(key, ticket, _hash(CODE));
        vm.stopPrank();
        assertEq(gated.keyOf(subject), key);
        assertEq(gated.nonces(subject), 1);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
    }

    function test_ChangesAKeyInOneStep() external {
        IOtpVerifier.Ticket memory ticket = _issueChange(key, 0);
        vm.expectEmit(address(gated));
        emit GatedKeys.KeyChanged(subject, key, 0);
        vm.prank(subject);
        gated.changeKeyWithCode(key, ticket, CODE);
        assertEq(gated.keyOf(subject), key);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
    }

    function test_RevertWhen_TheSubjectDidNotVerify() external {
        IOtpVerifier.Ticket memory ticket = _issueChange(key, 0);
        _expectId(IOtpVerifier.OtpNotVerified.selector, ticket.id);
        vm.prank(subject);
        gated.changeKey(key, ticket, _hash(CODE));
        assertEq(gated.nonces(subject), 0, "a call that fails moves no nonce");
    }

    function test_RevertWhen_TheCallerIsNotTheSubject() external {
        IOtpVerifier.Ticket memory ticket = _issueChange(key, 0);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(stranger);
        gated.changeKeyWithCode(key, ticket, CODE);

        bytes32 action = gated.actionOf(key, 0);
        vm.prank(subject);
        verifier.verify(ticket, action, CODE);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(stranger);
        gated.changeKey(key, ticket, _hash(CODE));
    }

    function test_RevertWhen_TheKeyIsAnother() external {
        IOtpVerifier.Ticket memory ticket = _issueChange(key, 0);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(subject);
        gated.changeKeyWithCode(stranger, ticket, CODE);
    }

    function test_RevertWhen_TheNonceHasMoved() external {
        IOtpVerifier.Ticket memory one = _issueChange(key, 0);
        IOtpVerifier.Ticket memory two = _issueChange(key, 0);
        vm.startPrank(subject);
        gated.changeKeyWithCode(key, one, CODE);
        _expectId(IOtpVerifier.WrongCode.selector, two.id);
        gated.changeKeyWithCode(key, two, CODE);
        vm.stopPrank();
    }

    function test_RevertWhen_TheCodeIsOfAnotherPurpose() external {
        IOtpVerifier.Ticket memory ticket = _issueFor(LOGIN, subject, gated.actionOf(key, 0));
        vm.startPrank(subject);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, LOGIN));
        gated.changeKeyWithCode(key, ticket, CODE);
        verifier.verify(ticket, gated.actionOf(key, 0), CODE);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, LOGIN));
        gated.changeKey(key, ticket, _hash(CODE));
        vm.stopPrank();
    }
}

contract GatedRolesTest is GatedFixture {
    GatedRoles private gated;
    bytes32 private constant OPERATOR = keccak256("OPERATOR");
    address private friend = makeAddr("friend");

    function setUp() public override {
        super.setUp();
        gated = new GatedRoles(verifier, subject);
    }

    function _issueGrant(address admin, uint256 nonce) private returns (IOtpVerifier.Ticket memory) {
        bytes32 payloadHash = keccak256(
            abi.encode(keccak256("RoleGrant(bytes32 role,address account,uint256 nonce)"), OPERATOR, friend, nonce)
        );
        assertEq(gated.payloadHashOf(OPERATOR, friend, nonce), payloadHash);
        assertEq(gated.actionOf(OPERATOR, friend, nonce), _action(address(gated), payloadHash));
        return _issueFor(ROLES, admin, _action(address(gated), payloadHash));
    }

    function test_AnAdminGrantsWithACodeAndRevokesWithout() external {
        IOtpVerifier.Ticket memory ticket = _issueGrant(subject, 0);
        vm.startPrank(subject);
        gated.grantRoleWithCode(OPERATOR, friend, ticket, CODE);
        assertTrue(gated.hasRole(OPERATOR, friend));
        gated.revokeRole(OPERATOR, friend);
        assertFalse(gated.hasRole(OPERATOR, friend));
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        gated.grantRoleWithCode(OPERATOR, friend, ticket, CODE);
        vm.stopPrank();
    }

    function test_RevertWhen_GrantedWithoutACode() external {
        vm.expectRevert(GatedRoles.CodeNeeded.selector);
        vm.prank(subject);
        gated.grantRole(OPERATOR, friend);
    }

    function test_RevertWhen_ACodeIsAllThatTheCallerHas() external {
        IOtpVerifier.Ticket memory ticket = _issueGrant(stranger, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, bytes32(0))
        );
        vm.prank(stranger);
        gated.grantRoleWithCode(OPERATOR, friend, ticket, CODE);
        _assertStatus(ticket, IOtpVerifier.Status.Issued);
    }

    function test_RevertWhen_TheAccountIsAnother() external {
        IOtpVerifier.Ticket memory ticket = _issueGrant(subject, 0);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(subject);
        gated.grantRoleWithCode(OPERATOR, stranger, ticket, CODE);
    }
}

contract ReenteringConsumerTest is GatedFixture {
    function test_AReenteringConsumerGetsNothing() external {
        ReenteringConsumer thief = new ReenteringConsumer(verifier);
        IOtpVerifier.Ticket memory ticket = _issueFor(WITHDRAW, subject, _action(address(thief), PAYLOAD_HASH));
        vm.prank(subject);
        thief.run(subject, ticket, CODE);
        assertEq(thief.passed(), 1, "one code, one pass");
        assertEq(thief.refusal(), abi.encodeWithSelector(IOtpVerifier.OtpUsed.selector, ticket.id));
    }
}
