// A chart for eyes, and the same as a table for everybody else.
import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type Frame, labelled, level, type Line, middle, most, mostTogether, path, stack, ticks } from "./chart";
import { full, short } from "./lines";
import { t, translator } from "./texts";

interface ChartProps {
  readonly title: string;
  readonly lines: readonly Line[];
  /** When each part begins. */
  readonly labels: readonly string[];
  /** `stack` where the values are parts of one whole, `lines` where each is by itself. */
  readonly kind: "stack" | "lines";
  /** Whether values are counts. */
  readonly whole: boolean;
}

const HEIGHT = 220;
const SMALLEST = 240;

export function Chart(props: ChartProps): JSX.Element {
  const [width, holder] = useWidth();
  const id = useId();
  const language = translator.language.value;
  const { title, lines, labels, kind, whole } = props;
  const frame: Frame = { left: 44, top: 10, width: Math.max(width, SMALLEST) - 74, height: HEIGHT - 40 };
  const scale = ticks(kind === "stack" ? mostTogether(lines) : most(lines), 4, whole);
  const top = scale.at(-1) ?? 1;
  return (
    <figure class="card chart" aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>{title}</h3>
      <ul class="plain-list row legend" aria-hidden="true">
        {lines.map((line, place) => (
          <li key={line.name} class={`series-${place}`}>
            <svg width="26" height="12" viewBox="0 0 26 12">
              {kind === "stack" ? <rect class="block" width="26" height="12" rx="2" /> : <path class="line" d="M1 6L25 6" />}
            </svg>
            {line.name}
          </li>
        ))}
      </ul>
      <div ref={holder} class="plot">
        <svg role="img" aria-label={`${title}. ${summary(lines, language)}`} width="100%" height={HEIGHT} viewBox={`0 0 ${Math.max(width, SMALLEST)} ${HEIGHT}`}>
          {scale.map((value) => (
            <g key={value} class="tick">
              <line x1={frame.left} x2={frame.left + frame.width} y1={level(value, top, frame)} y2={level(value, top, frame)} />
              <text x={frame.left - 6} y={level(value, top, frame) + 4} text-anchor="end">{short(value, language)}</text>
            </g>
          ))}
          {labelled(labels.length, Math.floor(frame.width / 72)).map((part) => (
            <text key={part} class="when" x={middle(part, labels.length, frame)} y={HEIGHT - 8} text-anchor="middle">{labels[part]}</text>
          ))}
          {kind === "stack" ? <Blocks lines={lines} labels={labels} top={top} frame={frame} /> : <Lines lines={lines} labels={labels} top={top} frame={frame} />}
        </svg>
      </div>
      <details>
        <summary>{t().shell.table}</summary>
        <Table {...props} />
      </details>
    </figure>
  );
}

interface MarksProps {
  readonly lines: readonly Line[];
  readonly labels: readonly string[];
  readonly top: number;
  readonly frame: Frame;
}

function Blocks({ lines, labels, top, frame }: MarksProps): JSX.Element {
  return (
    <>
      {stack(lines, top, frame).map(({ series, part, x, y, width, height }) => (
        <rect key={`${series}-${part}`} class={`block series-${series}`} x={x} y={y} width={width} height={height}>
          <title>{told(lines[series], part, labels)}</title>
        </rect>
      ))}
    </>
  );
}

function Lines({ lines, labels, top, frame }: MarksProps): JSX.Element {
  return (
    <>
      {lines.map((line, series) => (
        <g key={line.name} class={`series-${series}`}>
          <path class="line" d={path(line, top, frame)} />
          {line.values.map((value, part) =>
            value === null ? null : (
              <circle key={part} class="dot" cx={middle(part, line.values.length, frame)} cy={level(value, top, frame)} r="3">
                <title>{told(line, part, labels)}</title>
              </circle>
            ),
          )}
        </g>
      ))}
    </>
  );
}

function told(line: Line | undefined, part: number, labels: readonly string[]): string {
  const value = full(line?.values[part] ?? null, translator.language.value, "–");
  return `${labels[part] ?? ""} ${line?.name ?? ""}: ${value}`;
}

function summary(lines: readonly Line[], language: string): string {
  const told = lines.map((line) => {
    const last = line.values.findLast((value) => value !== null) ?? null;
    return t().figures.most(line.name, full(most([line]), language, "–"), full(last, language, "–"));
  });
  return told.join("; ");
}

function Table({ title, lines, labels }: ChartProps): JSX.Element {
  const language = translator.language.value;
  return (
    <div class="scroll" role="region" aria-label={title} tabIndex={0}>
      <table>
        <caption class="unseen">{title}</caption>
        <thead>
          <tr>
            <th scope="col">{t().figures.from}</th>
            {lines.map((line) => <th key={line.name} scope="col" class="number">{line.name}</th>)}
          </tr>
        </thead>
        <tbody>
          {labels.map((label, part) => (
            <tr key={part}>
              <th scope="row">{label}</th>
              {lines.map((line) => <td key={line.name} class="number">{full(line.values[part] ?? null, language, "–")}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The width that a chart has, in CSS pixels. */
function useWidth(): [number, { current: HTMLDivElement | null }] {
  const holder = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(480);
  useEffect(() => {
    const element = holder.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWidth(Math.round(entry.contentRect.width));
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, []);
  return [width, holder];
}
