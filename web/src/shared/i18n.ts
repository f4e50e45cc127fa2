// The texts of a page in one language at a time. A text is a string, or a function of what it names; so there are no
// placeholders to get wrong, and another language has exactly the same members or does not compile.
import { type ReadonlySignal, signal } from "@preact/signals";
import { keep, kept } from "./storage";

/** What another language has to have, given the first one's texts. */
export type Texts<T> = {
  readonly [K in keyof T]: T[K] extends string
    ? string
    : T[K] extends (...args: infer A) => string
      ? (...args: A) => string
      : Texts<T[K]>;
};

/** A language that a page speaks. */
export interface Language<T> {
  /** In itself, as `Deutsch`. */
  readonly name: string;
  readonly dir: "ltr" | "rtl";
  readonly load: () => Promise<T>;
}

/** Which language is spoken, and its texts. */
export interface Translator<L extends string, T> {
  readonly language: ReadonlySignal<L>;
  readonly texts: ReadonlySignal<T>;
  /** Speaks another language from now on, and at the next visit. */
  choose(language: L): Promise<void>;
  /** Speaks what was chosen before, or the first of the browser's languages that is there. */
  start(): Promise<void>;
}

/** Where the choice is kept. */
const KEPT_AS = "otp.language";

/** A translator that speaks `first` until it has loaded another language. */
export function createTranslator<L extends string, T>(
  languages: Readonly<Record<L, Language<T>>>,
  first: L,
  texts: T,
): Translator<L, T> {
  const language = signal(first);
  const current = signal(texts);
  const isKnown = (name: string | null): name is L => name !== null && Object.hasOwn(languages, name);

  async function speak(chosen: L): Promise<void> {
    current.value = await languages[chosen].load();
    language.value = chosen;
    document.documentElement.lang = chosen;
    document.documentElement.dir = languages[chosen].dir;
  }

  return {
    language,
    texts: current,
    async choose(chosen) {
      const before = kept(KEPT_AS);
      keep(KEPT_AS, chosen);
      // One that does not load is not spoken, nor tried at the next visit.
      await speak(chosen).catch(() => {
        keep(KEPT_AS, before);
      });
    },
    async start() {
      const wanted = [kept(KEPT_AS), ...navigator.languages.map((tag) => tag.split("-")[0] ?? null)];
      const chosen = wanted.find(isKnown) ?? first;
      // Where the other language does not load, the first one is better than no page.
      await speak(chosen).catch(() => speak(first));
    },
  };
}
