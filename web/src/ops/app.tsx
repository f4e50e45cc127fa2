import type { JSX } from "preact";

export function App(): JSX.Element {
  return (
    <main>
      <h1>One-time codes: what happens</h1>
    </main>
  );
}
