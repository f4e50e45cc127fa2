// What the page calls of `OtpVerifier`, and the errors with which its calls can fail. A test holds it against
// core/abi/OtpVerifier.json, which is made from the contract.
const ticket = {
  name: "ticket",
  type: "tuple",
  internalType: "struct IOtpVerifier.Ticket",
  components: [
    { name: "id", type: "bytes32", internalType: "bytes32" },
    { name: "issuer", type: "address", internalType: "address" },
    { name: "purpose", type: "bytes32", internalType: "bytes32" },
    { name: "serial", type: "uint40", internalType: "uint40" },
    { name: "proof", type: "bytes32[]", internalType: "bytes32[]" },
  ],
} as const;

const passes = [{ name: "", type: "bool", internalType: "bool" }] as const;

function word<const N extends string>(name: N): { name: N; type: "bytes32"; internalType: "bytes32" } {
  return { name, type: "bytes32", internalType: "bytes32" };
}

function account<const N extends string>(name: N): { name: N; type: "address"; internalType: "address" } {
  return { name, type: "address", internalType: "address" };
}

const text = { name: "code", type: "string", internalType: "string" } as const;
const number = <const N extends string>(name: N): { name: N; type: "uint256"; internalType: "uint256" } => ({
  name,
  type: "uint256",
  internalType: "uint256",
});

export const VERIFIER_ABI = [
  { type: "function", name: "verify", stateMutability: "nonpayable", inputs: [ticket, word("action"), text], outputs: passes },
  {
    type: "function",
    name: "verifyFor",
    stateMutability: "nonpayable",
    inputs: [
      account("subject"),
      ticket,
      word("action"),
      text,
      { name: "deadline", type: "uint64", internalType: "uint64" },
      { name: "signature", type: "bytes", internalType: "bytes" },
    ],
    outputs: passes,
  },
  {
    type: "function",
    name: "statusOf",
    stateMutability: "view",
    inputs: [ticket],
    outputs: [{ name: "", type: "uint8", internalType: "enum IOtpVerifier.Status" }],
  },
  { type: "error", name: "UnknownOtp", inputs: [word("id")] },
  { type: "error", name: "WrongCode", inputs: [word("id")] },
  { type: "error", name: "OtpExpired", inputs: [word("id"), number("expiry")] },
  { type: "error", name: "OtpUsed", inputs: [word("id")] },
  { type: "error", name: "OtpIsRevoked", inputs: [word("id")] },
  { type: "error", name: "OtpNotVerified", inputs: [word("id")] },
  { type: "error", name: "PastDeadline", inputs: [number("deadline")] },
  { type: "error", name: "WrongPurpose", inputs: [word("purpose")] },
  { type: "error", name: "InvalidSignature", inputs: [account("subject")] },
  { type: "error", name: "EnforcedPause", inputs: [] },
] as const;

/** The verifier's errors alone: they come through the contracts that spend codes. */
export const VERIFIER_ERRORS = VERIFIER_ABI.filter((entry) => entry.type === "error");

/** `Verify` of `verifyFor`, EIP-712. */
export const VERIFY_TYPES = {
  Verify: [
    { name: "id", type: "bytes32" },
    { name: "action", type: "bytes32" },
    { name: "deadline", type: "uint64" },
  ],
} as const;
/** The verifier's EIP-712 domain without chain and contract. */
export const VERIFIER_DOMAIN = { name: "OtpVerifier", version: "1" } as const;
