// Signing in by EIP-4361: the very text is shown before the wallet is asked to sign it.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { serverNow } from "../../shared/http";
import { type Connection, signText } from "../chain/connection";
import type { Config } from "../config";
import { sentence } from "../errors";
import { t } from "../texts";
import { View } from "../view";
import { Ended } from "./ended";
import { signInMessage } from "./message";
import { askNonce, logIn } from "./session";
import { Account, WrongChain } from "./wallets";

/** A nonce lives 60 s, and a person takes some of them in the wallet. */
const FRESH_MS = 20_000;

interface Written {
  readonly text: string;
  readonly account: string;
  readonly at: number;
}

type State = "idle" | "signing" | "checking";

export function SignInView({ config, at }: { readonly config: Config; readonly at: Connection }): JSX.Element {
  const [written, setWritten] = useState<Written>();
  const [state, setState] = useState<State>("idle");
  const [error, setError] = useState<string>();
  const texts = t().signIn;
  const isOnChain = at.chainId === config.chainId;
  const isOpenHere = config.domains.some((domain) => domain.origin === location.origin);

  const write = async (): Promise<Written> => {
    const nonce = await askNonce();
    const wanted = { account: at.account, nonce, issuedAt: new Date(serverNow()), statement: t().signIn.statement };
    const text = signInMessage(config, location.origin, wanted) ?? "";
    const next = { text, account: at.account, at: Date.now() };
    setWritten(next);
    return next;
  };
  useEffect(() => {
    if (!isOnChain || !isOpenHere) return;
    setError(undefined);
    write().catch((thrown: unknown) => {
      setError(sentence(thrown));
    });
  }, [at.account, isOnChain, isOpenHere, texts.statement]);

  const signIn = async (): Promise<void> => {
    setError(undefined);
    setState("signing");
    try {
      const isFresh = written?.account === at.account && Date.now() - written.at < FRESH_MS;
      const message = isFresh ? written : await write();
      const signature = await signText(at, message.text);
      setState("checking");
      await logIn(message.text, signature);
    } catch (thrown) {
      setError(sentence(thrown));
      // What was signed or refused once is not used again.
      setWritten(undefined);
      await write().catch(() => undefined);
    }
    setState("idle");
  };

  return (
    <View name="sign-in" title={texts.title}>
      <Ended />
      <section class="card stack" aria-labelledby="text">
        <h2 id="text">{texts.heading}</h2>
        <Account />
        {!isOnChain && <WrongChain chainId={config.chainId} />}
        {!isOpenHere && <p class="notice bad" role="alert">{texts.otherAddress(config.domains[0]?.origin ?? "")}</p>}
        {isOnChain && isOpenHere && (
          <>
            <p>{texts.text}</p>
            <pre class="message" data-testid="siwe">{written?.text ?? texts.writing}</pre>
            <div>
              <button type="button" class="primary" aria-disabled={state !== "idle"} onClick={() => {
                if (state === "idle") void signIn();
              }}>{texts.button}</button>
            </div>
            <p role="status" class="muted">{state === "idle" ? "" : texts[state]}</p>
          </>
        )}
        {error !== undefined && <p class="notice bad" role="alert">{error}</p>}
      </section>
    </View>
  );
}
