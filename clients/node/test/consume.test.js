// A durable consumer and the real daemon: whatever is killed, each event at least once.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { consume, request, RequestError } from "../src/index.js";
import { Link } from "../src/link.js";
import { Daemon, test, waitFor, workdir } from "./daemon.js";

const COMPLETED = { types: ["file.completed"] };

function worker(t, daemon, name, ...more) {
  const child = fork(fileURLToPath(new URL("worker.js", import.meta.url)), [
    name,
    daemon.fetch,
    ...more,
  ]);
  t.after(() => child.kill("SIGKILL"));
  return child;
}

const pathFrom = async (child) => (await once(child, "message"))[0];

/** Paths of the next `count` events, each done when the next is asked for. */
async function take(consumer, count) {
  const paths = [];
  for await (const event of consumer) {
    paths.push(event.path);
    if (paths.length === count) {
      consumer.done(event);
      break;
    }
  }
  return paths;
}

test("each event once, also to a consumer that comes later", async (t) => {
  const daemon = await new Daemon(t).start();
  const first = daemon.writeMany("a", 3);
  const options = { endpoint: daemon.fetch, ...COMPLETED };
  assert.deepEqual(await take(consume("c", options), 3), first);
  assert.equal((await daemon.consumer("c")).owned, false, "break releases it");
  const second = daemon.writeMany("b", 3);
  assert.deepEqual(await take(consume("c", options), 3), second);
});

test("more than one fetch holds, in order", async (t) => {
  const daemon = await new Daemon(t).start();
  const paths = daemon.writeMany("a", 50);
  assert.deepEqual(
    await take(consume("c", { endpoint: daemon.fetch, limit: 8, ...COMPLETED }), 50),
    paths,
  );
  assert.equal((await daemon.consumer("c")).behind, 0);
});

test("break and throw leave the current event undone, and release the consumer", async (t) => {
  const daemon = await new Daemon(t).start();
  const [one, two] = daemon.writeMany("a", 2);
  const options = { endpoint: daemon.fetch, ...COMPLETED };
  const working = async () => {
    for await (const event of consume("c", options))
      if (event.path === two) throw new Error("work");
  };
  await assert.rejects(working, { message: "work" });
  for await (const event of consume("c", options)) {
    assert.equal(event.path, two, `not ${one} again`);
    break;
  }
  assert.deepEqual(await take(consume("c", options), 1), [two]);
});

test("a consumer that is killed before its ack: the event comes again", async (t) => {
  const daemon = await new Daemon(t).start();
  const [one, two] = daemon.writeMany("a", 2);
  const child = worker(t, daemon, "c");
  assert.equal(await pathFrom(child), one);
  child.send("done");
  assert.equal(await pathFrom(child), two);
  await waitFor(async () => (await daemon.consumer("c")).behind === 1, "the ack of the first");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.deepEqual(await take(consume("c", { endpoint: daemon.fetch }), 1), [two]);
});

test("one works, the others stand by; when it is killed one takes over", async (t) => {
  const daemon = await new Daemon(t).start();
  const child = worker(t, daemon, "c");
  const [one] = daemon.writeMany("a", 1);
  assert.equal(await pathFrom(child), one);
  const states = [];
  const second = consume("c", {
    endpoint: daemon.fetch,
    lease: 1,
    onState: (state) => states.push(state),
  });
  t.after(() => second.close());
  const event = second.next();
  await waitFor(() => states[0] === "standby", "stand-by");
  assert.equal(second.state, "standby");
  child.kill("SIGKILL");
  assert.equal((await event).path, one);
  assert.deepEqual(states, ["standby", "owner"]);
});

test("a consumer that is closed hands over at once", async (t) => {
  const daemon = await new Daemon(t).start();
  const options = { endpoint: daemon.fetch, ...COMPLETED };
  const first = consume("c", options);
  daemon.write("a");
  first.done(await first.next());
  assert.equal(await first.next(0.05), null, "nothing more, so its fetch waits in the daemon");
  const second = consume("c", options);
  t.after(() => second.close());
  const event = second.next();
  await waitFor(() => second.state === "standby", "stand-by");
  await first.close();
  const written = daemon.write("b");
  assert.equal((await event).path, written);
});

test("the lease is kept while a loop body is long", async (t) => {
  const daemon = await new Daemon(t).start();
  daemon.writeMany("a", 2);
  const resets = [];
  const consumer = consume("c", {
    endpoint: daemon.fetch,
    lease: 1,
    onReset: (reset) => resets.push(reset),
  });
  const other = consume("c", { endpoint: daemon.fetch, lease: 1 });
  t.after(() => other.close());
  let count = 0;
  for await (const event of consumer) {
    if (event.type !== "file.completed") continue;
    if (++count === 2) break;
    const begin = Date.now();
    const waiting = other.next(0.001);
    await waitFor(async () => {
      const { owned, last_seen: seen } = await daemon.consumer("c");
      assert.ok(owned);
      return Date.parse(seen) > begin + 2500;
    }, "two and a half leases");
    assert.equal(other.state, "standby");
    await waiting;
  }
  assert.deepEqual(resets, []);
});

test("the daemon is killed: nothing is lost", async (t) => {
  const daemon = await new Daemon(t).start();
  const written = daemon.writeMany("a", 20);
  const states = [];
  const consumer = consume("c", {
    endpoint: daemon.fetch,
    limit: 5,
    onState: (s) => states.push(s),
    ...COMPLETED,
  });
  const seen = new Map();
  for await (const event of consumer) {
    if (seen.has(event.path)) assert.equal(seen.get(event.path), event.id, "the same id");
    seen.set(event.path, event.id);
    if (seen.size === 7) {
      await daemon.kill();
      written.push(...daemon.writeMany("while-away", 5));
      await daemon.start();
    }
    if (seen.size === 25) break;
  }
  assert.deepEqual(new Set(seen.keys()), new Set(written));
  assert.ok(states.includes("disconnected") && states.at(-1) === "owner", states.join());
});

test("the daemon is killed while we wait: what comes later is heard", async (t) => {
  const daemon = await new Daemon(t).start();
  const consumer = consume("c", { endpoint: daemon.fetch, ...COMPLETED });
  t.after(() => consumer.close());
  const event = consumer.next();
  await waitFor(() => consumer.state === "owner", "the first fetch");
  await daemon.kill();
  await waitFor(() => consumer.state === "disconnected", "the loss to be seen");
  await daemon.start();
  const path = daemon.write("a");
  assert.equal((await event).path, path);
});

test("in parallel: the unbroken prefix is acked, what is new is heard meanwhile", async (t) => {
  const daemon = await new Daemon(t).start();
  const paths = daemon.writeMany("a", 3);
  const consumer = consume("c", { endpoint: daemon.fetch, ...COMPLETED });
  const [one, two, three] = [await consumer.next(), await consumer.next(), await consumer.next()];
  assert.deepEqual(
    [one, two, three].map((event) => event.path),
    paths,
  );
  consumer.done(three);
  const later = consumer.next();
  await waitFor(async () => (await daemon.request("status")).polls === 1, "the consumer to wait");
  const four = daemon.write("b");
  assert.equal((await later).path, four, "although the first is not done");
  consumer.done(one);
  assert.equal(await consumer.flush(), true);
  assert.equal((await daemon.consumer("c")).position, one.position);
  await consumer.close();
  assert.deepEqual(await take(consume("c", { endpoint: daemon.fetch }), 3), [
    paths[1],
    paths[2],
    four,
  ]);
});

test("several loops over one consumer are workers", async (t) => {
  const daemon = await new Daemon(t).start();
  const paths = daemon.writeMany("a", 30);
  const stop = new AbortController();
  const consumer = consume("c", {
    endpoint: daemon.fetch,
    limit: 7,
    signal: stop.signal,
    ...COMPLETED,
  });
  const seen = [];
  let busy = 0;
  let most = 0;
  const loop = async () => {
    for await (const event of consumer) {
      most = Math.max(most, ++busy);
      await new Promise((done) => setImmediate(done));
      seen.push(event.path);
      --busy;
      if (seen.length === 30) stop.abort();
    }
  };
  await Promise.all([loop(), loop(), loop()]);
  assert.deepEqual(seen.sort(), paths.sort());
  assert.equal(most, 3);
  assert.equal((await daemon.consumer("c")).behind, 0);
});

test("after the loop nothing keeps the process", async (t) => {
  const daemon = await new Daemon(t).start();
  const path = daemon.write("a");
  const child = worker(t, daemon, "c", "once");
  const exit = once(child, "exit");
  assert.equal(await pathFrom(child), path);
  child.send("done");
  assert.deepEqual(await exit, [0, null]);
  assert.equal((await daemon.consumer("c")).owned, false);
});

test("abort while nothing comes", async (t) => {
  const daemon = await new Daemon(t).start();
  const stop = new AbortController();
  const consumer = consume("c", { endpoint: daemon.fetch, signal: stop.signal, ...COMPLETED });
  const ended = (async () => {
    for await (const event of consumer) assert.fail(event.path);
  })();
  await waitFor(() => consumer.state === "owner", "the first fetch");
  stop.abort();
  await ended;
  assert.equal((await daemon.consumer("c")).owned, false);
});

test("abort in a loop body: it is finished and acked, and is the last", async (t) => {
  const daemon = await new Daemon(t).start();
  daemon.writeMany("a", 3);
  const stop = new AbortController();
  const seen = [];
  for await (const event of consume("c", {
    endpoint: daemon.fetch,
    signal: stop.signal,
    ...COMPLETED,
  })) {
    seen.push(event.id);
    stop.abort();
  }
  assert.equal(seen.length, 1);
  assert.equal((await daemon.consumer("c")).behind, 2);
  assert.equal(await consume("c", { endpoint: daemon.fetch, signal: stop.signal }).next(), null);
});

test("a name that is no UTF-8 is opened by its bytes", async (t) => {
  const daemon = await new Daemon(t).start();
  const name = Buffer.from("caf\xe9 \n.txt", "latin1");
  daemon.write(name, "what is in it");
  for await (const event of consume("c", { endpoint: daemon.fetch, ...COMPLETED })) {
    assert.equal(fs.readFileSync(event.pathBytes, "utf8"), "what is in it");
    assert.throws(() => fs.readFileSync(event.path), { code: "ENOENT" });
    break;
  }
});

test("roots: the files lie elsewhere for us", async (t) => {
  const daemon = await new Daemon(t).start();
  const elsewhere = `${workdir(t)}/mnt`;
  fs.symlinkSync(daemon.root, elsewhere);
  daemon.write("a");
  const options = { endpoint: daemon.fetch, roots: { incoming: elsewhere }, ...COMPLETED };
  for await (const event of consume("c", options)) {
    assert.equal(event.path, `${elsewhere}/a`);
    assert.equal(fs.readFileSync(event.pathBytes, "utf8"), "content");
    break;
  }
});

test("fail: kept with its reason, passed over, delivered again by retry", async (t) => {
  const daemon = await new Daemon(t).start();
  const [bad, good] = daemon.writeMany("a", 2);
  const consumer = consume("c", { endpoint: daemon.fetch, ...COMPLETED });
  const kept = [];
  for await (const event of consumer) {
    if (event.path === good) {
      consumer.done(event);
      break;
    }
    kept.push(await consumer.fail(event, `no picture ${"ä".repeat(4096)}`, 3));
  }
  assert.deepEqual(kept, [true]);
  const [failure, ...more] = await consumer.failed();
  assert.deepEqual(more, []);
  assert.equal(failure.event.path, bad);
  assert.equal(failure.tries, 3);
  assert.ok(failure.reason.startsWith("no picture ä"));
  assert.equal(await consumer.retry([failure.position]), 1);
  const again = consume("c", { endpoint: daemon.fetch });
  const event = await again.next();
  assert.deepEqual([event.path, event.id], [bad, failure.event.id]);
  assert.ok(event.position > failure.position);
  again.done(event);
  await again.close();
  assert.deepEqual(await again.failed(), []);
  assert.equal((await again.status()).ready, true);
});

test("a fail that nobody waits for is told before its ack", async (t) => {
  const daemon = await new Daemon(t).start();
  daemon.writeMany("a", 2);
  const consumer = consume("c", { endpoint: daemon.fetch, ...COMPLETED });
  let count = 0;
  for await (const event of consumer) {
    consumer.fail(event, "bad");
    if (++count === 2) break;
  }
  assert.equal((await consumer.failed()).length, 2);
  assert.equal((await daemon.consumer("c")).behind, 0);
});

test("seek: what is before comes again, what is after is left out", async (t) => {
  const daemon = await new Daemon(t).start();
  const paths = daemon.writeMany("a", 3);
  const resets = [];
  const options = { endpoint: daemon.fetch, onReset: (reset) => resets.push(reset), ...COMPLETED };
  const consumer = consume("c", options);
  t.after(() => consumer.close());
  const events = [await consumer.next(), await consumer.next(), await consumer.next()];
  await consumer.seek("start");
  assert.equal((await consumer.next()).path, paths[0]);
  await consumer.seek(events[1].position);
  assert.equal((await consumer.next()).path, paths[2]);
  await consumer.seek(events[2].time);
  assert.ok((await consumer.next()).time >= events[2].time);
  await consumer.seek("now");
  const later = consumer.next();
  const path = daemon.write("b");
  assert.equal((await later).path, path);
  assert.deepEqual(resets, [], "that was us");
  await assert.rejects(consumer.seek(events[1].position, "another stream"), {
    code: "stream_changed",
  });
});

test("somebody else moves the consumer: told, and nothing is lost", async (t) => {
  const daemon = await new Daemon(t).start();
  const paths = daemon.writeMany("a", 3);
  const resets = [];
  const options = {
    endpoint: daemon.fetch,
    onReset: ({ code }) => resets.push(code),
    ...COMPLETED,
  };
  const consumer = consume("c", options);
  t.after(() => consumer.close());
  const one = await consumer.next();
  await daemon.request("seek", { consumer: "c", to: "start" });
  consumer.done(one);
  assert.equal(await consumer.flush(), false);
  assert.deepEqual(resets, ["not_owner"]);
  assert.equal((await consumer.next()).path, paths[0]);
});

test("the journal is begun anew: told, and everything comes again", async (t) => {
  const daemon = await new Daemon(t).start();
  const path = daemon.write("a");
  const resets = [];
  const options = {
    endpoint: daemon.fetch,
    onReset: ({ code }) => resets.push(code),
    ...COMPLETED,
  };
  const consumer = consume("c", options);
  t.after(() => consumer.close());
  const event = await consumer.next();
  consumer.done(event);
  assert.equal(await consumer.flush(), true);
  const { stream } = consumer;
  await daemon.kill();
  for (const end of ["", "-wal", "-shm"]) fs.rmSync(daemon.journal + end, { force: true });
  await daemon.start();
  const again = await consumer.next();
  assert.deepEqual([again.path, again.id], [path, event.id]);
  assert.deepEqual(resets, ["stream_changed"]);
  assert.notEqual(consumer.stream, stream);
});

test("what is no longer kept is told once", async (t) => {
  const daemon = new Daemon(t);
  const toml = fs
    .readFileSync(daemon.config, "utf8")
    .replace("[journal]", '[journal]\nretain_size = "1MiB"');
  fs.writeFileSync(daemon.config, toml);
  await daemon.start();
  const lost = [];
  const options = { endpoint: daemon.fetch, onLost: (each) => lost.push(each), ...COMPLETED };
  const consumer = consume("c", options);
  t.after(() => consumer.close());
  assert.equal(await consumer.next(0.05), null);
  await waitFor(() => consumer.state === "owner", "the consumer to be made");
  await consumer.close();
  daemon.writeMany("a", 4000);
  const last = daemon.write("last");
  await waitFor(async () => {
    const { journal } = await daemon.request("status");
    return journal.count > 4001 && journal.kept < journal.count - 100;
  }, "old events to go");
  const again = consume("c", { ...options, limit: 4096 });
  t.after(() => again.close());
  let count = 1;
  await again.next(); // not done, so that nothing is acked
  for (let event; event?.path !== last; ++count) again.done((event = await again.next()));
  const more = again.next();
  await waitFor(
    async () => (await daemon.request("status")).polls === 1,
    "another fetch, which tells it again",
  );
  await again.close();
  assert.equal(await more, null);
  assert.equal(lost.length, 1);
  assert.ok(lost[0].first < lost[0].last);
  assert.ok(count > 100 && count < 4000);
});

test("busy is tried again", async (t) => {
  const daemon = await new Daemon(t).start();
  // A thousand fetches may wait: these, until there is a file.
  const link = await Link.open({ endpoint: daemon.fetch });
  t.after(() => link.close());
  const args = { after: "0", stream: link.hello.stream, wait: 60, ...COMPLETED };
  const waiting = Array.from({ length: 1000 }, () => link.request("fetch", args, 60));
  await waitFor(
    async () => (await daemon.request("status")).polls === 1000,
    "a thousand that wait",
  );
  const consumer = consume("c", { endpoint: daemon.fetch, ...COMPLETED });
  t.after(() => consumer.close());
  const event = consumer.next();
  await waitFor(() => consumer.state === "owner", "the first fetch, which does not wait");
  const patient = request("fetch", args, { endpoint: daemon.fetch, timeout: 20 });
  const impatient = request("fetch", args, { endpoint: daemon.fetch, timeout: 0.5 });
  await assert.rejects(impatient, { name: "RequestError", code: "busy" });
  const path = daemon.write("a");
  for (const reply of await Promise.all([...waiting, patient])) {
    assert.equal(reply.events[0].data.path, path);
  }
  assert.equal((await event).path, path);
});

test("what the daemon refuses is thrown", async (t) => {
  const daemon = await new Daemon(t).start();
  const endpoint = daemon.fetch;
  const refused = async (name, options, code) => {
    const loop = async () => {
      for await (const event of consume(name, { endpoint, ...options })) assert.fail(event.path);
    };
    await assert.rejects(loop, (error) => error instanceof RequestError && error.code === code);
  };
  await refused("nobody", { create: false }, "unknown_consumer");
  const made = consume("c", { endpoint, types: ["file.completed"] });
  assert.equal(await made.next(0.05), null);
  await waitFor(() => made.state === "owner", "the consumer to be made");
  await made.close();
  await refused("c", { types: ["file.moved"] }, "bad_request");
  await refused("a name with blanks", {}, "bad_request");
  await assert.rejects(daemon.request("nonsense"), { code: "unknown_op", message: /older/ });
});

test('start: "now" leaves out what was', async (t) => {
  const daemon = await new Daemon(t).start();
  daemon.write("before");
  await waitFor(
    async () => (await daemon.request("status")).watches[0].files === 1,
    "the file to be seen",
  );
  const consumer = consume("c", { endpoint: daemon.fetch, start: "now", ...COMPLETED });
  t.after(() => consumer.close());
  const event = consumer.next();
  await waitFor(() => consumer.state === "owner", "the first fetch");
  const path = daemon.write("after");
  assert.equal((await event).path, path);
});
