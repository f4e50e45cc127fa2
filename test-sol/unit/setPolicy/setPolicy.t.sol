// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";

contract SetPolicyTest is Fixture {
    function test_RevertWhen_TheCallerIsNoGovernor() external {
        address[3] memory others = [guardian, issuer, stranger];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectMissingRole(others[i], keccak256("GOVERNOR_ROLE"));
            vm.prank(others[i]);
            verifier.setPolicy(LOGIN, _policy(TTL, GRACE, 3, true));
        }
    }

    function test_RevertWhen_OutOfBounds() external {
        _expectRefused(_policy(29, GRACE, 3, true));
        _expectRefused(_policy(601, GRACE, 3, true));
        _expectRefused(_policy(TTL, 3601, 3, true));
        _expectRefused(_policy(TTL, GRACE, 0, true));
        _expectRefused(_policy(TTL, GRACE, 6, true));
        _expectRefused(_policy(0, 0, 0, false));
    }

    function _expectRefused(IOtpVerifier.Policy memory policy) private {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.PolicyOutOfBounds.selector, policy));
        vm.prank(governor);
        verifier.setPolicy(LOGIN, policy);
    }

    function test_TakesTheBounds() external {
        _expectTaken("lowest", _policy(30, 0, 1, true));
        _expectTaken("highest", _policy(600, 3600, 5, false));
        _expectTaken(bytes32(0), _policy(60, 300, 3, true));
    }

    function test_TakesWhatIsInBounds(bytes32 purpose, uint32 ttl, uint16 grace, uint8 attempts, bool enabled)
        external
    {
        ttl = uint32(bound(ttl, 30, 600));
        grace = uint16(bound(grace, 0, 3600));
        attempts = uint8(bound(attempts, 1, 5));
        _expectTaken(purpose, _policy(ttl, grace, attempts, enabled));
    }

    function _expectTaken(bytes32 purpose, IOtpVerifier.Policy memory policy) private {
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.PolicySet(purpose, policy);
        vm.prank(governor);
        verifier.setPolicy(purpose, policy);
        assertEq(abi.encode(verifier.policyOf(purpose)), abi.encode(policy));
    }

    function test_WhenCodesWereIssuedBefore() external {
        (IOtpVerifier.Ticket memory ticket, bytes32 root) = _issueBatch(issuer, WITHDRAW, 1, 0);
        vm.prank(governor);
        verifier.setPolicy(WITHDRAW, _policy(30, 0, 1, false));
        (uint40 expiry, uint16 grace,,) = verifier.batchOf(issuer, root);
        assertEq(expiry, block.timestamp + TTL);
        assertEq(grace, GRACE);
        skip(TTL);
        _verify(ticket);
        skip(GRACE);
        _consume(ticket);
    }
}
