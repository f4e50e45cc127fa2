import type { JSX } from "preact";
import { t } from "../texts";
import { View } from "../view";
import { Ended } from "./ended";
import { ConnectWallet } from "./wallets";

/** The first view of somebody without a session. */
export function ConnectView({ chainId }: { readonly chainId: number }): JSX.Element {
  const texts = t().connect;
  return (
    <View name="connect" title={texts.title}>
      <Ended />
      <p>{texts.text}</p>
      <section class="card stack" aria-labelledby="choose">
        <h2 id="choose">{texts.choose}</h2>
        <ConnectWallet chainId={chainId} />
      </section>
    </View>
  );
}
