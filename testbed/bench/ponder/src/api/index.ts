// How much is stored: what the benchmark waits for.
import { Hono } from "hono";
import { count } from "ponder";
import { db } from "ponder:api";
import { event } from "ponder:schema";

const app = new Hono();

app.get("/count", async (c) => {
  const [row] = await db.select({ stored: count() }).from(event);
  return c.text(String(row?.stored ?? 0));
});

export default app;
