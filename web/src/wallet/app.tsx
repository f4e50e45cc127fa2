// Which view is shown: by where the page was opened, whether a wallet is connected, and whether there is a session.
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { connection, reconnect } from "./chain/connection";
import { discover } from "./chain/discovery";
import { walletOf } from "./chain/session-wallet";
import type { Around } from "./code/around";
import { CodeView } from "./code/code-view";
import { fragment } from "./code/fragment";
import { LinkView } from "./code/link-view";
import { NewCode } from "./code/new-code";
import { type Config, loadConfig } from "./config";
import { book, closeBook, readBook } from "./contacts/contacts";
import { ContactsView } from "./contacts/contacts-view";
import { useTask } from "./contacts/use-task";
import { sentence } from "./errors";
import { Frame } from "./frame/frame";
import { go, route, startRoute } from "./frame/route";
import { HomeView } from "./home-view";
import { inbox, watchInbox } from "./inbox";
import { ConnectView } from "./session/connect-view";
import { type Session, noteError, session, startSession } from "./session/session";
import { SignInView } from "./session/sign-in-view";
import { ConnectWallet } from "./session/wallets";
import { watchSession } from "./session/watch";
import { t } from "./texts";
import { View } from "./view";

/** Wallets announce themselves within a moment of being asked. */
const ANNOUNCED_WITHIN_MS = 300;

/** A message's link is opened there, by whoever has it: it asks for no session. */
const IS_LINK = location.pathname.endsWith("/verify");

export function App(): JSX.Element {
  const [config, setConfig] = useState<Config>();
  const [error, setError] = useState<string>();
  const start = (): void => {
    setError(undefined);
    begin().then(setConfig, (thrown: unknown) => {
      setError(sentence(thrown));
    });
  };
  useEffect(start, []);
  return (
    <Frame isApp={!IS_LINK && config !== undefined}>
      {config === undefined ? <Start error={error} again={start} /> : IS_LINK ? <Link config={config} /> : <Views config={config} />}
    </Frame>
  );
}

async function begin(): Promise<Config> {
  discover();
  const config = await loadConfig();
  if (!IS_LINK) {
    startRoute();
    startSession();
  }
  await reconnected();
  if (!IS_LINK) watchSession(config.chainId);
  return config;
}

async function reconnected(): Promise<void> {
  if (await reconnect() === undefined) {
    await new Promise((resolve) => setTimeout(resolve, ANNOUNCED_WITHIN_MS));
    await reconnect();
  }
}

function Start({ error, again }: { readonly error: string | undefined; readonly again: () => void }): JSX.Element {
  const texts = t().start;
  if (error === undefined) return <View name="start" title={t().shell.title}><p role="status">{texts.loading}</p></View>;
  return (
    <View name="unreachable" title={texts.failed}>
      <p class="notice bad" role="alert">{error}</p>
      <div><button type="button" class="primary" onClick={again}>{texts.again}</button></div>
    </View>
  );
}

function Link({ config }: { readonly config: Config }): JSX.Element {
  const at = connection.value;
  const account = at?.chainId === config.chainId ? at.account : undefined;
  const wallet = useMemo(() => (account === undefined ? undefined : walletOf(account, config)), [account, config]);
  return (
    <LinkView fragment={fragment.value} actions={config.actions} verifier={config.verifier} chainId={config.chainId}
      wallet={wallet} connect={<ConnectWallet chainId={config.chainId} />} />
  );
}

function Views({ config }: { readonly config: Config }): JSX.Element {
  const whose = session.value;
  const at = connection.value;
  useEffect(() => {
    if (whose === undefined) {
      closeBook();
      return undefined;
    }
    // Other views read it themselves; this one needs it for another channel alone.
    if (route.peek().view === "code") readBook().catch(noteError);
    return watchInbox(noteError);
  }, [whose?.wallet]);
  if (whose !== undefined) return <SignedIn config={config} whose={whose} />;
  return at === undefined ? <ConnectView chainId={config.chainId} /> : <SignInView config={config} at={at} />;
}

function SignedIn({ config, whose }: { readonly config: Config; readonly whose: Session }): JSX.Element {
  const wallet = useMemo(() => walletOf(whose.wallet, config), [whose.wallet, config]);
  const around: Around = {
    service: { ...config, isIssuing: config.issuance.on },
    wallet,
    destinations: (book.value?.contacts ?? []).filter((contact) => contact.confirmed),
    openCode: (request) => {
      go({ view: "code", request });
    },
    openForm: () => {
      go({ view: "new-code" });
    },
    openContacts: () => {
      go({ view: "contacts" });
    },
    noteError,
  };
  return (
    <>
      {connection.value === undefined && (
        <aside class="card stack" aria-label={t().connect.title} data-testid="reconnect">
          <p>{t().home.checkWallet}</p>
          <ConnectWallet chainId={config.chainId} />
        </aside>
      )}
      <Current config={config} around={around} />
    </>
  );
}

/** Before the form for a code, which begins with what contacts there are. */
function ReadBook(): JSX.Element {
  const { error, run } = useTask();
  const read = (): void => {
    run(readBook);
  };
  useEffect(read, []);
  return <Start error={error} again={read} />;
}

function Current({ config, around }: { readonly config: Config; readonly around: Around }): JSX.Element {
  const to = route.value;
  switch (to.view) {
    case "home":
      return <HomeView around={around} />;
    case "contacts":
      return <ContactsView channels={config.channels} />;
    case "new-code":
      return book.value === undefined ? <ReadBook /> : <NewCode around={around} />;
    case "code":
      return <CodeView key={to.request} id={to.request} around={around} messages={inbox.value} />;
  }
}
