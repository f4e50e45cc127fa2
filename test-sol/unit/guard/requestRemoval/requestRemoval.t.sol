// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../../src-sol/OtpSafeGuard.sol";
import {GuardFixture} from "../GuardFixture.sol";
import {ModuleManager} from "@safe-global/safe-contracts/contracts/base/ModuleManager.sol";

contract GuardRequestRemovalTest is GuardFixture {
    function _request() private view returns (SafeCall memory) {
        return _call(address(guard), abi.encodeCall(OtpSafeGuard.requestRemoval, ()));
    }

    function test_RevertWhen_TheGuardIsNotSet() external {
        _approveAndExecute(_setGuard(address(0)));
        vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.NotGuard.selector, address(safe)));
        vm.prank(address(safe));
        guard.requestRemoval();
    }

    function test_RevertWhen_NobodyAsked() external {
        _expectRefused(_setGuard(address(0)));
        skip(30 days);
        _expectRefused(_setGuard(address(0)));
    }

    function test_TheGuardGoesWithoutACodeAfterTheDelay() external {
        vm.prank(guardian);
        verifier.pause(); // whatever becomes of the verifier
        SafeCall memory request = _request();
        vm.expectEmit(address(guard));
        emit OtpSafeGuard.RemovalRequested(address(safe), block.timestamp + 3 days, block.timestamp + 10 days);
        _execute(request);
        skip(3 days - 1);
        _expectRefused(_setGuard(address(0)));
        skip(1);
        _execute(_setGuard(address(0)));
        assertEq(_guardOf(safe), address(0));
        _execute(_payment(10 ether));
    }

    function test_ARequestOpensNothingElse() external {
        _execute(_request());
        skip(3 days);
        _expectRefused(_setGuard(stranger));
        _expectRefused(_payment(1));
        _expectRefused(_configure(stranger, 0));
        _expectRefused(_call(address(safe), abi.encodeCall(ModuleManager.enableModule, (stranger))));
    }

    function test_ARequestIsForgottenAfterItsWindow() external {
        _execute(_request());
        skip(10 days + 1);
        _expectRefused(_setGuard(address(0)));
        _execute(_request());
        skip(10 days);
        _execute(_setGuard(address(0)));
    }

    function test_ARequestIsGoodForOneRemoval() external {
        _execute(_request());
        skip(3 days);
        _execute(_setGuard(address(0)));
        _execute(_setGuard(address(guard)));
        _expectRefused(_setGuard(address(0)));
    }

    function test_ARequestEndsWithTheGuardThatACodeRemoved() external {
        _execute(_request());
        _approveAndExecute(_setGuard(address(0)));
        _execute(_setGuard(address(guard)));
        skip(3 days);
        _expectRefused(_setGuard(address(0)));
    }

    function test_WhenAskedAgain() external {
        _execute(_request());
        skip(2 days);
        _execute(_request());
        skip(3 days - 1);
        _expectRefused(_setGuard(address(0)));
        skip(1);
        _execute(_setGuard(address(0)));
    }
}
