// What every view has: a name, one heading that takes the focus when the view comes, and the page's title.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "./texts";

interface Props {
  /** `connect`, `sign-in`, `home` and so on: what tests and styles know it by. */
  readonly name: string;
  readonly title: string;
  readonly children: ComponentChildren;
}

/** The first view of a visit leaves the focus where the browser put it. */
let isFirst = true;

export function View({ name, title, children }: Props): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isFirst) heading.current?.focus();
    isFirst = false;
    scrollTo(0, 0);
  }, [name]);
  useEffect(() => {
    document.title = `${title} – ${t().shell.title}`;
  }, [title]);
  return (
    <main id="main" data-view={name} class="stack">
      <h1 ref={heading} tabIndex={-1}>{title}</h1>
      {children}
    </main>
  );
}
