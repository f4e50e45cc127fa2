// What somebody looks for, before it is sent: the indexer reads it again.

/** What a text can be. */
export type Wanted = "hash" | "serial" | "request" | "message" | "wallet";

/** Tells by its form what is looked for; undefined for none of these. */
export function kindOf(text: string): Wanted | undefined {
  const trimmed = text.trim();
  if (/^0x[0-9a-fA-F]{64}$/.test(trimmed)) return "hash";
  if (/^0x[0-9a-fA-F]{40}$/.test(trimmed)) return "wallet";
  if (/^[0-9]{1,13}$/.test(trimmed) && Number(trimmed) < 2 ** 40) return "serial";
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(trimmed)) return "request";
  if (/^[0-9a-f]{32}@[^\s@]{1,253}$/.test(trimmed)) return "message";
  return undefined;
}

/** Whether it belongs to a person: then only the operator looks for it, and never in an address. */
export function isPersonal(kind: Wanted): boolean {
  return kind === "request" || kind === "message" || kind === "wallet";
}

/** How a search is asked: by GET of what is public on the public port, by POST on the admin port. */
export function asking(q: string, issuer: string | undefined, isAdmin: boolean, format: "json" | "csv"): { path: string; body?: unknown } {
  const members = { q: q.trim(), ...(issuer === undefined ? {} : { issuer }), ...(format === "csv" ? { format } : {}) };
  if (isAdmin) return { path: "v1/search", body: members };
  return { path: `v1/search?${new URLSearchParams(members).toString()}` };
}
