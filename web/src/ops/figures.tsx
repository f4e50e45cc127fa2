// What happens now and did lately, at a glance.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Chart } from "./chart_view";
import { saveFrom, saveJson } from "./daemon";
import { channels, codes, delivered, failed, failures, full, gas, isQuiet, label, short, STAGES, type Stage, times } from "./lines";
import { useLive } from "./live";
import { AsOf, Fault, Heading } from "./parts";
import { type Part, Series } from "./shapes";
import { t, translator } from "./texts";

const WINDOWS = ["hour", "day", "week"] as const;
const chosen = signal<(typeof WINDOWS)[number]>("day");
const stage = signal<Stage>("requestToVerified");

export function Figures(): JSX.Element {
  const window = chosen.value;
  const { value, error } = useLive(`v1/series?window=${window}`, Series);
  return (
    <>
      <div class="row apart">
        <Heading>{t().figures.title}</Heading>
        <fieldset class="row choice">
          <legend class="unseen">{t().figures.window}</legend>
          {WINDOWS.map((name) => (
            <label key={name} class={name === window ? "chosen" : ""}>
              <input type="radio" name="window" value={name} checked={name === window} onChange={() => { chosen.value = name; }} />
              {t().figures.windows[name]}
            </label>
          ))}
        </fieldset>
      </div>
      <Fault error={error} />
      {value === undefined ? <p role="status">{error === undefined ? t().shell.loading : ""}</p> : <Told series={value} />}
    </>
  );
}

function Told({ series }: { readonly series: Series }): JSX.Element {
  const language = translator.language.value;
  const labels = series.parts.map((part) => label(series, part, language));
  const texts = t().figures;
  return (
    <>
      <AsOf asOf={series.asOf} />
      <Tiles total={series.total} />
      {isQuiet(series.total) ? <p class="notice">{texts.nothing}</p> : null}
      <div class="charts">
        <Chart title={texts.codes} lines={codes(series, t())} labels={labels} kind="lines" whole />
        <Chart title={texts.byChannel} lines={channels(series, t())} labels={labels} kind="stack" whole />
        <Chart title={texts.failed} lines={failures(series, t())} labels={labels} kind="stack" whole />
        <div class="stack tight">
          <Stages />
          <Chart title={texts.times} lines={times(series, stage.value, t())} labels={labels} kind="lines" whole={false} />
        </div>
        <Chart title={texts.gasChart} lines={gas(series, t())} labels={labels} kind="lines" whole />
      </div>
      <p class="muted small">{texts.defined}</p>
      <Export series={series} />
    </>
  );
}

function Stages(): JSX.Element {
  return (
    <div>
      <label for="stage">{t().figures.stage}</label>
      <select id="stage" value={stage.value} onChange={(event) => { stage.value = STAGES.find((name) => name === event.currentTarget.value) ?? stage.value; }}>
        {STAGES.map((name) => <option key={name} value={name}>{t().figures.stages[name]}</option>)}
      </select>
    </div>
  );
}

function Tiles({ total }: { readonly total: Part }): JSX.Element {
  const [texts, language] = [t().figures, translator.language.value];
  const count = (value: number): string => full(value, language, "–");
  const percent = (share: number): string => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(share);
  const { issuedPerMinute, verifiedShare } = total.rates;
  const slow = total.stages.requestToVerified.p95Seconds;
  const tiles: readonly (readonly [string, string, string])[] = [
    [texts.issued, count(total.issued), issuedPerMinute === null ? "" : texts.perMinute(short(issuedPerMinute, language))],
    [texts.delivered, count(delivered(total)), ""],
    [texts.verified, count(total.verified), verifiedShare === null ? "" : texts.share(percent(verifiedShare))],
    [texts.consumed, count(total.consumed), ""],
    [texts.failed, count(failed(total)), total.expired === 0 ? "" : `${texts.expired}: ${count(total.expired)}`],
    [texts.slow, slow === null ? "–" : t().governance.seconds(short(slow, language)), ""],
    [texts.gas, full(total.gasPerCode.p50, language, "–"), ""],
  ];
  return (
    <dl class="tiles">
      {tiles.map(([name, value, more]) => (
        <div key={name} class="card tile">
          <dt>{name}</dt>
          <dd class="digits">
            {value}
            {more === "" ? null : <span class="muted small">{more}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Export({ series }: { readonly series: Series }): JSX.Element {
  const [error, setError] = useState<unknown>();
  const name = `otp-${series.window}`;
  async function csv(): Promise<void> {
    setError(undefined);
    await saveFrom(`v1/series?window=${series.window}&format=csv`, `${name}.csv`, "text/csv").catch(setError);
  }
  return (
    <div class="row">
      <button type="button" onClick={csv}>{t().shell.download("CSV")}</button>
      <button type="button" onClick={() => { saveJson(series, `${name}.json`); }}>{t().shell.download("JSON")}</button>
      <Fault error={error} />
    </div>
  );
}
