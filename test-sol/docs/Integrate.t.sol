// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Fixture} from "../utils/Fixture.sol";

// What lies between a pair of the markers below stands in docs/INTEGRATE.md word for word; script/docs.mjs compares them.

// [gated]
import {OtpGated} from "../../src-sol/OtpGated.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";

contract Payroll is OtpGated {
    bytes32 public constant RAISE_TYPEHASH = keccak256("Raise(address employee,uint256 salary,uint256 nonce)");
    bytes32 public constant PURPOSE = "withdraw";

    address public immutable BOSS;
    mapping(address employee => uint256) public salaryOf;

    constructor(IOtpVerifier verifier, address boss) OtpGated(verifier) {
        BOSS = boss;
    }

    function raise(address employee, uint256 salary, IOtpVerifier.Ticket calldata ticket, string calldata code)
        external
        onlyWithCode(ticket, PURPOSE, payloadHashOf(employee, salary, _useNonce()), code)
    {
        require(msg.sender == BOSS, "not the boss");
        salaryOf[employee] = salary;
    }

    function payloadHashOf(address employee, uint256 salary, uint256 nonce) public pure returns (bytes32) {
        return keccak256(abi.encode(RAISE_TYPEHASH, employee, salary, nonce));
    }
}
// [/gated]

contract PayrollInTwoSteps is Payroll {
    constructor(IOtpVerifier verifier, address boss) Payroll(verifier, boss) {}

    // [two-steps]
    function raiseVerified(address employee, uint256 salary, IOtpVerifier.Ticket calldata ticket, bytes32 codeHash)
        external
        onlyVerified(ticket, PURPOSE, payloadHashOf(employee, salary, _useNonce()), codeHash)
    {
        require(msg.sender == BOSS, "not the boss");
        salaryOf[employee] = salary;
    }
    // [/two-steps]
}

contract IntegrateTest is Fixture {
    // [test]
    function test_ARaiseNeedsTheBossesCode() external {
        address boss = subject; // the fixture's wallet
        Payroll payroll = new Payroll(verifier, boss);
        address employee = makeAddr("employee");

        // what the relayer does when the boss asks for a code
        bytes32 payloadHash = payroll.payloadHashOf(employee, 5000, 0);
        bytes32 action = keccak256(abi.encode(address(payroll), payloadHash));
        string memory code = "482913abcdefghijklmnopqrstuvwxyz";
        bytes32 id = verifier.computeId(issuer, "withdraw", 0, boss, action, keccak256(bytes(code)));
        vm.prank(issuer);
        verifier.setOtp("withdraw", 0, id, type(uint64).max);

        // what the boss's wallet sends
        IOtpVerifier.Ticket memory ticket = IOtpVerifier.Ticket(id, issuer, "withdraw", 0, new bytes32[](0));
        vm.prank(boss);
        payroll.raise(employee, 5000, ticket, code);
        assertEq(payroll.salaryOf(employee), 5000);

        // once
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.OtpUsed.selector, id));
        vm.prank(boss);
        payroll.raise(employee, 5000, ticket, code);
    }
    // [/test]

    function test_ARaiseInTwoSteps() external {
        PayrollInTwoSteps payroll = new PayrollInTwoSteps(verifier, subject);
        bytes32 action = _action(address(payroll), payroll.payloadHashOf(stranger, 5000, 0));
        bytes32 id = _id(issuer, WITHDRAW, 0, subject, action, CODE);
        vm.prank(issuer);
        verifier.setOtp(WITHDRAW, 0, id, type(uint64).max);
        IOtpVerifier.Ticket memory ticket = _ticket(issuer, WITHDRAW, 0, _roots(id), 0);

        _expectId(IOtpVerifier.OtpNotVerified.selector, id);
        vm.prank(subject);
        payroll.raiseVerified(stranger, 5000, ticket, _hash(CODE));
        vm.startPrank(subject);
        verifier.verify(ticket, action, CODE);
        payroll.raiseVerified(stranger, 5000, ticket, _hash(CODE));
        vm.stopPrank();
        assertEq(payroll.salaryOf(stranger), 5000);
    }
}
