// better-auth with its email-otp plugin, as its documentation sets it up: SQLite in WAL mode, codes stored hashed. Mail is
// swallowed: what would go out is kept in memory and given away at /codes/<email>, for the client that plays the person.
//
// node server.mjs DATABASE SYNCHRONOUS USERS — prints the port that it listens on, on 127.0.0.1, and serves until it is
// killed. SYNCHRONOUS is SQLite's pragma: FULL makes each commit durable, as the relayer's are.
import { createServer } from "node:http";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { emailOTP } from "better-auth/plugins";
import Database from "better-sqlite3";

const [path, synchronous, users] = process.argv.slice(2);
if (!/^(FULL|NORMAL)$/.test(synchronous) || !(Number(users) > 0)) {
  console.error("usage: node server.mjs DATABASE FULL|NORMAL USERS");
  process.exit(2);
}

const database = new Database(path);
database.pragma("journal_mode = WAL");
database.pragma(`synchronous = ${synchronous}`);

const codes = new Map();
const auth = betterAuth({
  database,
  baseURL: "http://127.0.0.1",
  secret: "a-secret-for-a-benchmark-on-loopback-alone",
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  advanced: { disableOriginCheck: true },
  plugins: [
    emailOTP({
      storeOTP: "hashed",
      sendVerificationOTP: async ({ email, otp }) => {
        codes.set(email, otp);
      },
    }),
  ],
});
await (await getMigrations(auth.options)).runMigrations();
const context = await auth.$context;
for (let number = 0; number < Number(users); number += 1) {
  const email = `wallet-${number}@example.test`;
  await context.internalAdapter.createUser({ email, name: `wallet ${number}`, emailVerified: false });
}

const handle = toNodeHandler(auth);
const server = createServer((request, response) => {
  if (!request.url.startsWith("/codes/")) {
    return handle(request, response);
  }
  const email = decodeURIComponent(request.url.slice("/codes/".length));
  const code = codes.get(email);
  response.writeHead(code ? 200 : 404, { "content-type": "text/plain" }).end(code ?? "");
});
// Node closes a connection that is idle for 5 s, and a call that is on its way then is lost.
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
