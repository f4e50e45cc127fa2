// What a wallet says when it does not do what it was asked (EIP-1193, EIP-1474, EIP-3326).

export type FaultKind =
  /** The person said no. */
  | "rejected"
  /** The account or the method is not open to this page. */
  | "unauthorized"
  /** It still shows an earlier question. */
  | "pending"
  /** It does not know the chain. */
  | "unknown-chain"
  /** It is not connected to its chain. */
  | "disconnected"
  /** Account, chain or wallet was another one by the time of its answer. */
  | "changed"
  /** Its answer is none. */
  | "nonsense"
  /** No answer in time, to a question that asks nobody. */
  | "silent"
  | "failed";

const KINDS: Readonly<Record<number, FaultKind>> = {
  4001: "rejected",
  4100: "unauthorized",
  4200: "unauthorized",
  4900: "disconnected",
  4901: "disconnected",
  4902: "unknown-chain",
  [-32002]: "pending",
};

/** A wallet's refusal or failure. */
export class WalletFault extends Error {
  override readonly name = "WalletFault";
  readonly kind: FaultKind;

  constructor(kind: FaultKind, cause?: unknown) {
    super(`the wallet: ${kind}`, { cause });
    this.kind = kind;
  }

  /** Of whatever a provider threw. Some wallets hide the code of EIP-3326 in `data.originalError`. */
  static of(thrown: unknown): WalletFault {
    if (thrown instanceof WalletFault) return thrown;
    const inner = member(member(member(thrown, "data"), "originalError"), "code");
    const kind = [member(thrown, "code"), inner].map((code) => (typeof code === "number" ? KINDS[code] : undefined));
    return new WalletFault(kind.find((known) => known !== undefined) ?? "failed", thrown);
  }
}

function member(of: unknown, name: string): unknown {
  return typeof of === "object" && of !== null ? (of as Record<string, unknown>)[name] : undefined;
}
