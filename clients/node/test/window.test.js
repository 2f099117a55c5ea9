// What may be acked.
import assert from "node:assert/strict";
import test from "node:test";
import { Window } from "../src/window.js";

const at = (n) => String(n).padStart(20, "0");
const envelopes = (...numbers) =>
  numbers.map((n) => ({ id: `id${n}`, type: "t", sequence: at(n), data: {} }));
const add = (window, end, ...numbers) => window.add(envelopes(...numbers), at(end), {});

test("the unbroken prefix of what is done", () => {
  const window = new Window();
  add(window, 9, 1, 2, 3);
  assert.equal(window.ackable(), "0");
  const [one, two, three] = [window.take(), window.take(), window.take()];
  assert.equal(window.take(), null);
  window.change(two.position, "open", "done");
  assert.equal(window.ackable(), "0");
  window.change(one.position, "open", "done");
  assert.equal(window.ackable(), at(2));
  window.change(three.position, "open", "done");
  assert.equal(window.ackable(), at(9), "the cursor passes over what did not match");
});

test("what is not given out is not acked", () => {
  const window = new Window();
  add(window, 2, 1, 2);
  window.change(window.take().position, "open", "done");
  assert.equal(window.ackable(), at(1));
  assert.equal(window.inHand, 1);
});

test("a cursor moves without events", () => {
  const window = new Window();
  assert.equal(add(window, 7), true);
  assert.equal(window.ackable(), at(7));
  assert.equal(add(window, 7), false, "no further");
});

test("what is out comes a second time and is passed over", () => {
  const window = new Window();
  add(window, 2, 1, 2);
  const one = window.take();
  window.change(window.take().position, "open", "done");
  assert.equal(add(window, 3, 1, 2, 3), true);
  assert.equal(window.take().position, at(3));
  assert.equal(window.take(), null);
  window.change(one.position, "open", "done");
  assert.equal(window.ackable(), at(2));
});

test("an older event that is wanted now, too, holds the prefix", () => {
  const window = new Window();
  add(window, 5, 2, 5);
  window.take();
  window.change(window.take().position, "open", "done");
  add(window, 5, 2, 3, 5);
  const three = window.take();
  assert.equal(three.position, at(3));
  window.change(at(2), "open", "done");
  assert.equal(window.ackable(), at(2), "not past 3");
  window.change(three.position, "open", "done");
  assert.equal(window.ackable(), at(5));
});

test("what is failing is not done", () => {
  const window = new Window();
  add(window, 1, 1);
  const { position } = window.take();
  assert.equal(window.change(position, "open", "failing"), true);
  assert.equal(window.change(position, "open", "done"), false);
  window.doneUpTo(at(1));
  assert.equal(window.ackable(), "0");
  window.change(position, "failing", "done");
  assert.equal(window.ackable(), at(1));
});

test("what is no event is counted and passed over", () => {
  const window = new Window();
  window.add([null, { id: "x", type: "t" }, ...envelopes(3)], at(3), {});
  assert.equal(window.malformed, 2);
  assert.equal(window.take().position, at(3));
});
