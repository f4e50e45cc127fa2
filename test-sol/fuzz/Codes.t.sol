// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {PlainTree} from "../utils/PlainTree.sol";
import {Refusal} from "../utils/Refusal.sol";

/// @notice Codes of any bytes, for any wallet, action, serial, size and place; any time; any order of wrong answers.
contract CodesFuzzTest is Refusal {
    struct Case {
        bytes code;
        address wallet;
        address spender;
        bytes32 payloadHash;
        bytes32 purpose;
        uint40 first;
        uint256 size;
        uint256 place;
    }

    function _bound(Case memory c) private {
        c.size = bound(c.size, 1, 80);
        c.place = bound(c.place, 0, c.size - 1);
        c.first = uint40(bound(c.first, 0, 2 ** 20));
        vm.assume(c.wallet != address(0) && c.spender != address(0));
        vm.prank(governor);
        verifier.setPolicy(c.purpose, _policy(TTL, GRACE, 3, true));
    }

    function _issueCase(Case memory c) private returns (IOtpVerifier.Ticket memory ticket, bytes32 root) {
        _bound(c);
        bytes32[] memory ids = new bytes32[](c.size);
        for (uint256 i = 0; i < c.size; ++i) {
            ids[i] = keccak256(abi.encode("another's", i));
        }
        bytes32 action = _action(c.spender, c.payloadHash);
        uint40 serial = c.first + uint40(c.place);
        ids[c.place] = _id(issuer, c.purpose, serial, c.wallet, action, string(c.code));
        vm.prank(issuer);
        root = verifier.setOtps(c.purpose, c.first, ids, _soon());
        ticket = _ticket(issuer, c.purpose, c.first, ids, c.place);
    }

    function testFuzz_AnyCodeLivesItsWholeLife(Case memory c) external {
        (IOtpVerifier.Ticket memory ticket, bytes32 root) = _issueCase(c);
        bytes32 action = _action(c.spender, c.payloadHash);
        bytes memory verifyCall = abi.encodeCall(IOtpVerifier.verify, (ticket, action, string(c.code)));
        bytes memory consumeCall =
            abi.encodeCall(IOtpVerifier.consume, (ticket, c.wallet, c.purpose, c.payloadHash, keccak256(c.code)));
        _assertRefused(c.spender, consumeCall, IOtpVerifier.OtpNotVerified.selector, ticket.id);
        vm.prank(c.wallet);
        assertTrue(verifier.verify(ticket, action, string(c.code)));
        assertEq(_states(issuer, root), uint160(4 ** c.place));
        _assertRefused(c.wallet, verifyCall, IOtpVerifier.OtpUsed.selector, ticket.id);
        vm.prank(c.spender);
        verifier.consume(ticket, c.wallet, c.purpose, c.payloadHash, keccak256(c.code));
        assertEq(_states(issuer, root), uint160(2 * 4 ** c.place));
        _assertRefused(c.spender, consumeCall, IOtpVerifier.OtpUsed.selector, ticket.id);
        _assertRefused(c.wallet, verifyCall, IOtpVerifier.OtpUsed.selector, ticket.id);
    }

    function testFuzz_AnyCodeInOneStep(Case memory c) external {
        (IOtpVerifier.Ticket memory ticket, bytes32 root) = _issueCase(c);
        vm.prank(c.spender);
        verifier.verifyAndConsume(ticket, c.wallet, c.purpose, c.payloadHash, string(c.code));
        assertEq(_states(issuer, root), uint160(2 * 4 ** c.place));
    }

    function testFuzz_AnotherCodeWalletOrAction(Case memory c, bytes memory code, address wallet, bytes32 action)
        external
    {
        (IOtpVerifier.Ticket memory ticket,) = _issueCase(c);
        bytes32 right = _action(c.spender, c.payloadHash);
        bytes4 wrong = IOtpVerifier.WrongCode.selector;
        if (keccak256(code) != keccak256(c.code)) {
            _assertRefused(
                c.wallet, abi.encodeCall(IOtpVerifier.verify, (ticket, right, string(code))), wrong, ticket.id
            );
        }
        if (wallet != c.wallet) {
            _assertRefused(
                wallet, abi.encodeCall(IOtpVerifier.verify, (ticket, right, string(c.code))), wrong, ticket.id
            );
        }
        if (action != right) {
            _assertRefused(
                c.wallet, abi.encodeCall(IOtpVerifier.verify, (ticket, action, string(c.code))), wrong, ticket.id
            );
        }
    }

    /// @dev Unicode is bytes: composed and decomposed letters, other digits, an emoji, a zero byte are other codes.
    function test_UnicodeIsComparedByteForByte() external {
        string[6] memory codes = [
            string(hex"c3a9383239313300"),
            string(hex"65cc81383239313300"),
            unicode"４８２９１３",
            unicode"482913🔑",
            "482913",
            string(hex"34383239313300")
        ];
        for (uint256 i = 0; i < codes.length; ++i) {
            uint40 serial = verifier.nextSerial(issuer, LOGIN);
            bytes32 id = _id(issuer, LOGIN, serial, subject, _action(), codes[i]);
            vm.prank(issuer);
            verifier.setOtp(LOGIN, serial, id, _soon());
            IOtpVerifier.Ticket memory ticket = _ticket(issuer, LOGIN, serial, _roots(id), 0);
            for (uint256 j = 0; j < codes.length; ++j) {
                if (j == i) continue;
                bytes memory data = abi.encodeCall(IOtpVerifier.verify, (ticket, _action(), codes[j]));
                _assertRefused(subject, data, IOtpVerifier.WrongCode.selector, id);
            }
            bytes32 action = _action();
            vm.prank(subject);
            verifier.verify(ticket, action, codes[i]);
        }
    }

    // --- time, one second before, at and after

    function testFuzz_Expiry(uint32 ttl, uint8 offset) external {
        ttl = uint32(bound(ttl, 30, 600));
        vm.prank(governor);
        verifier.setPolicy(WITHDRAW, _policy(ttl, GRACE, 3, true));
        IOtpVerifier.Ticket memory ticket = _issue();
        uint256 expiry = block.timestamp + ttl;
        vm.warp(expiry - 1 + offset % 3);
        if (offset % 3 != 2) return _verify(ticket);
        bytes memory error = abi.encodeWithSelector(IOtpVerifier.OtpExpired.selector, ticket.id, expiry);
        _assertRefused(subject, abi.encodeCall(IOtpVerifier.verify, (ticket, _action(), CODE)), error);
        bytes memory both =
            abi.encodeCall(IOtpVerifier.verifyAndConsume, (ticket, subject, WITHDRAW, PAYLOAD_HASH, CODE));
        _assertRefused(consumer, both, error);
    }

    function testFuzz_Grace(uint16 grace, uint8 offset) external {
        grace = uint16(bound(grace, 0, 3600));
        vm.prank(governor);
        verifier.setPolicy(WITHDRAW, _policy(TTL, grace, 3, true));
        IOtpVerifier.Ticket memory ticket = _issue();
        uint256 last = block.timestamp + TTL + grace;
        skip(TTL);
        _verify(ticket);
        vm.warp(last - 1 + offset % 3);
        if (offset % 3 != 2) return _consume(ticket);
        _assertRefused(
            consumer,
            abi.encodeCall(IOtpVerifier.consume, (ticket, subject, WITHDRAW, PAYLOAD_HASH, _hash(CODE))),
            abi.encodeWithSelector(IOtpVerifier.OtpExpired.selector, ticket.id, last)
        );
    }

    function testFuzz_Deadlines(uint64 deadline, uint8 offset) external {
        deadline = uint64(bound(deadline, block.timestamp + 1, block.timestamp + TTL - 1));
        IOtpVerifier.Ticket memory ticket = _issue();
        bytes memory signature = _signature(ticket.id, _action(), deadline);
        bytes32 action = _action();
        vm.warp(deadline - 1 + offset % 3);
        if (offset % 3 == 2) {
            bytes memory error = abi.encodeWithSelector(IOtpVerifier.PastDeadline.selector, deadline);
            _assertRefused(
                stranger,
                abi.encodeCall(IOtpVerifier.verifyFor, (subject, ticket, action, CODE, deadline, signature)),
                error
            );
            _assertRefused(issuer, abi.encodeCall(IOtpVerifier.setOtp, (LOGIN, 0, 0, deadline)), error);
            _assertRefused(issuer, abi.encodeCall(IOtpVerifier.setOtps, (LOGIN, 0, new bytes32[](3), deadline)), error);
        } else {
            verifier.verifyFor(subject, ticket, action, CODE, deadline, signature);
            vm.startPrank(issuer);
            verifier.setOtp(LOGIN, 0, 0, deadline);
            verifier.setOtps(LOGIN, 1, new bytes32[](3), deadline);
        }
    }

    // --- issuing

    function testFuzz_SerialsOutOfReach(uint40 taken, uint40 first, uint256 size) external {
        taken = uint40(bound(taken, 0, 2 ** 20));
        size = bound(size, 1, 80);
        vm.prank(issuer);
        verifier.setOtp(LOGIN, taken, 0, _soon());
        uint256 next = uint256(taken) + 1;
        bytes memory data = abi.encodeCall(IOtpVerifier.setOtps, (LOGIN, first, new bytes32[](size), _soon()));
        if (first >= next && first <= next + 2 ** 20) {
            vm.prank(issuer);
            (bool ok,) = address(verifier).call(data);
            assertTrue(ok);
            assertEq(verifier.nextSerial(issuer, LOGIN), first + size);
        } else {
            _assertRefused(issuer, data, abi.encodeWithSelector(IOtpVerifier.SerialUsed.selector, first, next));
        }
    }

    function testFuzz_PoliciesOutOfBounds(IOtpVerifier.Policy calldata policy) external {
        bool inBounds = policy.ttl >= 30 && policy.ttl <= 600 && policy.grace <= 3600 && policy.maxAttempts >= 1
            && policy.maxAttempts <= 5;
        vm.assume(!inBounds);
        _assertRefused(
            governor,
            abi.encodeCall(IOtpVerifier.setPolicy, (LOGIN, policy)),
            abi.encodeWithSelector(IOtpVerifier.PolicyOutOfBounds.selector, policy)
        );
    }
}
