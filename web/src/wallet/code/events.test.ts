import assert from "node:assert/strict";
import { test } from "node:test";
import { BadAnswer, NoAnswer, Refusal } from "../../shared/http";
import { EventParser, type Sources, follow } from "./events";
import type { Otp, Status } from "./otps";

const ID = "0199aa00-0000-7000-8000-000000000001";

function answer(status: Status): Record<string, unknown> {
  return {
    id: ID, reference: "ABCDEF", status, history: [], purpose: "login", action: `0x${"11".repeat(32)}`,
    verifier: `0x${"22".repeat(20)}`, chainId: 31_337, createdAt: "2026-11-27T18:00:00.000Z", chainTime: "2026-11-27T18:00:01Z",
    delivery: { channel: "email", masked: "a…@example.com", state: "queued", attempts: 0 },
  };
}

function otp(status: Status): Otp {
  return { ...answer(status), createdAt: 0, chainTime: 0 } as unknown as Otp;
}

async function* stream(...texts: string[]): AsyncGenerator<string> {
  for (const text of texts) yield await Promise.resolve(text);
}

const event = (status: Status): string => `event: status\nid: ${status}\ndata: ${JSON.stringify(answer(status))}\n\n`;
const never = (): Promise<never> => new Promise(() => undefined);
const followed = async (sources: Partial<Sources>, signal = new AbortController().signal): Promise<[string[], boolean[]]> => {
  const seen: string[] = [];
  const contact: boolean[] = [];
  const follower = { news: (it: Otp) => seen.push(it.status), contact: (is: boolean) => contact.push(is) };
  await follow(ID, follower, signal, { open: never, show: never, sleep: () => Promise.resolve(), ...sources });
  return [seen, contact];
};

test("events are cut out of a stream wherever its pieces end", () => {
  const text = ": keep-alive\r\n\r\nevent: status\r\nid: issued\r\ndata: one\r\ndata:two\r\n\r\ndata\rdata: x\n\nevent: lost\n";
  const expected = [{ type: "status", id: "issued", data: "one\ntwo" }, { type: "message", id: "issued", data: "\nx" }];
  for (let size = 1; size <= text.length; size += 1) {
    const parser = new EventParser();
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    assert.deepEqual(pieces.flatMap((piece) => parser.push(piece)), expected, `pieces of ${size}`);
  }
});

test("an event without an end is no reason to fill the memory", () => {
  const parser = new EventParser();
  assert.throws(() => {
    for (let n = 0; n < 100; n += 1) parser.push(`data: ${"x".repeat(1_000)}\n`);
  }, BadAnswer);
});

test("a stream that breaks is resumed behind what was told, until the request is over", async () => {
  const asked: string[] = [];
  const streams = [stream(event("queued"), event("issued").slice(0, 40)), stream(event("issued")), stream(event("consumed"))];
  const [seen] = await followed({
    open: (path, last) => {
      asked.push(last);
      assert.equal(path, `v1/otps/${ID}/events`);
      return Promise.resolve(streams.shift());
    },
  });
  assert.deepEqual(seen, ["queued", "issued", "consumed"]);
  assert.deepEqual(asked, ["", "queued", "issued"]);
});

test("where there is no stream, looking does", async () => {
  const answers: Status[] = ["queued", "delivered", "failed"];
  const [seen, contact] = await followed({
    open: () => Promise.reject(new NoAnswer("offline")),
    show: () => Promise.resolve(otp(answers.shift() ?? "failed")),
  });
  assert.equal(seen.at(-1), "failed");
  assert.ok(contact.includes(false), "the loss of contact is told");
  assert.equal(contact.at(-1), true);
});

test("nonsense in a stream is passed over and asked for again", async () => {
  const other = event("consumed").replaceAll(ID, ID.replace("1", "2"));
  const streams = [stream("event: status\ndata: {}\n\n"), stream(other), stream("event: status\ndata: <b>\n\n"), stream(event("locked"))];
  const [seen] = await followed({ open: () => Promise.resolve(streams.shift()) });
  assert.deepEqual(seen, ["locked"]);
});

test("a session that ended is the caller's to tell", async () => {
  const refused = new Refusal(401, undefined, { type: "/problems/unauthenticated", title: "x" });
  await assert.rejects(followed({ open: () => Promise.reject(refused) }), refused);
});

test("whoever leaves is told no more", async () => {
  const leaving = new AbortController();
  const [seen] = await followed(
    {
      open: () => {
        leaving.abort();
        return Promise.reject(new NoAnswer("offline"));
      },
    },
    leaving.signal,
  );
  assert.deepEqual(seen, []);
});
