import type { JSX } from "preact";
import { t } from "./texts";

export function App(): JSX.Element {
  return (
    <main data-view="home">
      <h1>{t().shell.title}</h1>
    </main>
  );
}
