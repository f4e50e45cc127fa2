// The choice of a wallet, and the switch of its chain: on the page of a link too, which asks for no session.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { connect, connection, disconnect, switchChain } from "../chain/connection";
import { type Announced, wallets } from "../chain/discovery";
import { shortened } from "../../shared/format";
import { sentence } from "../errors";
import { t } from "../texts";

/** All that is needed until a wallet is connected and on `chainId`; then whose it is. */
export function ConnectWallet({ chainId }: { readonly chainId: number }): JSX.Element {
  const at = connection.value;
  if (at === undefined) return <Choice />;
  return (
    <div class="stack">
      <Account />
      {at.chainId !== chainId && <WrongChain chainId={chainId} />}
    </div>
  );
}

function Choice(): JSX.Element {
  const [asked, setAsked] = useState<string>();
  const [error, setError] = useState<string>();
  const texts = t().connect;
  const choices = useRef(0);
  const choose = async (wallet: Announced): Promise<void> => {
    const own = ++choices.current;
    setAsked(wallet.uuid);
    setError(undefined);
    try {
      await connect(wallet);
    } catch (thrown) {
      if (own === choices.current) setError(sentence(thrown));
    }
    if (own === choices.current) setAsked(undefined);
  };
  if (wallets.value.length === 0) return <p class="notice warn" role="status">{texts.none}</p>;
  const name = wallets.value.find((wallet) => wallet.uuid === asked)?.name;
  return (
    <div class="stack">
      <ul class="plain-list wallets" aria-label={texts.wallets}>
        {wallets.value.map((wallet) => (
          <li key={wallet.uuid}>
            {/* Never shut: some wallets do not answer once their window is closed. */}
            <button type="button" onClick={() => void choose(wallet)}>
              {wallet.icon !== "" && <img src={wallet.icon} alt="" />}
              {wallet.name}
            </button>
          </li>
        ))}
      </ul>
      <p role="status" class="muted">{name === undefined ? "" : texts.asked(name)}</p>
      {error !== undefined && <p class="notice bad" role="alert">{error}</p>}
    </div>
  );
}

/** Which wallet is connected, and the way to another one. */
export function Account(): JSX.Element | null {
  const at = connection.value;
  const texts = t().connect;
  if (at === undefined) return null;
  return (
    <div class="row apart">
      <span class="row">
        {at.wallet.icon !== "" && <img src={at.wallet.icon} alt="" width="24" height="24" />}
        <span>{at.wallet.name}: <span class="mono" title={at.account}>{shortened(at.account)}</span></span>
      </span>
      <button type="button" class="quiet" onClick={disconnect}>{texts.another}</button>
    </div>
  );
}

/** Offers the switch. */
export function WrongChain({ chainId }: { readonly chainId: number }): JSX.Element {
  const [isAsked, setAsked] = useState(false);
  const [error, setError] = useState<string>();
  const texts = t().connect;
  const change = async (): Promise<void> => {
    setAsked(true);
    setError(undefined);
    try {
      await switchChain(chainId);
    } catch (thrown) {
      setError(sentence(thrown));
    }
    setAsked(false);
  };
  return (
    <div class="notice warn stack" data-testid="wrong-chain">
      <p>{texts.wrongChain(connection.value?.chainId ?? 0, chainId)}</p>
      <div>
        <button type="button" class="primary" aria-disabled={isAsked} onClick={() => {
          if (!isAsked) void change();
        }}>{texts.switchTo(chainId)}</button>
      </div>
      {error !== undefined && <p role="alert">{error}</p>}
    </div>
  );
}
