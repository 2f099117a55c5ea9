// What the subscriber and the clients of the fetch service have in common: endpoints, keys, the
// socket's options, and what is told when there is no connection.
import fs from "node:fs";
import net from "node:net";
import { BadEndpoint, BadKey, HandshakeRefused, NothingListens, NotInotifier } from "./errors.js";

/** @typedef {import("../index.d.ts").Connection} Connection */
/** @typedef {import("zeromq").Socket} Socket */
/** @typedef {"publish" | "fetch"} Peer which of the daemon's sockets */
/** @typedef {{curveServerKey: string, curvePublicKey: string, curveSecretKey: string}} Keys */

/** What a peer that is there takes at most to say what it is, in milliseconds. */
const PATIENCE = 500;
const EXAMPLE = { publish: "tcp://127.0.0.1:7556", fetch: "tcp://127.0.0.1:7557" };

/** @param {number} milliseconds */
export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * What `promise` gives; undefined if that takes longer.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} milliseconds
 * @returns {Promise<T | undefined>}
 */
export async function within(promise, milliseconds) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((done) => (timer = setTimeout(done, Math.max(0, milliseconds))));
  promise.catch(() => {}); // nobody may be listening any more
  try {
    return await Promise.race([promise, /** @type {Promise<undefined>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The keys in a file of `inotifier keygen`.
 * @param {string} file
 * @param {boolean} secret
 */
function readKeyFile(file, secret) {
  /** @type {string} */
  let content;
  try {
    const stat = fs.statSync(file);
    if (!stat.isFile()) throw new BadKey(`${file} is no regular file`);
    content = fs.readFileSync(file, "utf8");
    // A file with the public key is to be read by others, and gets other advice.
    if (secret && /^\s*secret-key\s*=/m.test(content) && (stat.mode & 0o077) !== 0) {
      throw new BadKey(`${file}: others could read or change the secret key: chmod 600 ${file}`);
    }
  } catch (error) {
    if (error instanceof BadKey) throw error;
    throw new BadKey(
      `${error instanceof Error ? error.message : error}; inotifier keygen makes key files`,
    );
  }
  /** @param {string} name */
  const key = (name) => {
    const [, value] = new RegExp(`^\\s*${name}\\s*=\\s*["']?([^"'\\s]*)`, "m").exec(content) ?? [];
    if (value !== undefined && value.length === 40) return value;
    if (value !== undefined)
      throw new BadKey(`${file}: the ${name} is none: 40 characters make one`);
    const remedy = name === "secret-key" ? ": give NAME.key_secret" : ": it is no key file";
    throw new BadKey(`${file} has no line ${name} = "..."${remedy}`);
  };
  return { publicKey: key("public-key"), secretKey: secret ? key("secret-key") : "" };
}

/**
 * @param {Connection} connection
 * @returns {Keys | null} null: no keys
 */
export function readKeys(connection) {
  const serverFile = connection.serverKey || process.env.INOTIFIER_SERVER_KEY;
  const ownFile = connection.key || process.env.INOTIFIER_KEY;
  if (!serverFile && !ownFile) return null;
  if (!ownFile)
    throw new BadKey("serverKey is given, but no key (or INOTIFIER_KEY): our own secret one");
  if (!serverFile) {
    throw new BadKey(
      "key is given, but no serverKey (or INOTIFIER_SERVER_KEY): the daemon's public one",
    );
  }
  const server = readKeyFile(serverFile, false);
  const own = readKeyFile(ownFile, true);
  return {
    curveServerKey: server.publicKey,
    curvePublicKey: own.publicKey,
    curveSecretKey: own.secretKey,
  };
}

/**
 * Options that every socket of ours has: no lingering, reconnecting, dead peers, keys.
 * @param {string} endpoint
 * @param {Keys | null} keys
 */
export function socketOptions(endpoint, keys) {
  return {
    linger: 0,
    maxMessageSize: 64 << 20, // far above any event and any reply
    ipv6: endpoint.includes("["), // with it ZeroMQ may take ::1 for "localhost", and that only
    reconnectInterval: 100,
    reconnectMaxInterval: 1000,
    // A peer that vanished without a word is given up after 15 s, and looked for again.
    ...(endpoint.startsWith("tcp://") ? { heartbeatInterval: 5000, heartbeatTimeout: 15_000 } : {}),
    ...keys,
  };
}

/**
 * @param {Socket} socket
 * @param {string} endpoint
 * @param {Peer} peer
 */
export function connect(socket, endpoint, peer) {
  try {
    if (!/^(ipc|tcp):\/\/./.test(endpoint)) throw new Error("neither ipc:// nor tcp://");
    void socket.events; // made at the first look, and blind to what was before
    socket.connect(endpoint);
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new BadEndpoint(
      `"${endpoint}": ${why}; an endpoint is ipc:///run/inotifier/${peer} or ${EXAMPLE[peer]}`,
    );
  }
}

/**
 * What a plain socket finds at the endpoint: the security mechanism that a ZeroMQ peer asks for, ""
 * if it speaks no ZeroMQ, or the error of connect(2).
 * @param {string} endpoint
 * @returns {Promise<string | NodeJS.ErrnoException>}
 */
function greetedMechanism(endpoint) {
  const address = endpoint.slice("ipc://".length);
  const [, host, port] = /^(.*):(.*)$/.exec(address) ?? [];
  const socket = endpoint.startsWith("ipc://")
    ? net.connect({ path: address.replace(/^@/, "\0") })
    : net.connect({ host: host?.replace(/^\[(.*)\]$/, "$1"), port: Number(port) });
  return new Promise((done) => {
    let connected = false;
    let theirs = Buffer.alloc(0);
    // ZMTP 3.1, "greeting": signature (10 bytes), version (2), mechanism (20), as-server, filler;
    // 64 in all. Who has not heard our mechanism cannot hang up over it before telling its own.
    socket.once("connect", () => {
      connected = true;
      socket.write(Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]));
    });
    socket.on("data", (part) => {
      theirs = Buffer.concat([theirs, part]);
      if (theirs.length >= 64) socket.destroy();
    });
    socket.setTimeout(PATIENCE, () => socket.destroy());
    /** @type {NodeJS.ErrnoException | undefined} */
    let problem;
    socket.once("error", (error) => (problem = error));
    socket.once("close", () => {
      if (!connected) done(problem ?? Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }));
      else if (theirs.length < 64 || theirs[0] !== 0xff || theirs[9] !== 0x7f) done("");
      else done(theirs.toString("latin1", 12, 32).replace(/\0.*$/s, ""));
    });
  });
}

/** @type {Record<string, [new (message: string) => Error, string]>} */
const CONNECT_ERRORS = {
  ENOENT: [NothingListens, "no such socket: is the daemon running (inotifier run)?"],
  ECONNREFUSED: [NothingListens, "nothing listens there: is the daemon running (inotifier run)?"],
  EACCES: [
    HandshakeRefused,
    "no access to the socket: become a member of its group and log in again",
  ],
  ENOTSOCK: [NotInotifier, "that is no socket"],
  ETIMEDOUT: [NothingListens, "no answer: is the address right, and no firewall between?"],
  ENOTFOUND: [BadEndpoint, "no such host"],
  EAI_AGAIN: [BadEndpoint, "the host's name cannot be looked up"],
};

/**
 * ZeroMQ's monitor says that a handshake failed, but not what the peer wants. So a failure is looked
 * at once more with a plain socket, up to the peer's greeting.
 * @param {string} endpoint
 * @param {Peer} peer
 * @param {boolean} hasKeys
 * @returns {Promise<Error | null>} null: nothing is wrong there, a daemon may have started since
 */
async function diagnose(endpoint, peer, hasKeys) {
  const found = await greetedMechanism(endpoint);
  if (typeof found !== "string") {
    const [Kind, why] = CONNECT_ERRORS[found.code ?? ""] ?? [NothingListens, found.message];
    return new Kind(`${endpoint}: ${why}`);
  }
  if (found === "") {
    const what = "something listens there, but it does not speak ZeroMQ: is it the endpoint of";
    return new NotInotifier(`${endpoint}: ${what} [${peer}]?`);
  }
  if (found === "NULL" && hasKeys) {
    return new HandshakeRefused(`${endpoint}: the peer uses no keys: leave out serverKey and key`);
  }
  if (found !== "NULL" && !hasKeys) {
    return new HandshakeRefused(
      `${endpoint}: the peer wants ${found} keys: give serverKey and key`,
    );
  }
  return null;
}

/** @param {string} endpoint */
const refusedKeys = (endpoint) =>
  new HandshakeRefused(
    `${endpoint}: the peer refuses our keys: is serverKey the daemon's public key, and our own ` +
      "public key among the clients of its [security]?",
  );

/**
 * After a greeting, before the handshake's end, and a second look finds nothing wrong: keys that do
 * not fit, or a ZeroMQ socket of another kind.
 * @param {string} endpoint
 * @param {Peer} peer
 * @param {boolean} hasKeys
 */
function brokenOff(endpoint, peer, hasKeys) {
  if (hasKeys) return refusedKeys(endpoint);
  const what = peer === "publish" ? "publishes nothing" : "answers no requests";
  return new NotInotifier(
    `${endpoint}: what listens there ${what}: is it the endpoint of [${peer}]?`,
  );
}

/**
 * Returns when the handshake was done; throws a ConnectionFailed that says what is at the endpoint
 * instead.
 * @param {Socket} socket
 * @param {string} endpoint
 * @param {Peer} peer
 * @param {boolean} hasKeys
 * @param {number} timeout in seconds, for a daemon that has not started yet
 */
export async function waitForPeer(socket, endpoint, peer, hasKeys, timeout) {
  const deadline = Date.now() + timeout * 1000;
  for (;;) {
    const event = await within(socket.events.receive(), deadline - Date.now());
    switch (event?.type) {
      case "handshake":
        return;
      case "handshake:error:auth":
        throw refusedKeys(endpoint);
      case "disconnect":
        throw (await diagnose(endpoint, peer, hasKeys)) ?? brokenOff(endpoint, peer, hasKeys);
      case undefined:
        throw (
          (await diagnose(endpoint, peer, hasKeys)) ??
          (hasKeys
            ? refusedKeys(endpoint)
            : new NothingListens(`${endpoint}: no daemon answered in time`))
        );
      case "handshake:error:protocol":
      case "handshake:error:other": {
        const error = await diagnose(endpoint, peer, hasKeys);
        if (error) throw error; // else a daemon that stops or starts just now: tried again
      }
    }
  }
}

/**
 * Of a connection that was there before: why the peer will have us no more, as after a restart with
 * other keys; null if a monitor's event does not say that. A socket to which it happened does not try
 * again by itself. Any other loss ZeroMQ gets over.
 * @param {{type: string}} event
 * @param {string} endpoint
 * @param {Peer} peer
 * @param {boolean} hasKeys
 */
export async function refusalIn(event, endpoint, peer, hasKeys) {
  if (event.type === "handshake:error:auth") return refusedKeys(endpoint);
  if (event.type !== "handshake:error:protocol") return null;
  return (await diagnose(endpoint, peer, hasKeys)) ?? brokenOff(endpoint, peer, hasKeys);
}
