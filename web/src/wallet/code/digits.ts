// Six digits, however they come: typed, pasted in part or with the text around them, or filled in by the browser.

export const DIGITS = 6;
/** The first of each run of ten decimal digits that keyboards give beside 0 to 9: Arabic, Persian, Devanagari, full-width. */
const ZEROS = [0x660, 0x6f0, 0x966, 0xff10];

/** The decimal digits of a text, as 0 to 9; whatever else is in it is left out. */
export function digitsOf(text: string): string {
  return plain(text).replace(/[^0-9]/g, "");
}

function plain(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => {
    const point = digit.codePointAt(0) ?? 0;
    const zero = ZEROS.find((zero) => point >= zero && point < zero + 10);
    return zero === undefined ? digit : String(point - zero);
  });
}

/** Where in an input something is put, and what. */
export interface Insertion {
  readonly start: number;
  readonly end: number;
  readonly digits: string;
}

/**
 * What becomes of `text`, typed or pasted over the selection from `start` to `end`: a whole code takes the place of all that
 * is there; a part goes where the selection is, as far as there is room; in a full row a digit takes the next one's place.
 */
export function insertion(value: string, start: number, end: number, text: string): Insertion {
  const given = digitsOf(text);
  // Of a message with other numbers in it, the six digits that stand alone.
  const [whole] = /(?<!\d)\d{6}(?!\d)/.exec(plain(text)) ?? [];
  if (given.length >= DIGITS) return { start: 0, end: value.length, digits: whole ?? given.slice(0, DIGITS) };
  const isOver = start === end && value.length >= DIGITS && given.length === 1 && start < value.length;
  const until = isOver ? start + 1 : end;
  const room = DIGITS - (value.length - (until - start));
  return { start, end: until, digits: given.slice(0, Math.max(0, room)) };
}

/**
 * Whether `after` is a code that was just completed. `put` is how many digits the last insertion had, undefined where nobody
 * saw one (autofill). Of six digits of which one was changed the next may be changed too, and each attempt counts: such a
 * code is sent when the person says so.
 */
export function isCompletion(before: string, after: string, put: number | undefined): boolean {
  return after.length === DIGITS && (before.length < DIGITS || put !== 1);
}
