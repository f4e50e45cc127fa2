// What a call of governance would change, in German. The indexer says it in English; what is not known here stays so.
import * as v from "valibot";
import { Count, Text } from "../../shared/shapes";
import type { Call } from "../shapes";

const Policy = v.object({ ttlSeconds: Count, graceSeconds: Count, maxAttempts: Count, enabled: v.boolean() });
const SetPolicy = v.object({ purposeName: Text, policy: Policy, now: v.nullable(Policy), inBounds: v.boolean() });
const Role = v.object({ roleName: Text, account: Text });

/** A sentence; the indexer's own where the call or its arguments are none of those that are known. */
export function callInGerman(call: Call): string {
  return translated(call) ?? call.words;
}

function translated(call: Call): string | undefined {
  const text = (name: string): string => (typeof call.arguments[name] === "string" ? call.arguments[name] : "?");
  switch (call.function) {
    case "setPolicy":
      return setPolicy(call.arguments);
    case "pause":
      return "Hält den Verifier an: Bis das aufgehoben ist, wird kein Code ausgestellt, bestätigt oder verbraucht.";
    case "unpause":
      return "Hebt das Anhalten auf: Codes werden wieder ausgestellt, bestätigt und verbraucht.";
    case "grantRole":
    case "revokeRole":
      return role(call);
    case "removeIssuer":
      return `Nimmt ${text("issuer")} das Recht, Codes auszustellen; seine laufenden Codes bleiben gültig.`;
    case "upgradeAndCall":
      return `Ersetzt den Code von ${text("proxy")} durch den bei ${text("implementation")}. Von da an entscheidet dieser, welche Codes gelten.`;
    case "transferOwnership":
      return `Gibt das Recht, den Code des Verifiers zu ersetzen, an ${text("newOwner")}.`;
    case "updateDelay":
      return `Setzt die kürzeste Frist des Timelocks auf ${text("newDelaySeconds")} s.`;
    default:
      return undefined;
  }
}

function setPolicy(members: unknown): string | undefined {
  const read = v.safeParse(SetPolicy, members);
  if (!read.success) return undefined;
  const { purposeName, policy, now, inBounds } = read.output;
  const against = (to: number, before: number | undefined, unit: string): string => {
    if (before === undefined) return `${to}${unit}`;
    return before === to ? `${to}${unit} (wie jetzt)` : `${to}${unit} (jetzt ${before}${unit})`;
  };
  const parts = [
    `Setzt die Richtlinie von „${purposeName}“: Ein Code gilt ${against(policy.ttlSeconds, now?.ttlSeconds, " s")},`,
    `kann danach ${against(policy.graceSeconds, now?.graceSeconds, " s")} lang verbraucht werden,`,
    `${against(policy.maxAttempts, now?.maxAttempts, "")} falsche Ziffern werden geprüft;`,
    policy.enabled ? "sie ist eingeschaltet." : "sie ist abgeschaltet.",
    inBounds ? "" : "Das liegt außerhalb der Grenzen des Vertrags: Der Aufruf wird abgelehnt.",
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function role(call: Call): string | undefined {
  const read = v.safeParse(Role, call.arguments);
  if (!read.success) return undefined;
  const { roleName, account } = read.output;
  const of = call.targetName === "timelock" ? "des Timelocks" : "des Verifiers";
  return call.function === "grantRole" ? `Gibt ${account} die Rolle ${roleName} ${of}.` : `Nimmt ${account} die Rolle ${roleName} ${of}.`;
}
