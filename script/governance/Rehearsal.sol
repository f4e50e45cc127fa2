// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {Vm} from "forge-std/Vm.sol";

// that a call fails is an answer here, whatever its error
// solhint-disable avoid-low-level-calls

/// @title Rehearsal
/// @notice A change of implementation tried out on a copy of the chain, before anybody signs it: codes in every state are
/// made, the change is executed, and everything must read as before and go on to work. That shows a moved storage layout,
/// a changed domain, a lost role or a gate that stands open, whatever the sources say of themselves.
contract Rehearsal {
    /// @notice What the new implementation gets wrong.
    error Fails(string what);

    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes32 private constant PURPOSE = "rehearsal";
    bytes32 private constant PAYLOAD_HASH = keccak256("payload");
    string private constant CODE = "482913abcdefghijklmnopqrstuvwxyz";

    IOtpVerifier private immutable VERIFIER;
    address private immutable GOVERNOR;

    /// @dev In batches of two: one issued and one verified, one consumed and one revoked. This contract is issuer, subject
    /// and consumer of all.
    IOtpVerifier.Ticket[4] private _tickets;
    bytes32[2] private _roots;

    constructor(IOtpVerifier verifier, address governor) {
        (VERIFIER, GOVERNOR) = (verifier, governor);
    }

    /// @notice Reverts with what is wrong after the governor's call; leaves the chain as it was. Where the present
    /// implementation is broken nothing can be made with it to compare, and the next one is tried alone.
    function check(address target, bytes calldata call, bool presentIsBroken) external {
        uint256 snapshot = VM.snapshotState();
        if (presentIsBroken) {
            _change(target, call);
            _makeCodes();
        } else {
            _makeCodes();
            bytes32 before = _reading();
            _change(target, call);
            if (_reading() != before) revert Fails("batches, serials, policies, roles or domain read otherwise");
        }
        _useCodes();
        VM.revertToStateAndDelete(snapshot);
    }

    function _change(address target, bytes calldata call) private {
        VM.prank(GOVERNOR);
        (bool done,) = target.call(call);
        if (!done) revert Fails("the change itself reverts");
    }

    function _makeCodes() private {
        bytes32 issuerRole = VERIFIER.ISSUER_ROLE();
        VM.startPrank(GOVERNOR);
        VERIFIER.setPolicy(PURPOSE, _policy());
        IAccessControl(address(VERIFIER)).grantRole(issuerRole, address(this));
        if (_isPaused()) VERIFIER.unpause();
        VM.stopPrank();

        for (uint40 i = 0; i < 2; ++i) {
            _issueTwo(i);
        }
        _verify(1);
        _verify(2);
        _consume(2);
        IOtpVerifier.Ticket[] memory last = new IOtpVerifier.Ticket[](1);
        last[0] = _tickets[3];
        VERIFIER.revoke(last);
    }

    function _issueTwo(uint40 batch) private {
        bytes32[] memory ids = new bytes32[](2);
        uint40 first = batch * 2;
        for (uint40 i = 0; i < 2; ++i) {
            ids[i] =
                VERIFIER.computeId(address(this), PURPOSE, first + i, address(this), _action(), keccak256(bytes(CODE)));
        }
        _roots[batch] = VERIFIER.setOtps(PURPOSE, first, ids, type(uint64).max);
        for (uint40 i = 0; i < 2; ++i) {
            IOtpVerifier.Ticket storage ticket = _tickets[first + i];
            (ticket.id, ticket.issuer) = (ids[i], address(this));
            (ticket.purpose, ticket.serial) = (PURPOSE, first + i);
            uint40 other = 1 - i;
            ticket.proof.push(keccak256(abi.encode(PURPOSE, uint256(first + other), ids[other])));
        }
    }

    /// @dev Everything that a view tells of what was stored.
    function _reading() private view returns (bytes32) {
        bytes memory codes;
        for (uint256 i = 0; i < _roots.length; ++i) {
            (uint40 expiry, uint16 grace, uint40 first, uint160 states) = VERIFIER.batchOf(address(this), _roots[i]);
            codes = abi.encode(codes, expiry, grace, first, states);
        }
        for (uint256 i = 0; i < _tickets.length; ++i) {
            codes = abi.encode(codes, VERIFIER.statusOf(_tickets[i]));
        }
        bytes memory settings =
            abi.encode(VERIFIER.nextSerial(address(this), PURPOSE), VERIFIER.policyOf(PURPOSE), _isPaused());
        return keccak256(abi.encode(codes, settings, _roles(), _domain()));
    }

    function _roles() private view returns (bytes memory) {
        IAccessControl roles = IAccessControl(address(VERIFIER));
        return abi.encode(
            roles.hasRole(VERIFIER.ISSUER_ROLE(), address(this)),
            roles.hasRole(VERIFIER.GUARDIAN_ROLE(), address(this)),
            roles.hasRole(VERIFIER.GOVERNOR_ROLE(), GOVERNOR),
            roles.hasRole(bytes32(0), GOVERNOR)
        );
    }

    function _domain() private view returns (bytes memory) {
        (, string memory name, string memory domainVersion, uint256 chainId, address self,,) =
            IERC5267(address(VERIFIER)).eip712Domain();
        return abi.encode(name, domainVersion, chainId, self);
    }

    /// @dev What is live goes on, what is over stays over, and what was shut is shut.
    function _useCodes() private {
        if (_passes(abi.encodeCall(IOtpVerifier.verify, (_tickets[0], _action(), "482913")))) {
            revert Fails("a wrong code verifies");
        }
        if (_passes(abi.encodeCall(IOtpVerifier.verify, (_tickets[2], _action(), CODE)))) {
            revert Fails("a consumed code verifies");
        }
        if (_passes(abi.encodeCall(IOtpVerifier.verify, (_tickets[3], _action(), CODE)))) {
            revert Fails("a revoked code verifies");
        }
        if (_passes(abi.encodeCall(IOtpVerifier.setPolicy, (PURPOSE, _policy())))) revert Fails("anybody governs");
        bytes memory verifying = abi.encodeCall(IOtpVerifier.verify, (_tickets[0], _action(), CODE));
        VM.prank(address(VM));
        if (_passes(verifying)) revert Fails("another wallet verifies");
        if (!_passes(verifying) || _passes(verifying)) revert Fails("an issued code does not verify once");
        bytes memory consuming = _consuming(1);
        if (!_passes(consuming) || _passes(consuming)) revert Fails("a verified code is not consumed once");
    }

    function _passes(bytes memory call) private returns (bool passed) {
        (passed,) = address(VERIFIER).call(call);
    }

    function _verify(uint256 i) private {
        VERIFIER.verify(_tickets[i], _action(), CODE);
    }

    function _consuming(uint256 i) private view returns (bytes memory) {
        return abi.encodeCall(
            IOtpVerifier.consume, (_tickets[i], address(this), PURPOSE, PAYLOAD_HASH, keccak256(bytes(CODE)))
        );
    }

    function _consume(uint256 i) private {
        if (!_passes(_consuming(i))) revert Fails("a verified code is not consumed");
    }

    function _policy() private pure returns (IOtpVerifier.Policy memory) {
        return IOtpVerifier.Policy({ttl: 600, grace: 3600, maxAttempts: 5, enabled: true});
    }

    function _action() private view returns (bytes32) {
        return keccak256(abi.encode(address(this), PAYLOAD_HASH));
    }

    function _isPaused() private view returns (bool) {
        (bool ok, bytes memory answer) = address(VERIFIER).staticcall(abi.encodeWithSignature("paused()"));
        return ok && abi.decode(answer, (bool));
    }
}
