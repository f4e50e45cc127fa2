// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice For comparison of gas alone: one entry per code, a slot for its hash and a slot for its wallet, expiry and
/// use, as such a contract is usually written. No roles, no pause, no policies.
contract PlainOtp {
    struct Entry {
        bytes32 codeHash;
        address subject;
        uint64 expiry;
        bool used;
    }

    event OtpSet(bytes32 indexed id, address indexed subject, uint64 expiry);
    event OtpVerified(bytes32 indexed id, address indexed subject);

    mapping(bytes32 id => Entry) private _entries;

    function set(bytes32 id, address subject, bytes32 codeHash, uint64 expiry) external {
        _set(id, subject, codeHash, expiry);
    }

    function setMany(bytes32[] calldata ids, address[] calldata subjects, bytes32[] calldata hashes, uint64 expiry)
        external
    {
        for (uint256 i = 0; i < ids.length; ++i) {
            _set(ids[i], subjects[i], hashes[i], expiry);
        }
    }

    function _set(bytes32 id, address subject, bytes32 codeHash, uint64 expiry) private {
        require(_entries[id].expiry == 0, "set already");
        _entries[id] = Entry(codeHash, subject, expiry, false);
        emit OtpSet(id, subject, expiry);
    }

    function verify(bytes32 id, string calldata code) external {
        Entry storage entry = _entries[id];
        require(entry.subject == msg.sender && !entry.used && block.timestamp <= entry.expiry, "no");
        require(entry.codeHash == keccak256(bytes(code)), "code");
        entry.used = true;
        emit OtpVerified(id, msg.sender);
    }
}
