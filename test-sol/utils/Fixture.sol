// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "./IVerifier.sol";
import {PlainTree} from "./PlainTree.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice A verifier behind a proxy with two issuers, policies, and short ways to issue codes and to name them.
abstract contract Fixture is Test {
    bytes32 internal constant LOGIN = "login";
    bytes32 internal constant WITHDRAW = "withdraw";
    bytes32 internal constant PAYLOAD_HASH = keccak256("payload");
    string internal constant CODE = "482913abcdefghijklmnopqrstuvwxyz";

    uint32 internal constant TTL = 60;
    uint16 internal constant GRACE = 300;

    address internal governor = makeAddr("governor");
    address internal guardian = makeAddr("guardian");
    address internal issuer = makeAddr("issuer");
    address internal otherIssuer = makeAddr("otherIssuer");
    address internal stranger = makeAddr("stranger");
    address internal consumer = makeAddr("consumer");
    address internal subject;
    uint256 internal subjectKey;

    IVerifier internal verifier;

    function setUp() public virtual {
        vm.warp(1_700_000_000);
        (subject, subjectKey) = makeAddrAndKey("subject");
        verifier = _deployVerifier();
        vm.startPrank(governor);
        verifier.setPolicy(LOGIN, _policy(TTL, GRACE, 3, true));
        verifier.setPolicy(WITHDRAW, _policy(TTL, GRACE, 3, true));
        vm.stopPrank();
    }

    function _deployVerifier() internal virtual returns (IVerifier) {
        return IVerifier(address(new ERC1967Proxy(address(_implementation()), _initializeCall())));
    }

    /// @dev By its artifact: `new` would make the compiler build the verifier once more into every test contract.
    function _implementation() internal returns (IVerifier) {
        return IVerifier(deployCode("OtpVerifier.sol:OtpVerifier"));
    }

    function _initializeCall() internal view returns (bytes memory) {
        address[] memory issuers = new address[](2);
        (issuers[0], issuers[1]) = (issuer, otherIssuer);
        return abi.encodeCall(IOtpVerifier.initialize, (governor, guardian, issuers));
    }

    function _policy(uint32 ttl, uint16 grace, uint8 maxAttempts, bool enabled)
        internal
        pure
        returns (IOtpVerifier.Policy memory)
    {
        return IOtpVerifier.Policy({ttl: ttl, grace: grace, maxAttempts: maxAttempts, enabled: enabled});
    }

    // --- what a client computes

    function _hash(string memory code) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(code));
    }

    function _action(address consumer_, bytes32 payloadHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(consumer_, payloadHash));
    }

    /// @dev The action that most tests use: `consumer` spends PAYLOAD_HASH.
    function _action() internal view returns (bytes32) {
        return _action(consumer, PAYLOAD_HASH);
    }

    /// @dev The definition of protocol.md, in this file's own words.
    function _id(address issuer_, bytes32 purpose, uint40 serial, address subject_, bytes32 action, string memory code)
        internal
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                block.chainid, address(verifier), issuer_, purpose, uint256(serial), subject_, action, _hash(code)
            )
        );
    }

    // --- issuing

    function _soon() internal view returns (uint64) {
        return uint64(block.timestamp + 30);
    }

    /// @notice Ids for subject, action and CODE with the serials from `first` on.
    function _ids(address issuer_, bytes32 purpose, uint40 first, uint256 size)
        internal
        view
        returns (bytes32[] memory ids)
    {
        ids = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            ids[i] = _id(issuer_, purpose, first + uint40(i), subject, _action(), CODE);
        }
    }

    function _ticket(address issuer_, bytes32 purpose, uint40 first, bytes32[] memory ids, uint256 place)
        internal
        pure
        returns (IOtpVerifier.Ticket memory)
    {
        return IOtpVerifier.Ticket({
            id: ids[place],
            issuer: issuer_,
            purpose: purpose,
            serial: first + uint40(place),
            proof: PlainTree.proof(purpose, first, ids, place)
        });
    }

    /// @notice Issues `size` codes at the next serial, as `issuer_`; the ticket of the one at `place` and the root.
    function _issueBatch(address issuer_, bytes32 purpose, uint256 size, uint256 place)
        internal
        returns (IOtpVerifier.Ticket memory ticket, bytes32 root)
    {
        uint40 first = verifier.nextSerial(issuer_, purpose);
        bytes32[] memory ids = _ids(issuer_, purpose, first, size);
        vm.prank(issuer_);
        root = verifier.setOtps(purpose, first, ids, _soon());
        ticket = _ticket(issuer_, purpose, first, ids, place);
    }

    /// @notice One code for `subject`, `_action()`, CODE and WITHDRAW.
    function _issue() internal returns (IOtpVerifier.Ticket memory ticket) {
        (ticket,) = _issueBatch(issuer, WITHDRAW, 1, 0);
    }

    function _verify(IOtpVerifier.Ticket memory ticket) internal {
        bytes32 action = _action();
        vm.prank(subject);
        assertTrue(verifier.verify(ticket, action, CODE));
    }

    function _consume(IOtpVerifier.Ticket memory ticket) internal {
        vm.prank(consumer);
        verifier.consume(ticket, subject, ticket.purpose, PAYLOAD_HASH, _hash(CODE));
    }

    function _revoke(IOtpVerifier.Ticket memory ticket) internal {
        vm.prank(ticket.issuer);
        verifier.revoke(_list(ticket));
    }

    function _list(IOtpVerifier.Ticket memory ticket) internal pure returns (IOtpVerifier.Ticket[] memory list) {
        list = new IOtpVerifier.Ticket[](1);
        list[0] = ticket;
    }

    function _roots(bytes32 root) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = root;
    }

    function _pause() internal {
        vm.prank(guardian);
        verifier.pause();
    }

    // --- asking

    function _states(address issuer_, bytes32 root) internal view returns (uint160 states) {
        (,,, states) = verifier.batchOf(issuer_, root);
    }

    function _assertStatus(IOtpVerifier.Ticket memory ticket, IOtpVerifier.Status expected) internal view {
        assertEq(uint256(verifier.statusOf(ticket)), uint256(expected), "status");
    }

    function _expectMissingRole(address account, bytes32 role) internal {
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, account, role));
    }

    function _expectId(bytes4 selector, bytes32 id) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, id));
    }
}
