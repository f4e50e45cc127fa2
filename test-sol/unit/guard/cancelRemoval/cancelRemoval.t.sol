// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../../src-sol/OtpSafeGuard.sol";
import {GuardFixture} from "../GuardFixture.sol";

contract GuardCancelRemovalTest is GuardFixture {
    function _request() private view returns (SafeCall memory) {
        return _call(address(guard), abi.encodeCall(OtpSafeGuard.requestRemoval, ()));
    }

    function test_RevertWhen_NoCodeWasShown() external {
        _execute(_request());
        _expectRefused(_call(address(guard), abi.encodeCall(OtpSafeGuard.cancelRemoval, ())));
        skip(3 days);
        _execute(_setGuard(address(0)));
    }

    function test_ACodeCancelsARequest() external {
        _execute(_request());
        SafeCall memory cancel = _call(address(guard), abi.encodeCall(OtpSafeGuard.cancelRemoval, ()));
        _approve(_safeTxHash(safe, cancel));
        vm.expectEmit(address(guard));
        emit OtpSafeGuard.RemovalCancelled(address(safe));
        _execute(cancel);
        skip(3 days);
        _expectRefused(_setGuard(address(0)));
    }
}
