// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A wallet of code with one owner, that tries a call of its choice while it is asked about a signature.
contract ContractWallet is IERC1271 {
    address private immutable _OWNER;
    address private _target;
    bytes private _data;

    constructor(address owner) {
        _OWNER = owner;
    }

    function callBack(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function execute(address target, bytes calldata data) external {
        (bool ok, bytes memory returned) = target.call(data);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(returned, 0x20), mload(returned))
        }
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (_target != address(0)) {
            // a view cannot call otherwise; the caller's static context would refuse the write either way
            (bool ok,) = _target.staticcall(_data);
            require(!ok, "called back");
        }
        (address signer, ECDSA.RecoverError error,) = ECDSA.tryRecoverCalldata(hash, signature);
        return error == ECDSA.RecoverError.NoError && signer == _OWNER ? this.isValidSignature.selector : bytes4(0);
    }
}
