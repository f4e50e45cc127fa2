// What an operator looks at first: what waits, how far behind the chain is, what signers have left.
import type { JSX } from "preact";
import { clock } from "../shared/format";
import { useLive } from "./live";
import { Badge, Facts, Fault, Heading, Hex, Moment } from "./parts";
import { Operations } from "./shapes";
import { t } from "./texts";

export function OperationsView(): JSX.Element {
  const { value, error } = useLive("v1/operations", Operations);
  return (
    <>
      <Heading>{t().operations.title}</Heading>
      <Fault error={error} />
      {value === undefined ? <p role="status">{error === undefined ? t().shell.loading : ""}</p> : <Told now={value} />}
    </>
  );
}

function Told({ now }: { readonly now: Operations }): JSX.Element {
  const texts = t().operations;
  const number = (value: number | null): string => (value === null ? t().shell.unknown : String(value));
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of).map(([name, count]) => `${name} ${count}`).join(", ") || "0";
  const { outbox, chain } = now;
  const oldest = outbox.oldestDueSeconds > 0 ? ` (${texts.oldest(clock(outbox.oldestDueSeconds))})` : "";
  return (
    <div class="story">
      <section class="card stack" aria-labelledby="queues">
        <h3 id="queues">{texts.queues}</h3>
        <Facts
          rows={[
            [texts.requests, counts(now.requestsQueued)],
            [texts.transactions, counts(now.transactionsOpen)],
            [texts.due, `${outbox.due}${oldest}`],
            [texts.sending, String(outbox.sending)],
            [texts.waiting, String(outbox.waiting)],
            [texts.dead, outbox.dead === 0 ? "0" : <Badge kind="bad">{outbox.dead}</Badge>],
          ]}
        />
      </section>
      <section class="card stack" aria-labelledby="chain">
        <h3 id="chain">{texts.chain}</h3>
        <Facts
          rows={[
            [texts.lag, number(chain.lagBlocks)],
            [texts.head, number(chain.head)],
            [texts.applied, number(chain.applied)],
            [texts.final, number(chain.final)],
            [texts.headAge, chain.headAgeSeconds === null ? t().shell.unknown : clock(chain.headAgeSeconds)],
            [texts.mail, <Badge kind={now.mailUp ? "good" : "bad"}>{now.mailUp ? texts.up : texts.down}</Badge>],
          ]}
        />
      </section>
      <section class="card stack" aria-labelledby="signers">
        <h3 id="signers">{texts.signers}</h3>
        {now.signers.length === 0 ? <p class="muted">{t().shell.none}</p> : null}
        {now.signers.map((signer) => (
          <Facts
            key={signer.address}
            rows={[
              [t().governance.account, <Hex value={signer.address} what={t().governance.account} />],
              [texts.balance, signer.balanceEther === null ? (signer.detail ?? t().shell.unknown) : `${Number(signer.balanceEther).toFixed(4)} ETH`],
              [texts.nonce, String(signer.nextNonce)],
            ]}
          />
        ))}
      </section>
      <section class="card stack" aria-labelledby="limits">
        <h3 id="limits">{texts.limits}</h3>
        <Facts rows={Object.entries(now.limitsInUse).map(([name, count]) => [name, String(count)])} />
        {Object.keys(now.limitsInUse).length === 0 ? <p class="muted">{t().shell.none}</p> : null}
        <p class="small muted">{texts.limitsHint}</p>
      </section>
      <section class="card stack" aria-labelledby="switches">
        <h3 id="switches">{texts.switches}</h3>
        {now.switchedOff.length === 0 ? <p>{texts.allOn}</p> : null}
        <ul class="plain-list stack">
          {now.switchedOff.map((off) => (
            <li key={`${off.scope}-${off.name}`}>
              <Badge kind="warn">{off.scope} {off.name}</Badge> {off.reason} <span class="muted small"><Moment ms={off.since} /></span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}
