// Live, and what was missed.
import assert from "node:assert/strict";
import { Publisher } from "zeromq";
import { ProtocolMismatch, subscribe } from "../src/index.js";
import { encoder } from "../src/link.js";
import { Daemon, test, waitFor, workdir } from "./daemon.js";

/** Reads on until the subscription is in effect. */
async function live(subscriber) {
  await waitFor(async () => (await subscriber.next(0.05), subscriber.live), "a heartbeat");
  return subscriber;
}

test("what is published while we are connected", async (t) => {
  const daemon = await new Daemon(t).start();
  const gaps = [];
  const options = { endpoint: daemon.publish, types: ["file.completed"], watches: ["incoming"] };
  const subscriber = await live(subscribe({ ...options, onGap: (gap) => gaps.push(gap) }));
  const paths = daemon.writeMany("a", 20);
  const seen = [];
  for await (const event of subscriber) {
    seen.push(event.path);
    if (seen.length === 20) break;
  }
  assert.deepEqual(seen, paths);
  assert.deepEqual(gaps, []);
  assert.equal(await subscriber.next(), null, "break closes it");
});

test("other watches and types are left out", async (t) => {
  const daemon = await new Daemon(t).start();
  const other = await live(subscribe({ endpoint: daemon.publish, watches: ["other"] }));
  const moved = await live(
    subscribe({ endpoint: daemon.publish, types: ["file.moved", "file.removed"] }),
  );
  const all = await live(subscribe({ endpoint: daemon.publish }));
  t.after(() => [other, moved, all].forEach((each) => each.close()));
  daemon.write("a");
  assert.equal((await all.next()).type, "file.completed");
  assert.equal(await other.next(0.5), null);
  assert.equal(await moved.next(0.001), null);
});

test("abort ends the loop", async (t) => {
  const daemon = await new Daemon(t).start();
  const stop = new AbortController();
  const subscriber = await live(subscribe({ endpoint: daemon.publish, signal: stop.signal }));
  const ended = (async () => {
    for await (const event of subscriber) assert.equal(event.type, "watch.scanned");
  })();
  stop.abort();
  await ended;
  assert.equal(await subscribe({ endpoint: daemon.publish, signal: stop.signal }).next(), null);
});

test("over a restart of the daemon each event is received or in a gap", async (t) => {
  const daemon = await new Daemon(t).start();
  const gaps = [];
  const options = {
    endpoint: daemon.publish,
    types: ["file.completed"],
    onGap: (gap) => gaps.push(gap),
  };
  const subscriber = await live(subscribe(options));
  t.after(() => subscriber.close());
  daemon.write("before");
  const received = new Set([(await subscriber.next()).position]);
  await daemon.kill();
  daemon.writeMany("while-away", 20);
  await daemon.start();
  const last = daemon.write("after");
  const { events } = await waitFor(async () => {
    const reply = await daemon.request("fetch", { after: "0", types: ["file.completed"] });
    return reply.events.length === 22 && reply.events.at(-1).data.path === last && reply;
  }, "all to be announced");
  const told = (position) =>
    received.has(position) || gaps.some((gap) => gap.after < position && position <= gap.until);
  await waitFor(async () => {
    const event = await subscriber.next(0.05);
    if (event) received.add(event.position);
    return events.every((each) => told(each.sequence));
  }, "events or gaps");
});

/** A publisher that says what a test wants said. */
async function fake(t) {
  const socket = new Publisher({ linger: 0 });
  const endpoint = `ipc://${workdir(t)}/publish`;
  await socket.bind(endpoint);
  t.after(() => socket.close());
  const send = (topic, map) => socket.send([topic, encoder.encode(map)]);
  return {
    endpoint,
    send,
    event: (n, previous) =>
      send("file.completed/incoming/", {
        id: `id${n}`,
        type: "file.completed",
        sequence: at(n),
        prevsequence: at(previous),
        data: { watch: "incoming", path: `/p${n}` },
      }),
    heartbeat: (last, stream = "s", protocol = 1) =>
      send("heartbeat/", { stream, protocol, last: { "file.completed/incoming/": at(last) } }),
  };
}

const at = (n) => (n === 0 ? "0" : String(n).padStart(20, "0"));

/** A subscriber that is connected: the fake's heartbeat reaches it. */
async function subscribed(t, publisher, gaps) {
  const subscriber = subscribe({
    endpoint: publisher.endpoint,
    types: ["file.completed"],
    onGap: ({ topic, after, until }) => gaps.push([topic, after, until]),
  });
  t.after(() => subscriber.close());
  await waitFor(async () => {
    await publisher.heartbeat(5);
    await subscriber.next(0.02);
    return subscriber.live;
  }, "a heartbeat");
  return subscriber;
}

test("a gap between two events, and one that only a heartbeat shows", async (t) => {
  const publisher = await fake(t);
  const gaps = [];
  const subscriber = await subscribed(t, publisher, gaps);
  await publisher.event(7, 5);
  assert.equal((await subscriber.next()).path, "/p7");
  assert.deepEqual(gaps, [], "the first heartbeat told where we came in");
  await publisher.event(12, 9);
  await subscriber.next();
  const topic = "file.completed/incoming/";
  assert.deepEqual(gaps, [[topic, at(7), at(9)]]);
  await publisher.heartbeat(12);
  await publisher.heartbeat(15);
  await publisher.event(16, 15);
  await subscriber.next();
  assert.deepEqual(gaps.slice(1), [[topic, at(12), at(15)]]);
  await publisher.heartbeat(3, "another stream");
  await publisher.event(4, 3);
  await subscriber.next();
  assert.deepEqual(gaps.slice(2), [[topic, "0", at(3)]]);
});

test("what is no event is counted and passed over", async (t) => {
  const publisher = await fake(t);
  const subscriber = await subscribed(t, publisher, []);
  await publisher.send("file.completed/incoming/", { no: "event" });
  await publisher.send("file.completed/incoming/", null);
  await publisher.event(7, 5);
  assert.equal((await subscriber.next()).path, "/p7");
  assert.equal(subscriber.malformed, 2);
});

test("a daemon of another protocol is told", async (t) => {
  const publisher = await fake(t);
  const subscriber = await subscribed(t, publisher, []);
  await publisher.heartbeat(5, "s", 2);
  await assert.rejects(subscriber.next(), (error) => error instanceof ProtocolMismatch);
});
