// What the page keeps in the browser: choices, never a code, a digit, a contact or a token.

/** What was kept under `name`; null where the browser keeps nothing. */
export function kept(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keeps `value` under `name`, or forgets it (null); a browser that keeps nothing is no error. */
export function keep(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Private modes and full disks: the page works without.
  }
}
