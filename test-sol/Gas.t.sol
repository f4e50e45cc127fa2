// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "./utils/Fixture.sol";
import {IVerifier} from "./utils/IVerifier.sol";
import {PlainOtp} from "./utils/PlainOtp.sol";
import {TransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {console} from "forge-std/console.sol";

/// @notice The gas goals of the protocol, in whole transactions: with 21,000 and calldata, every slot cold. In isolation
/// mode forge runs each call of a test as a transaction of its own, and `lastCallGas` tells what it cost. Each figure goes
/// to target/gas as well, where script/snapshots.mjs compares it with the reviewed one.
abstract contract GasBase is Fixture {
    bytes32[] internal ids;

    function _measure(string memory what) internal returns (uint256 gas) {
        gas = vm.lastCallGas().gasTotalUsed;
        _record(what, gas);
    }

    /// @dev A file for each figure: tests run at the same time.
    function _record(string memory what, uint256 gas) internal {
        string memory name = string.concat(_prefix(), what);
        console.log(name, gas);
        vm.createDir("target/gas", true);
        string memory json = string.concat('{"', name, '": ', vm.toString(gas), "}");
        vm.writeFile(string.concat("target/gas/", vm.replace(name, " ", "-"), ".json"), json);
    }

    function _prefix() internal pure virtual returns (string memory) {
        return "";
    }

    function _setOtp() internal returns (uint256) {
        _issue(); // an issuer's very first code of a purpose pays for the slot of its serial
        uint40 serial = verifier.nextSerial(issuer, WITHDRAW);
        bytes32 id = _id(issuer, WITHDRAW, serial, subject, _action(), CODE);
        uint64 deadline = _soon();
        vm.prank(issuer);
        verifier.setOtp(WITHDRAW, serial, id, deadline);
        return _measure("setOtp");
    }

    function _setOtps(uint256 size) internal returns (uint256) {
        _issue();
        uint40 first = verifier.nextSerial(issuer, WITHDRAW);
        bytes32[] memory batch = _ids(issuer, WITHDRAW, first, size);
        uint64 deadline = _soon();
        vm.prank(issuer);
        verifier.setOtps(WITHDRAW, first, batch, deadline);
        uint256 whole = _measure(string.concat("setOtps ", vm.toString(size)));
        _record(string.concat("setOtps ", vm.toString(size), ", per code"), whole / size);
        return whole / size;
    }

    function _verifyIn(uint256 size, uint256 place) internal returns (uint256) {
        (IOtpVerifier.Ticket memory ticket,) = _issueBatch(issuer, WITHDRAW, size, place);
        bytes32 action = _action();
        vm.prank(subject);
        verifier.verify(ticket, action, CODE);
        string memory where = size == 1 ? "alone" : place == 0 ? "first of " : "last of ";
        return _measure(string.concat("verify ", where, size == 1 ? "" : vm.toString(size)));
    }
}

/// @notice The implementation called directly. Its constructor disabled initializers, so its storage is opened here.
/// forge-config: default.isolate = true
contract GasTest is GasBase {
    /// @dev ERC-7201 slot of OpenZeppelin's Initializable.
    bytes32 private constant INITIALIZABLE = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;

    function _deployVerifier() internal override returns (IVerifier implementation) {
        implementation = _implementation();
        vm.store(address(implementation), INITIALIZABLE, 0);
        (bool ok,) = address(implementation).call(_initializeCall());
        assertTrue(ok);
    }

    function test_SetOtp() external {
        assertLe(_setOtp(), 64_000);
    }

    function test_SetOtps_PerIdOf80() external {
        assertLe(_setOtps(80), 3400);
    }

    function test_Verify_Alone() external {
        assertLe(_verifyIn(1, 0), 37_000);
    }

    function test_Verify_InABatchOf80() external {
        assertLe(_verifyIn(80, 0), 41_500);
        assertLe(_verifyIn(80, 79), 41_500);
    }

    function test_Others() external {
        (IOtpVerifier.Ticket memory ticket,) = _issueBatch(issuer, WITHDRAW, 1, 0);
        _verify(ticket);
        _consume(ticket);
        _measure("consume");

        (ticket,) = _issueBatch(issuer, WITHDRAW, 1, 0);
        vm.prank(consumer);
        verifier.verifyAndConsume(ticket, subject, WITHDRAW, PAYLOAD_HASH, CODE);
        _measure("verifyAndConsume");

        (ticket,) = _issueBatch(issuer, WITHDRAW, 1, 0);
        _revoke(ticket);
        _measure("revoke");

        bytes32 root;
        (ticket, root) = _issueBatch(issuer, WITHDRAW, 80, 0);
        vm.prank(issuer);
        verifier.revokeBatches(issuer, _roots(root));
        _measure("revokeBatches 80");
    }
}

/// @notice The same behind the proxy that the deployment uses, for the table only.
/// forge-config: default.isolate = true
contract GasProxyTest is GasBase {
    function _deployVerifier() internal override returns (IVerifier) {
        return
            IVerifier(address(new TransparentUpgradeableProxy(address(_implementation()), governor, _initializeCall())));
    }

    function _prefix() internal pure override returns (string memory) {
        return "proxy ";
    }

    function test_SetOtp() external {
        _setOtp();
    }

    function test_SetOtps_PerIdOf80() external {
        _setOtps(80);
    }

    function test_Verify() external {
        _verifyIn(1, 0);
        _verifyIn(80, 0);
        _verifyIn(80, 79);
    }
}

/// @notice What is saved: the same two steps of a contract with an entry for each code.
/// forge-config: default.isolate = true
contract GasPlainTest is GasBase {
    function _prefix() internal pure override returns (string memory) {
        return "plain ";
    }

    function test_SetAndVerify() external {
        PlainOtp plain = new PlainOtp();
        bytes32 id = keccak256("id");
        plain.set(id, subject, _hash(CODE), _soon());
        _measure("set");
        vm.prank(subject);
        plain.verify(id, CODE);
        _measure("verify");
    }

    function test_SetMany() external {
        PlainOtp plain = new PlainOtp();
        bytes32[] memory hashes = new bytes32[](80);
        address[] memory subjects = new address[](80);
        for (uint256 i = 0; i < 80; ++i) {
            hashes[i] = keccak256(abi.encode(i));
            subjects[i] = address(uint160(uint256(hashes[i])));
        }
        plain.setMany(_ids(issuer, WITHDRAW, 0, 80), subjects, hashes, _soon());
        _record("set 80, per code", vm.lastCallGas().gasTotalUsed / 80);
    }
}
