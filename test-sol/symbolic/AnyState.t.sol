// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Deployed} from "./Deployed.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Test} from "forge-std/Test.sol";

/// @notice One call of any function of the ABI that changes state, by anybody, in any state, reachable or not. So what one
/// call keeps, every sequence of calls keeps. PROOFS.md says what this is bounded by.
/// @custom:halmos --array-lengths ids={0,1},tickets={0,1},roots={0,1},proof={0,1},issuers=1,code=32,signature=65
contract AnyStateProof is Deployed, Test {
    function setUp() external {
        _deploy(address(0x60), address(0x61), new address[](0));
        _anyState();
    }

    function _call(address caller, bytes memory data) private {
        vm.prank(caller);
        (bool ok,) = address(verifier).call(data);
        ok;
    }

    /// @dev A function that is added tomorrow is none of these, and must change nothing until it is named here.
    function check_EachFunctionIsForWhoMayCallIt(address caller) external {
        bytes memory data = SVM.createCalldata("OtpVerifier");
        bool allowed = _isAllowed(caller, bytes4(data), data);
        uint256 before = SVM.snapshotStorage(address(verifier));
        _call(caller, data);
        assert(allowed || SVM.snapshotStorage(address(verifier)) == before);
    }

    function _isAllowed(address caller, bytes4 f, bytes memory data) private view returns (bool) {
        bool issuer = verifier.hasRole(ISSUER_ROLE, caller);
        bool guardian = verifier.hasRole(GUARDIAN_ROLE, caller);
        bool governor = verifier.hasRole(GOVERNOR_ROLE, caller);
        if (f == IOtpVerifier.setOtp.selector || f == IOtpVerifier.setOtps.selector) return issuer;
        if (f == IOtpVerifier.revoke.selector || f == IOtpVerifier.revokeBatches.selector) return issuer || guardian;
        if (f == IOtpVerifier.pause.selector || f == IOtpVerifier.removeIssuer.selector) return guardian || governor;
        if (f == IOtpVerifier.unpause.selector || f == IOtpVerifier.setPolicy.selector) return governor;
        if (f == IAccessControl.renounceRole.selector) return caller == address(uint160(_argument(data, 1)));
        if (f == IAccessControl.grantRole.selector || f == IAccessControl.revokeRole.selector) {
            return verifier.hasRole(verifier.getRoleAdmin(bytes32(_argument(data, 0))), caller);
        }
        // whom these serve does not hang on a role: Codes.t.sol
        return f == IOtpVerifier.verify.selector || f == IOtpVerifier.verifyFor.selector
            || f == IOtpVerifier.consume.selector || f == IOtpVerifier.verifyAndConsume.selector;
    }

    function _argument(bytes memory data, uint256 index) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x24), mul(index, 0x20)))
        }
    }

    /// @dev Who is neither guardian nor governor nor a role's admin: an issuer, a subject, anybody.
    function check_WithoutAGoverningRoleNobodyGoverns(
        address caller,
        bytes32 role,
        address account,
        bytes32 purpose,
        address other
    ) external {
        vm.assume(!verifier.hasRole(GUARDIAN_ROLE, caller) && !verifier.hasRole(GOVERNOR_ROLE, caller));
        vm.assume(!verifier.hasRole(verifier.getRoleAdmin(role), caller));
        vm.assume(account != caller && other != caller);
        bytes32 before = _governed(role, account, purpose, other);
        _call(caller, SVM.createCalldata("OtpVerifier"));
        assert(_governed(role, account, purpose, other) == before);
    }

    function _governed(bytes32 role, address account, bytes32 purpose, address other) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                verifier.paused(),
                verifier.hasRole(role, account),
                verifier.getRoleAdmin(role),
                verifier.policyOf(purpose),
                verifier.nextSerial(other, purpose)
            )
        );
    }

    function check_NextSerialNeverFalls(address caller, address issuer, bytes32 purpose) external {
        uint256 before = verifier.nextSerial(issuer, purpose);
        _call(caller, SVM.createCalldata("OtpVerifier"));
        assert(verifier.nextSerial(issuer, purpose) >= before);
    }

    /// @dev Once a batch is there. Issued goes to verified, consumed or revoked; verified to consumed or revoked; consumed
    /// and revoked stay.
    function check_ABatchKeepsItsTermsAndItsCodesOnlyGoOn(address caller, address issuer, bytes32 root, uint256 place)
        external
    {
        vm.assume(place < 80);
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(issuer, root);
        vm.assume(expiry != 0);
        _call(caller, SVM.createCalldata("OtpVerifier"));
        (uint40 expiry_, uint16 grace_, uint40 first_, uint160 states_) = verifier.batchOf(issuer, root);
        assert(expiry == expiry_ && grace == grace_ && first == first_);
        if (states == states_) return;
        uint256 before = (states >> (2 * place)) & 3;
        uint256 after_ = (states_ >> (2 * place)) & 3;
        assert(after_ == before || (before < 2 && after_ > before));
    }

    /// @dev While paused a batch is as it was, but for what is revoked.
    function check_PausedMeansPaused(address caller, address issuer, bytes32 root, bytes32 purpose, uint256 place)
        external
    {
        vm.assume(place < 80 && verifier.paused());
        uint256 next = verifier.nextSerial(issuer, purpose);
        (uint40 expiry,,, uint160 states) = verifier.batchOf(issuer, root);
        _call(caller, SVM.createCalldata("OtpVerifier"));
        assert(verifier.nextSerial(issuer, purpose) == next);
        (uint40 expiry_,,, uint160 states_) = verifier.batchOf(issuer, root);
        assert(expiry == expiry_);
        uint256 after_ = (states_ >> (2 * place)) & 3;
        assert(after_ == (states >> (2 * place)) & 3 || after_ == 3);
    }

    function check_PoliciesStayWithinTheBounds(address caller, bytes32 purpose) external {
        bytes32 before = keccak256(abi.encode(verifier.policyOf(purpose)));
        _call(caller, SVM.createCalldata("OtpVerifier"));
        IOtpVerifier.Policy memory policy = verifier.policyOf(purpose);
        if (keccak256(abi.encode(policy)) == before) return;
        bool inBounds = policy.ttl >= 30 && policy.ttl <= 600 && policy.grace <= 3600 && policy.maxAttempts >= 1
            && policy.maxAttempts <= 5;
        assert(inBounds);
    }
}
