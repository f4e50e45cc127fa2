// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

contract InitializeTest is Fixture {
    function test_RevertWhen_CalledAgain() external {
        vm.expectRevert(IVerifier.InvalidInitialization.selector);
        verifier.initialize(governor, guardian, new address[](0));
    }

    function test_RevertWhen_CalledOnTheImplementation() external {
        IOtpVerifier implementation = _implementation();
        vm.expectRevert(IVerifier.InvalidInitialization.selector);
        implementation.initialize(governor, guardian, new address[](0));
    }

    function test_RevertWhen_TheGovernorIsZero() external {
        _expectRefused(address(0), guardian, new address[](0), bytes32(0));
    }

    function test_RevertWhen_TheGuardianIsZero() external {
        _expectRefused(governor, address(0), new address[](0), keccak256("GUARDIAN_ROLE"));
    }

    function test_RevertWhen_AnIssuerIsZero() external {
        address[] memory issuers = new address[](2);
        issuers[0] = issuer;
        _expectRefused(governor, guardian, issuers, keccak256("ISSUER_ROLE"));
    }

    function _expectRefused(address governor_, address guardian_, address[] memory issuers, bytes32 role) private {
        address implementation = address(_implementation());
        bytes memory call = abi.encodeCall(IOtpVerifier.initialize, (governor_, guardian_, issuers));
        _expectMissingRole(address(0), role);
        new ERC1967Proxy(implementation, call);
    }

    function test_GivesEachItsRolesAndNoOther() external view {
        address[5] memory accounts = [governor, guardian, issuer, otherIssuer, address(this)];
        bytes32[4] memory roles =
            [bytes32(0), keccak256("GOVERNOR_ROLE"), keccak256("GUARDIAN_ROLE"), keccak256("ISSUER_ROLE")];
        // a row per role, a column per account
        bool[5][4] memory expected = [
            [true, false, false, false, false],
            [true, false, false, false, false],
            [false, true, false, false, false],
            [false, false, true, true, false]
        ];
        for (uint256 r = 0; r < roles.length; ++r) {
            assertEq(verifier.getRoleAdmin(roles[r]), bytes32(0), "the default admin is every role's admin");
            for (uint256 a = 0; a < accounts.length; ++a) {
                assertEq(verifier.hasRole(roles[r], accounts[a]), expected[r][a]);
            }
        }
        assertEq(verifier.GOVERNOR_ROLE(), roles[1]);
        assertEq(verifier.GUARDIAN_ROLE(), roles[2]);
        assertEq(verifier.ISSUER_ROLE(), roles[3]);
    }

    function test_SetsTheSigningDomain() external view {
        (
            bytes1 fields,
            string memory name,
            string memory domainVersion,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = verifier.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "OtpVerifier");
        assertEq(domainVersion, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(verifier));
        assertEq(salt, 0);
        assertEq(extensions.length, 0);
    }

    function test_StartsUnpausedAndSupportsAccessControl() external view {
        assertFalse(verifier.paused());
        assertTrue(verifier.supportsInterface(type(IAccessControl).interfaceId));
        assertEq(verifier.version(), "1.0.0");
    }
}
