// What is given wrong is refused where it is given.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { consume, request, subscribe } from "../src/index.js";
import { Daemon, test, waitFor } from "./daemon.js";

const endpoint = "ipc:///nonexistent/fetch";

test("a text is no list of types", () => {
  for (const make of [subscribe, (options) => consume("c", options)]) {
    assert.throws(() => make({ endpoint, types: "file.completed" }), {
      name: "TypeError",
      message: /^types: a list/,
    });
    assert.throws(() => make({ endpoint, watches: "incoming" }), /^TypeError: watches: a list/);
    assert.throws(() => make({ endpoint, types: [1] }), /^TypeError: types: 1 is no text/);
    assert.throws(() => make({ endpoint, watches: ["a/b"] }), /no name of a watch/);
    const made = make({ endpoint, types: new Set(["file.completed"]) });
    made.close();
  }
});

test("a type that is none is refused with what was meant", async (t) => {
  for (const make of [subscribe, (options) => consume("c", options)]) {
    assert.throws(() => make({ endpoint, types: ["file.complete"] }), {
      name: "RangeError",
      message: /no type of events "file.complete": did you mean "file.completed"\?/,
    });
  }
  const daemon = await new Daemon(t).start();
  const args = { consumer: "c", client: "x", types: ["file.complete"] };
  const message = /did you mean "file.completed"/;
  await assert.rejects(daemon.request("fetch", args), { code: "bad_request", message });
  assert.equal(await daemon.consumer("c"), undefined, "none is made");
});

test("unknown options are refused with what was meant", async () => {
  const meant = (word) => ({ name: "TypeError", message: new RegExp(`did you mean "${word}"`) });
  assert.throws(() => consume("c", { type: ["file.completed"] }), meant("types"));
  assert.throws(() => consume("c", { onstate: () => {} }), meant("onState"));
  assert.throws(() => subscribe({ onGaps: () => {} }), meant("onGap"));
  assert.throws(() => subscribe({ start: "now" }), /^TypeError: there is no option "start"/);
  assert.throws(() => consume("c", "file.completed"), /^TypeError: options: an object/);
  await assert.rejects(request("status", {}, { endpont: endpoint }), meant("endpoint"));
});

test("numbers out of bounds are refused", () => {
  const refused = (options, message) =>
    assert.throws(() => consume("c", { endpoint, ...options }), { name: "RangeError", message });
  refused({ limit: 0 }, /^limit: 0 is not from 1 to 4096/);
  refused({ limit: 1.5 }, /^limit: an integer/);
  refused({ lease: 60_000 }, /^lease: 60000 is not from 1 to 3600 seconds/);
  refused({ wait: 30_000 }, /^wait: .* seconds/);
  refused({ lease: NaN }, /^lease/);
  refused({ lease: "60" }, /^lease/);
});

test("options of a wrong kind are refused", () => {
  const refused = (options, message) =>
    assert.throws(() => consume("c", { endpoint, ...options }), { name: "TypeError", message });
  refused({ start: "beginning" }, /^start: "oldest", "now" or "state" is wanted/);
  refused({ create: "no" }, /^create: true or false/);
  refused({ onState: "log" }, /^onState: a function/);
  refused({ signal: new AbortController() }, /^signal: an AbortSignal/);
  refused({ roots: "incoming=/mnt" }, /^roots: an object/);
  refused({ endpoint: 7557 }, /^endpoint: a text/);
});

test("update changes what a consumer wants, and what a running one fetches", async (t) => {
  const daemon = await new Daemon(t).start();
  const consumer = consume("c", { endpoint: daemon.fetch, types: ["file.stalled"] });
  t.after(() => consumer.close());
  assert.equal(await consumer.next(0.2), null);
  assert.deepEqual(await consumer.update({ types: ["file.completed"] }), {
    types: ["file.completed"],
    watches: [],
  });
  const path = daemon.write("a");
  assert.equal((await consumer.next(5)).path, path);
  assert.deepEqual((await daemon.consumer("c")).types, ["file.completed"]);
  await assert.rejects(consumer.update({ types: "file.moved" }), { name: "TypeError" });
  await assert.rejects(consumer.update({ watch: ["incoming"] }), { name: "TypeError" });
  await assert.rejects(consumer.update({ types: ["file.move"] }), { name: "RangeError" });
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  test(`${signal} with stopSignals: what is in hand is finished, the consumer is free at once`, async (t) => {
    const daemon = await new Daemon(t).start();
    const [first, second] = daemon.writeMany("a", 2);
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("stopping.js", import.meta.url)), "c", daemon.fetch],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    t.after(() => child.kill("SIGKILL"));
    const exit = once(child, "exit");
    let said = "";
    child.stdout.on("data", (part) => (said += part));
    await waitFor(() => said.includes("\n"), "the first event");
    child.kill(signal);
    assert.deepEqual(await exit, [0, null]);
    assert.equal(said, `${first}\nfinished\n`);
    const { owned, behind } = await daemon.consumer("c");
    assert.deepEqual([owned, behind], [false, 1]);
    const next = consume("c", { endpoint: daemon.fetch });
    t.after(() => next.close());
    assert.equal((await next.next(5)).path, second);
  });
}

test("a loop that ends leaves the signals alone", async (t) => {
  const daemon = await new Daemon(t).start();
  const before = process.listenerCount("SIGTERM");
  daemon.write("a");
  for await (const event of consume("c", { endpoint: daemon.fetch, stopSignals: true })) {
    assert.ok(event.id);
    assert.equal(process.listenerCount("SIGTERM"), before + 1);
    break;
  }
  assert.equal(process.listenerCount("SIGTERM"), before);
});

test("after an error the process ends by itself", async (t) => {
  const daemon = await new Daemon(t).start();
  daemon.write("a");
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL("stopping.js", import.meta.url)), "c", daemon.fetch, "throw"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  t.after(() => child.kill("SIGKILL"));
  const [code] = await once(child, "exit");
  assert.equal(code, 1);
  assert.equal((await daemon.consumer("c")).owned, false);
});
