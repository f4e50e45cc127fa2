import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  /** For tests and styles: which view this is. */
  readonly name: string;
  readonly title: string;
  readonly children: ComponentChildren;
}

/** A view: the page's main part, whose heading takes the focus when the view comes. */
export function View({ name, title, children }: Props): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
  }, [name]);
  return (
    <main data-view={name} class="stack">
      <h1 ref={heading} tabIndex={-1}>{title}</h1>
      {children}
    </main>
  );
}
