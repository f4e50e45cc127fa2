// Which view somebody who is signed in looks at. It is in the address, so that a reload and the back button lead there.
import { type ReadonlySignal, signal } from "@preact/signals";

/** A view, with what it shows. */
export type Route =
  | { readonly view: "home" }
  | { readonly view: "contacts" }
  | { readonly view: "new-code" }
  | { readonly view: "code"; readonly request: string };

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const current = signal<Route>({ view: "home" });

export const route: ReadonlySignal<Route> = current;

/** Follows the address from now on. */
export function startRoute(): void {
  current.value = readRoute(location.search);
  addEventListener("popstate", () => {
    current.value = readRoute(location.search);
  });
}

/** Opens a view. */
export function go(to: Route): void {
  const search = writeRoute(to);
  if (search !== location.search) history.pushState(null, "", location.pathname + search);
  current.value = to;
}

/** The view that the query names; home where it names none. */
export function readRoute(search: string): Route {
  const query = new URLSearchParams(search);
  const request = query.get("request") ?? "";
  if (UUID.test(request)) return { view: "code", request };
  const view = query.get("view");
  return view === "contacts" || view === "new-code" ? { view } : { view: "home" };
}

/** The query that names the view. */
export function writeRoute(to: Route): string {
  if (to.view === "code") return `?request=${to.request}`;
  return to.view === "home" ? "" : `?view=${to.view}`;
}
