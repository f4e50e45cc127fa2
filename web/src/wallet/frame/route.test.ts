import assert from "node:assert/strict";
import { test } from "node:test";
import { type Route, readRoute, writeRoute } from "./route";

test("each view is in the address and comes back from it", () => {
  const request = "019a0000-0000-7000-8000-000000000001";
  const routes: Route[] = [{ view: "home" }, { view: "contacts" }, { view: "new-code" }, { view: "code", request }];
  for (const route of routes) assert.deepEqual(readRoute(writeRoute(route)), route);
});

test("an address that somebody made up leads home", () => {
  for (const search of ["?request=1", "?request=<b>", "?view=admin", "?x", "??", "?view=contacts%00"]) {
    assert.deepEqual(readRoute(search), { view: "home" });
  }
});
