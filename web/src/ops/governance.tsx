// Who may do what to the contract, since when, and what waits to change it.
import type { JSX } from "preact";
import { useLive } from "./live";
import { AsOf, Badge, Facts, Fault, Heading, Hex, Moment, SinceWhen } from "./parts";
import { Governance, type Operation } from "./shapes";
import { t } from "./texts";

export function GovernanceView(): JSX.Element {
  const { value, error } = useLive("v1/governance", Governance);
  return (
    <>
      <Heading>{t().governance.title}</Heading>
      <Fault error={error} />
      {value === undefined ? <p role="status">{error === undefined ? t().shell.loading : ""}</p> : <Told governance={value} />}
    </>
  );
}

interface Props {
  readonly governance: Governance;
}

function Told({ governance }: Props): JSX.Element {
  const texts = t().governance;
  const { pause, node } = governance;
  return (
    <>
      <AsOf asOf={governance.asOf} />
      {node.ok ? null : <p class="notice warn">{texts.nodeDown(node.detail ?? t().shell.unknown)}</p>}
      <div class={`notice ${pause.paused ? "bad" : "good"}`}>
        <p>
          <strong>{pause.paused ? texts.paused : texts.running}</strong> {pause.agrees === false ? <Badge kind="bad">{texts.disagrees}</Badge> : null}
        </p>
        <p class="small">{texts.since} <SinceWhen since={pause.since} /></p>
      </div>
      <Queue governance={governance} />
      <Policies governance={governance} />
      <Roles governance={governance} />
      <Contract governance={governance} />
    </>
  );
}

function Policies({ governance }: Props): JSX.Element {
  const texts = t().governance;
  return (
    <section class="card stack" aria-labelledby="policies">
      <h3 id="policies">{texts.policies}</h3>
      <div class="scroll" role="group" aria-labelledby="policies" tabIndex={0}>
        <table>
          <thead>
            <tr>{[texts.purpose, texts.ttl, texts.grace, texts.attempts, texts.enabled, texts.since].map((name) => <th key={name} scope="col">{name}</th>)}</tr>
          </thead>
          <tbody>
            {governance.policies.map(({ purposeName, policy, since }) => (
              <tr key={purposeName}>
                <th scope="row">{purposeName}</th>
                <td class="number">{policy === null ? "–" : texts.seconds(String(policy.ttlSeconds))}</td>
                <td class="number">{policy === null ? "–" : texts.seconds(String(policy.graceSeconds))}</td>
                <td class="number">{policy === null ? "–" : policy.maxAttempts}</td>
                <td>{policy === null ? "–" : <Badge kind={policy.enabled ? "good" : "warn"}>{policy.enabled ? texts.on : texts.off}</Badge>}</td>
                <td><SinceWhen since={since} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Roles({ governance }: Props): JSX.Element {
  const texts = t().governance;
  const words: Readonly<Record<string, string>> = texts.roleNames;
  return (
    <section class="card stack" aria-labelledby="roles">
      <h3 id="roles">{texts.roles}</h3>
      <div class="scroll" role="group" aria-labelledby="roles" tabIndex={0}>
        <table>
          <thead>
            <tr>{[texts.role, texts.account, texts.since].map((name) => <th key={name} scope="col">{name}</th>)}</tr>
          </thead>
          <tbody>
            {governance.roles.map((role) => (
              <tr key={`${role.roleName}-${role.account}`}>
                <th scope="row">{role.roleName} <span class="muted small">{words[role.roleName] ?? ""}</span></th>
                <td><Hex value={role.account} what={texts.account} /> {role.agrees === false ? <Badge kind="bad">{texts.disagrees}</Badge> : null}</td>
                <td><SinceWhen since={role.since} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Contract({ governance }: Props): JSX.Element {
  const texts = t().governance;
  const { implementation, proxyAdmin, timelock, version } = governance;
  const hex = (value: string | null | undefined, what: string): JSX.Element | string => (value ? <Hex value={value} what={what} /> : t().shell.unknown);
  return (
    <section class="card stack" aria-labelledby="contract">
      <h3 id="contract">{texts.contract}</h3>
      <Facts
        rows={[
          [texts.contract, <Hex value={governance.verifier} what={texts.contract} />],
          [texts.version, version ?? t().shell.unknown],
          [texts.implementation, hex(implementation?.address, texts.implementation)],
          [texts.since, <SinceWhen since={implementation?.since ?? null} />],
          [texts.proxyAdmin, hex(proxyAdmin, texts.proxyAdmin)],
          [texts.timelock, hex(timelock?.address, texts.timelock)],
          [texts.minDelay, typeof timelock?.minDelaySeconds === "number" ? texts.seconds(String(timelock.minDelaySeconds)) : t().shell.unknown],
        ]}
      />
    </section>
  );
}

function Queue({ governance }: Props): JSX.Element {
  const texts = t().governance;
  const { timelock } = governance;
  return (
    <section class="card stack" aria-labelledby="queue">
      <h3 id="queue">{texts.queue}</h3>
      {timelock === null ? <p class="muted">{texts.noTimelock}</p> : timelock.operations.length === 0 ? <p class="muted">{texts.noQueue}</p> : null}
      <ul class="plain-list stack">{timelock?.operations.map((operation) => <Proposal key={`${operation.operation}-${operation.scheduled.txHash}`} operation={operation} />)}</ul>
      {timelock?.more === true ? <p class="muted">{t().search.more}</p> : null}
    </section>
  );
}

function Proposal({ operation }: { readonly operation: Operation }): JSX.Element {
  const texts = t().governance;
  const kind = operation.state === "ready" ? "warn" : operation.state === "executed" ? "good" : "plain";
  return (
    <li class="proposal stack tight">
      <div class="row">
        <Badge kind={kind}>{texts.states[operation.state]}</Badge>
        <Hex value={operation.operation} what={texts.queue} />
      </div>
      {operation.detail === null ? null : <p class="notice warn">{texts.unreadable(operation.detail)}</p>}
      {operation.matchesId === false ? <p class="notice bad">{texts.unbound}</p> : null}
      <ol class="calls">
        {operation.calls.map((call, place) => (
          <li key={place}>
            <p>{texts.call(call)}</p>
            <details>
              <summary>{texts.raw}</summary>
              <p class="small"><Hex value={call.target} what={texts.account} /> <code>{call.data}</code></p>
            </details>
          </li>
        ))}
      </ol>
      {operation.matchesId === true ? <p class="small muted">{texts.bound}</p> : null}
      <p class="small">{texts.scheduled} <SinceWhen since={operation.scheduled} /></p>
      {operation.ended === null ? (
        operation.readyAt === null ? null : <p class="small">{texts.readyAt} <Moment ms={operation.readyAt} /></p>
      ) : (
        <p class="small">{texts.ended} <SinceWhen since={operation.ended} /></p>
      )}
    </li>
  );
}
