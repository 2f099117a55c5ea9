// What is told when there is no daemon, or another one, or keys that do not fit; within 3 s.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { Router } from "zeromq";
import * as inotifier from "../src/index.js";
import { encoder } from "../src/link.js";
import { Daemon, keygen, test, waitFor, workdir } from "./daemon.js";

const { consume, request, subscribe } = inotifier;

/** Both clients fail so at that endpoint. */
async function fails(connection, Kind, message) {
  const failing = async (client) => {
    const begin = Date.now();
    await assert.rejects(client.next(), (error) => {
      assert.equal(error.name, Kind.name, error.message);
      assert.ok(error instanceof Kind && error instanceof inotifier.ConnectionFailed);
      assert.match(error.message, message);
      return true;
    });
    assert.ok(Date.now() - begin < 3200, `after ${Date.now() - begin} ms`);
    await client.close();
  };
  await Promise.all([
    failing(subscribe({ ...connection })),
    failing(consume("c", { ...connection })),
  ]);
}

test("nothing listens: no socket", async (t) => {
  await fails(
    { endpoint: `ipc://${workdir(t)}/fetch` },
    inotifier.NothingListens,
    /no such socket.*inotifier run/,
  );
});

test("nothing listens: a socket left behind", async (t) => {
  const daemon = await new Daemon(t).start();
  await daemon.kill();
  await fails(
    { endpoint: daemon.fetch, connectTimeout: 0.3 },
    inotifier.NothingListens,
    /nothing listens there/,
  );
});

test("nothing listens: a port", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  const connection = { endpoint: `tcp://127.0.0.1:${port}`, connectTimeout: 0.3 };
  await fails(connection, inotifier.NothingListens, /nothing listens there/);
});

test("a daemon that starts while we connect", async (t) => {
  const daemon = new Daemon(t);
  const path = daemon.write("a");
  const consumer = consume("c", {
    endpoint: daemon.fetch,
    types: ["file.completed"],
    connectTimeout: 10,
  });
  t.after(() => consumer.close());
  const event = consumer.next();
  await daemon.start();
  assert.equal((await event).path, path);
});

test("a peer that speaks no ZeroMQ", async (t) => {
  const server = net.createServer((socket) =>
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n").on("error", () => {}),
  );
  const address = `${workdir(t)}/http`;
  server.listen(address);
  t.after(() => server.close());
  await fails({ endpoint: `ipc://${address}` }, inotifier.NotInotifier, /does not speak ZeroMQ/);
});

test("a peer that says nothing", async (t) => {
  const sockets = [];
  const server = net.createServer((socket) => sockets.push(socket.on("error", () => {})));
  const address = `${workdir(t)}/silent`;
  server.listen(address);
  t.after(() => (sockets.forEach((socket) => socket.destroy()), server.close()));
  await fails({ endpoint: `ipc://${address}` }, inotifier.NotInotifier, /does not speak ZeroMQ/);
});

test("the daemon's other socket", async (t) => {
  const daemon = await new Daemon(t).start();
  await assert.rejects(subscribe({ endpoint: daemon.fetch }).next(), {
    name: "NotInotifier",
    message: /publishes nothing.*\[publish\]/,
  });
  await assert.rejects(consume("c", { endpoint: daemon.publish }).next(), {
    name: "NotInotifier",
    message: /answers no requests.*\[fetch\]/,
  });
});

/** A service that answers each request with `reply`; nothing if there is none. */
async function service(t, reply) {
  const router = new Router({ linger: 0 });
  const endpoint = `ipc://${workdir(t)}/fetch`;
  await router.bind(endpoint);
  t.after(() => router.close());
  (async () => {
    for await (const [peer] of router) if (reply) await router.send([peer, encoder.encode(reply)]);
  })();
  return endpoint;
}

test("a ZeroMQ peer that answers nothing, or something else", async (t) => {
  await assert.rejects(request("hello", {}, { endpoint: await service(t, null) }), {
    name: "NotInotifier",
    message: /does not answer/,
  });
  await assert.rejects(request("hello", {}, { endpoint: await service(t, { hi: 1 }) }), {
    name: "NotInotifier",
    message: /does not answer as/,
  });
});

test("a daemon that is older or newer", async (t) => {
  const older = await service(t, { ok: true, request: 1, protocol: 0 });
  await assert.rejects(consume("c", { endpoint: older }).next(), {
    name: "ProtocolMismatch",
    message: /daemon is older/,
  });
  const newer = await service(t, { ok: true, request: 1, protocol: 2 });
  await assert.rejects(consume("c", { endpoint: newer }).next(), {
    name: "ProtocolMismatch",
    message: /client is older.*npm/,
  });
});

test("endpoints that are none", async () => {
  for (const endpoint of ["/run/inotifier/fetch", "http://x", "tcp://127.0.0.1", "ipc://"]) {
    await fails({ endpoint }, inotifier.BadEndpoint, /an endpoint is ipc:/);
  }
});

test("the default endpoint: the variable, the person's socket, the service's", async (t) => {
  const { defaultEndpoint } = await import("../src/places.js");
  const saved = { ...process.env };
  t.after(() => Object.assign(process.env, saved));
  const directory = workdir(t);
  delete process.env.INOTIFIER_FETCH_ENDPOINT;
  process.env.XDG_RUNTIME_DIR = directory;
  assert.equal(defaultEndpoint("fetch"), "ipc:///run/inotifier/fetch");
  fs.mkdirSync(`${directory}/inotifier`);
  fs.writeFileSync(`${directory}/inotifier/fetch`, "");
  assert.equal(defaultEndpoint("fetch"), `ipc://${directory}/inotifier/fetch`);
  process.env.INOTIFIER_FETCH_ENDPOINT = "tcp://127.0.0.1:7557";
  assert.equal(defaultEndpoint("fetch"), "tcp://127.0.0.1:7557");
  // The daemon's own list: the ipc socket if it is there, and addresses to connect to.
  process.env.INOTIFIER_FETCH_ENDPOINT = `['tcp://0.0.0.0:7557', "ipc://${directory}/listed"]`;
  assert.equal(defaultEndpoint("fetch"), "tcp://127.0.0.1:7557");
  fs.writeFileSync(`${directory}/listed`, "");
  assert.equal(defaultEndpoint("fetch"), `ipc://${directory}/listed`);
  process.env.INOTIFIER_FETCH_ENDPOINT = `tcp://127.0.0.1:1, ipc://${directory}/listed`;
  assert.equal(defaultEndpoint("fetch"), `ipc://${directory}/listed`);
  process.env.INOTIFIER_FETCH_ENDPOINT = "tcp://[::]:7557";
  assert.equal(defaultEndpoint("fetch"), "tcp://[::1]:7557");
  process.env.INOTIFIER_FETCH_ENDPOINT = `ipc://${directory}/nothing`;
  const from = { name: "NothingListens", message: /from INOTIFIER_FETCH_ENDPOINT/ };
  await assert.rejects(consume("c", { connectTimeout: 0.01 }).next(), from);
  delete process.env.INOTIFIER_FETCH_ENDPOINT;
  fs.rmSync(`${directory}/inotifier/fetch`);
  for (const client of [
    consume("c", { connectTimeout: 0.01 }),
    subscribe({ connectTimeout: 0.01 }),
  ]) {
    await assert.rejects(client.next(), (error) => {
      assert.equal(error.name, "NothingListens");
      for (const place of [directory, "/tmp/inotifier-", "/run/inotifier/"])
        assert.ok(error.message.includes(place), error.message);
      return true;
    });
  }
});

/** A daemon that wants keys, and those of three clients: two that it knows, one that it does not. */
async function withKeys(t) {
  const directory = workdir(t);
  const server = keygen(directory, "server");
  fs.mkdirSync(`${directory}/clients`);
  const clients = {};
  for (const [name, access] of [
    ["worker", "all"],
    ["reader", "read"],
    ["stranger", "all"],
  ]) {
    clients[name] = keygen(directory, name, "--access", access);
    if (name !== "stranger")
      fs.renameSync(clients[name].public, `${directory}/clients/${name}.key`);
  }
  const toml = `[security]\nserver_key = "${server.secret}"\nclients = "${directory}/clients"\n`;
  const daemon = await new Daemon(t, { tcp: true, toml }).start();
  const endpoints = await waitFor(
    () => daemon.tcp().publish && daemon.tcp().fetch && daemon.tcp(),
    "tcp endpoints",
  );
  return { daemon, endpoints, directory, server, ...clients };
}

test("keys", async (t) => {
  const { daemon, endpoints, server, worker, reader, stranger } = await withKeys(t);
  const keys = (own) => ({ serverKey: server.public, key: own.secret });
  const path = daemon.write("a");
  const consumer = consume("c", {
    endpoint: endpoints.fetch,
    types: ["file.completed"],
    ...keys(worker),
  });
  assert.equal((await consumer.next()).path, path);
  await consumer.close();
  const subscriber = subscribe({ endpoint: endpoints.publish, ...keys(reader) });
  await waitFor(async () => (await subscriber.next(0.05), subscriber.live), "a heartbeat");
  subscriber.close();
  const reading = consume("c", { endpoint: endpoints.fetch, ...keys(reader) });
  await assert.rejects(reading.next(), { name: "RequestError", code: "not_allowed" });
  await reading.close();

  for (const endpoint of [endpoints.publish, endpoints.fetch]) {
    const refused = async (connection, message) => {
      const client =
        endpoint === endpoints.fetch ? consume("c", connection) : subscribe(connection);
      const begin = Date.now();
      await assert.rejects(client.next(), { name: "HandshakeRefused", message });
      assert.ok(Date.now() - begin < 3100, `after ${Date.now() - begin} ms`);
    };
    await refused({ endpoint }, /wants CURVE keys/);
    await refused({ endpoint, ...keys(stranger) }, /refuses our keys/);
    await refused({ endpoint, serverKey: stranger.public, key: worker.secret }, /refuses our keys/);
  }
  await assert.rejects(
    consume("c", { endpoint: daemon.fetch, ...keys(worker), connectTimeout: 0.3 }).next(),
    {
      name: "HandshakeRefused",
      message: /uses no keys/,
    },
  );
});

for (const kind of ["subscriber", "consumer"]) {
  /** One that has received from its daemon over tcp, and what it takes to see that it does again. */
  const connected = async (t) => {
    const { daemon, endpoints, directory, server, worker } = await withKeys(t);
    daemon.keepPorts();
    const options = { types: ["file.completed"], serverKey: server.public, key: worker.secret };
    const client =
      kind === "subscriber"
        ? subscribe({ endpoint: endpoints.publish, ...options })
        : consume("c", { endpoint: endpoints.fetch, ...options });
    t.after(() => client.close());
    let count = 0;
    const receives = async () => {
      const written = new Set();
      await waitFor(async () => {
        written.add(daemon.write(`f${++count}`));
        const event = await client.next(0.2);
        return event && written.has(event.path);
      }, "an event");
    };
    await receives();
    return { daemon, client, receives, directory };
  };

  test(`a ${kind} whose key is taken away says so; a daemon that was away is waited for`, async (t) => {
    const { daemon, client, receives, directory } = await connected(t);
    await daemon.kill();
    await daemon.start();
    await receives();
    await daemon.kill();
    fs.rmSync(`${directory}/clients/worker.key`);
    await daemon.start();
    await waitFor(() => fs.readFileSync(daemon.log, "utf8").includes("refused 127."), "a refusal");
    const loop = async () => {
      for await (const event of client) assert.ok(event.path, "of before");
    };
    await assert.rejects(loop, { name: "HandshakeRefused", message: /tcp:.*refuses our keys/ });
  });

  test(`a ${kind} whose daemon wants no keys any more says so from then on`, async (t) => {
    const { daemon, client } = await connected(t);
    await daemon.kill();
    daemon.changeConfig((toml) => toml.replace(/^\[security\][^[]*/m, ""));
    const listen = async () => {
      while (await client.next());
    };
    const refused = { name: "HandshakeRefused", message: /tcp:.*uses no keys/ };
    const told = assert.rejects(listen, refused);
    await daemon.start();
    await told;
    await assert.rejects(client.next(), refused);
  });
}

test("key files that cannot be used", async (t) => {
  const directory = workdir(t);
  const pair = keygen(directory, "worker");
  const endpoint = `ipc://${directory}/fetch`;
  const bad = (connection, message) =>
    assert.rejects(consume("c", { endpoint, ...connection }).next(), { name: "BadKey", message });
  await bad({ key: pair.secret }, /no serverKey/);
  await bad({ serverKey: pair.public }, /no key/);
  await bad({ serverKey: `${directory}/none`, key: pair.secret }, /none.*keygen/);
  await bad({ serverKey: pair.public, key: pair.public }, /no line secret-key.*key_secret/);
  fs.chmodSync(pair.secret, 0o644);
  await bad({ serverKey: pair.public, key: pair.secret }, /chmod 600/);
});
