import type { JSX } from "preact";
import { shortened } from "../../shared/format";
import { t, translator } from "../texts";
import { shownField } from "./actions";
import type { Line } from "./authorization";
import type { Shown } from "./shown";

/** What a code authorises, in the words of the very payload that the contract checks. */
export function Authorizes({ shown, account }: { readonly shown: Shown; readonly account: string | undefined }): JSX.Element {
  const texts = t().authorization;
  return (
    <section class="card stack" aria-labelledby="authorizes" data-testid="authorizes">
      <h2 id="authorizes">{texts.title}</h2>
      <Body shown={shown} account={account} />
    </section>
  );
}

function Body({ shown, account }: { readonly shown: Shown; readonly account: string | undefined }): JSX.Element {
  const texts = t().authorization;
  switch (shown.kind) {
    case "refused":
      return <p class="notice bad" role="alert">{texts.notShown}</p>;
    case "blind":
      return (
        <>
          <p class="notice warn">{texts.blind}</p>
          <dl class="facts">
            <dt>{texts.action}</dt>
            <dd><code>{shown.action}</code></dd>
          </dl>
        </>
      );
    case "sign-in":
      return (
        <dl class="facts">
          <dt>{texts.kind}</dt>
          <dd>{texts.signIn}</dd>
          {shown.origin !== "" && <dt>{texts.at}</dt>}
          {shown.origin !== "" && <dd>{shown.origin}</dd>}
        </dl>
      );
    case "typed":
      return <Typed shown={shown} account={account} />;
  }
}

function Typed({ shown, account }: { readonly shown: Shown & { kind: "typed" }; readonly account: string | undefined }): JSX.Element {
  const texts = t().authorization;
  const { authorization, action } = shown;
  return (
    <>
      <dl class="facts">
        <dt>{texts.kind}</dt>
        <dd><strong>{action?.title ?? authorization.primaryType}</strong></dd>
        <dt>{texts.contract}</dt>
        <dd>
          {action !== undefined && <>{action.name}{" "}</>}
          <code title={authorization.consumer}>{action === undefined ? authorization.consumer : shortened(authorization.consumer)}</code>
        </dd>
        {authorization.lines.map((line, index) => {
          const field = line.depth === 0 ? action?.fields.find((field) => field.name === line.name) : undefined;
          const indent = line.depth === 0 ? undefined : `depth-${Math.min(line.depth, 8)}`;
          return [
            <dt key={`${index}-name`} class={indent}>{field?.label ?? line.name}</dt>,
            <dd key={`${index}-value`} class={indent}>
              {field?.format === "amount" ? <strong class="digits">{shownField(field, line.value, translator.language.value)}</strong> : <Plain line={line} account={account} />}
            </dd>,
          ];
        })}
      </dl>
      {action === undefined && <p class="notice warn">{texts.unknown}</p>}
    </>
  );
}

function Plain({ line, account }: { readonly line: Line; readonly account: string | undefined }): JSX.Element {
  const texts = t().authorization;
  switch (line.kind) {
    case "address":
      return <><code>{line.text}</code>{line.text === account && ` (${texts.yourself})`}</>;
    case "bool":
      return <>{line.value === true ? texts.yes : texts.no}</>;
    case "number":
      return <span class="digits">{line.text}</span>;
    case "bytes":
      return <code>{line.text}</code>;
    case "text":
      return line.text === "" ? <span class="muted">{texts.empty}</span> : <bdi>{line.text}</bdi>;
    case "group":
      return <></>;
  }
}
