import assert from "node:assert/strict";
import { test } from "node:test";
import { BadAnswer, NoAnswer, Refusal } from "../../shared/http";
import { forgetLogOut, logOut, settleLogOut } from "./log-out";

const items = new Map<string, string>();
Object.defineProperty(globalThis, "localStorage", {
  value: {
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, value: string) => items.set(name, value),
    removeItem: (name: string) => items.delete(name),
  },
});

const fails = (error: Error) => () => Promise.reject(error);
const refused = (status: number, slug = ""): Refusal => new Refusal(status, undefined, slug && { type: `/problems/${slug}`, title: slug });

test("a session is over once the daemon has said so, or does not know it", async () => {
  assert.equal(await logOut(() => Promise.resolve(undefined)), true);
  assert.equal(await logOut(fails(refused(401, "unauthenticated"))), true);
  assert.equal(items.size, 0);
});

test("whatever else is answered leaves the end owed, until it is there", async () => {
  const answers = [
    new NoAnswer("offline"), new NoAnswer("timeout"), new BadAnswer("html"), refused(502), refused(503, "busy"),
    refused(429, "rate-limited"), refused(403, "origin-mismatch"), refused(401),
  ];
  for (const error of answers) assert.equal(await logOut(fails(error)), false, error.message);
  let asked = 0;
  const ask = (): Promise<void> => {
    asked += 1;
    return Promise.resolve();
  };
  await settleLogOut(fails(new NoAnswer("offline")));
  await settleLogOut(ask);
  await settleLogOut(ask);
  assert.equal(asked, 1);
});

test("a new session is not ended for an old one", async () => {
  await logOut(fails(new NoAnswer("offline")));
  forgetLogOut();
  await settleLogOut(() => assert.fail("asked"));
});
