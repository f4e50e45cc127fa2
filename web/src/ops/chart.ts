// The geometry of charts: numbers to places, without a document. A value that is null was not measured, and is a gap.

/** Values of one name, one for each part; null where there was none. */
export interface Line {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** Where a chart has room for its marks, in pixels. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A rectangle of a stacked bar. */
export interface Block {
  readonly series: number;
  readonly part: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Round numbers from 0 to at least `most`, about `wanted` of them; whole ones where `whole`. */
export function ticks(most: number, wanted: number, whole: boolean): number[] {
  if (!(most > 0) || !Number.isFinite(most)) return [0, 1];
  const rough = most / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= rough * 0.999_999) ?? 10 * power;
  const size = whole ? Math.max(1, Math.ceil(step)) : step;
  const count = Math.ceil(most / size - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => Number((i * size).toPrecision(12)));
}

/** The largest of all values; 0 of none. */
export function most(lines: readonly Line[]): number {
  return Math.max(0, ...lines.flatMap((line) => line.values.map((value) => value ?? 0)));
}

/** The tallest stack. */
export function mostTogether(lines: readonly Line[]): number {
  const parts = Math.max(0, ...lines.map((line) => line.values.length));
  return Math.max(0, ...Array.from({ length: parts }, (_, part) => sum(lines.map((line) => line.values[part] ?? 0))));
}

/** The middle of a part. */
export function middle(part: number, parts: number, frame: Frame): number {
  return frame.left + ((part + 0.5) * frame.width) / Math.max(1, parts);
}

/** The height of a value, where `top` is the largest that is drawn. */
export function level(value: number, top: number, frame: Frame): number {
  const share = top > 0 ? Math.min(1, Math.max(0, value / top)) : 0;
  return frame.top + frame.height * (1 - share);
}

/** An SVG path through a line's values, broken where there is none. */
export function path(line: Line, top: number, frame: Frame): string {
  let isDrawing = false;
  const steps = line.values.map((value, part) => {
    if (value === null) {
      isDrawing = false;
      return "";
    }
    const step = `${isDrawing ? "L" : "M"}${round(middle(part, line.values.length, frame))} ${round(level(value, top, frame))}`;
    isDrawing = true;
    return step;
  });
  return steps.join("");
}

/** The blocks of stacked bars, from the ground up. */
export function stack(lines: readonly Line[], top: number, frame: Frame): Block[] {
  const parts = Math.max(0, ...lines.map((line) => line.values.length));
  const slot = frame.width / Math.max(1, parts);
  const width = Math.max(1, Math.min(40, slot * 0.72));
  const blocks: Block[] = [];
  for (let part = 0; part < parts; part += 1) {
    let below = 0;
    lines.forEach((line, series) => {
      const value = line.values[part] ?? 0;
      if (value <= 0) return;
      const [upper, lower] = [level(below + value, top, frame), level(below, top, frame)];
      const x = middle(part, parts, frame) - width / 2;
      blocks.push({ series, part, x: round(x), y: round(upper), width: round(width), height: round(lower - upper) });
      below += value;
    });
  }
  return blocks;
}

/** Which of so many parts get a label where there is room for `most` of them: evenly, the first one always. */
export function labelled(parts: number, most: number): number[] {
  const step = Math.max(1, Math.ceil(parts / Math.max(1, most)));
  return Array.from({ length: Math.ceil(parts / step) }, (_, i) => i * step);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
