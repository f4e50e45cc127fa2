import assert from "node:assert/strict";
import { test } from "node:test";
import { digitsOf, insertion, isCompletion } from "./digits";

test("separators and what is around the digits are left out, and other scripts' digits are digits", () => {
  const same: Record<string, string> = {
    "482913": "482913", "482 913": "482913", " 4-8.2_9/1\u00a03\n": "482913", "４８２９１３": "482913",
    "٤٨٢٩١٣": "482913", "۴۸۲۹۱۳": "482913", "४८२९१३": "482913", "abc": "", "": "", "1½2": "12", "-1e5": "15",
  };
  for (const [text, digits] of Object.entries(same)) assert.equal(digitsOf(text), digits, text);
});

test("a whole code takes the place of what is there", () => {
  assert.deepEqual(insertion("12", 2, 2, "482913"), { start: 0, end: 2, digits: "482913" });
  assert.deepEqual(insertion("123456", 3, 3, "482-913"), { start: 0, end: 6, digits: "482913" });
  assert.deepEqual(insertion("", 0, 0, "Your code: 482913. Valid 60 s.\n@localhost:8080 #482913"), { start: 0, end: 0, digits: "482913" });
  assert.deepEqual(insertion("", 0, 0, "48291377"), { start: 0, end: 0, digits: "482913" });
});

test("a part goes where the selection is, as far as there is room", () => {
  assert.deepEqual(insertion("13", 0, 0, "48-29"), { start: 0, end: 0, digits: "4829" });
  assert.deepEqual(insertion("1234", 4, 4, "567"), { start: 4, end: 4, digits: "56" });
  assert.deepEqual(insertion("123456", 1, 4, "99"), { start: 1, end: 4, digits: "99" });
  assert.deepEqual(insertion("123456", 6, 6, "7"), { start: 6, end: 6, digits: "" });
  assert.deepEqual(insertion("12", 2, 2, "x"), { start: 2, end: 2, digits: "" });
});

test("in a full row a digit takes the next one's place", () => {
  assert.deepEqual(insertion("123456", 2, 2, "9"), { start: 2, end: 3, digits: "9" });
});

test("a code is complete when its sixth digit comes, not while its digits are corrected one by one", () => {
  assert.equal(isCompletion("48291", "482913", 1), true);
  assert.equal(isCompletion("", "482913", undefined), true);
  assert.equal(isCompletion("123456", "482913", 6), true);
  assert.equal(isCompletion("482912", "482913", 6), true);
  assert.equal(isCompletion("482912", "482913", 1), false);
  assert.equal(isCompletion("482913", "48291", 0), false);
});
