// A DEALER socket to the fetch service: first contact, requests and their replies, and a new socket
// when the old one leads nowhere.
import { Decoder, Encoder } from "@msgpack/msgpack";
import { Dealer } from "zeromq";
import {
  connect,
  readKeys,
  refusalIn,
  socketOptions,
  sleep,
  waitForPeer,
  within,
} from "./connection.js";
import { NoAnswer, NotInotifier, ProtocolMismatch, RequestError } from "./errors.js";
import { check, REQUEST } from "./options.js";
import { defaultEndpoint, withPlaces } from "./places.js";

/** @typedef {import("../index.d.ts").Connection} Connection */
/** @typedef {Record<string, any>} Reply */

const PROTOCOL = 1;
/** clients/README.md: wait for the reply so much longer than asked for, then open a new socket. */
const PATIENCE = 10_000;
/** A daemon that is there answers hello at once. */
const HELLO_PATIENCE = 500;
const FIRST_BACKOFF = 100;
const LONGEST_BACKOFF = 1000;
/** "busy": the journal cannot be written just now. */
export const BUSY_PAUSE = 1000;

export const encoder = new Encoder({ ignoreUndefined: true });
export const decoder = new Decoder();

/**
 * Throws if the daemon is older or newer than we.
 * @param {unknown} protocol what it says that it speaks
 * @param {string} endpoint
 */
export function checkProtocol(protocol, endpoint) {
  if (typeof protocol !== "number" || protocol === PROTOCOL) return;
  const remedy =
    protocol < PROTOCOL
      ? "the daemon is older: update it"
      : "this client is older: update the npm package inotifier";
  throw new ProtocolMismatch(
    `${endpoint}: the daemon speaks protocol ${protocol}, this client ${PROTOCOL}; ${remedy}`,
  );
}

/**
 * @param {Reply} reply with ok = false
 * @returns {RequestError}
 */
export function errorOf(reply) {
  const { code = "", message = "the daemon gave no reason" } = reply.error ?? {};
  const older = code === "unknown_op" ? " (the daemon is older than this client: update it)" : "";
  return new RequestError(code, message + older);
}

export class Link {
  /** The reply to hello. @type {Reply} */ hello = {};
  /** Replies that could not be read. */ malformed = 0;
  /** Called when the connection is lost. */ onDown = () => {};
  /**
   * Called when the daemon is no longer one that we understand, or will have us no more; then the
   * link is closed.
   * @param {Error} _error
   */
  onProblem = (_error) => {};

  #socket = /** @type {Dealer} */ (/** @type {unknown} */ (null));
  #sent = Promise.resolve();
  /** @type {Map<number, {body: Uint8Array, patience: number, timer?: NodeJS.Timeout, done: (reply: Reply | null) => void}>} */
  #pending = new Map();
  #lastId = 0;
  #backoff = FIRST_BACKOFF;
  #closed = false;

  /** @param {Connection} connection */
  constructor(connection) {
    this.endpoint = connection.endpoint || defaultEndpoint("fetch");
    this.timeout = connection.connectTimeout ?? 2.5;
    this.keys = readKeys(connection);
  }

  /**
   * Connects and says hello. Throws a ConnectionFailed within connectTimeout and about half a second.
   * @param {Connection} connection
   */
  static async open(connection) {
    const link = new Link(connection);
    const start = Date.now();
    link.#makeSocket();
    try {
      await waitForPeer(link.#socket, link.endpoint, "fetch", link.keys !== null, link.timeout);
      link.#watch(link.#socket);
      await link.#greet(Math.max(start + link.timeout * 1000, Date.now()) + HELLO_PATIENCE);
    } catch (error) {
      link.close();
      throw connection.endpoint ? error : withPlaces(error, "fetch");
    }
    return link;
  }

  /**
   * The reply, whatever it says; null if it was given up (abandon, close). A request whose reply
   * does not come is sent again, for ever.
   * @param {string} op
   * @param {object} args
   * @param {number} [wait] how many seconds the daemon may take
   * @returns {Promise<Reply | null>}
   */
  request(op, args, wait = 0) {
    const id = ++this.#lastId;
    const body = encoder.encode({ op, request: id, ...args });
    return new Promise((done) => {
      if (this.#closed) return done(null);
      this.#pending.set(id, { body, patience: wait * 1000 + PATIENCE, done });
      this.#send(id);
    });
  }

  /** Gives up every request: each gets null, and is not sent again. */
  abandon() {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { timer, done } of pending) {
      clearTimeout(timer);
      done(null);
    }
  }

  close() {
    this.#closed = true;
    this.abandon();
    this.#socket.close();
  }

  #makeSocket() {
    this.#socket = new Dealer(socketOptions(this.endpoint, this.keys));
    this.#sent = Promise.resolve();
    try {
      connect(this.#socket, this.endpoint, "fetch");
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#receive(this.#socket);
  }

  /** @param {number} id */
  #send(id) {
    const pending = this.#pending.get(id);
    if (!pending) return;
    clearTimeout(pending.timer);
    pending.timer = setTimeout(() => this.#renew(), pending.patience);
    const socket = this.#socket;
    // One after the other: a socket takes one send at a time. It fails if it was closed meanwhile.
    this.#sent = this.#sent.then(() => socket.send(pending.body)).catch(() => {});
  }

  /** A new socket, and everything that has no reply once more. */
  #renew() {
    if (this.#closed) return;
    this.onDown();
    this.#socket.close();
    try {
      this.#makeSocket();
    } catch {
      setTimeout(() => this.#renew(), LONGEST_BACKOFF); // out of descriptors, for instance
      return;
    }
    this.#watch(this.#socket);
    for (const id of this.#pending.keys()) this.#send(id);
  }

  /** @param {Dealer} socket */
  async #watch(socket) {
    try {
      for await (const event of socket.events) {
        if (socket !== this.#socket || this.#closed) continue;
        const refusal = await refusalIn(event, this.endpoint, "fetch", this.keys !== null);
        if (refusal) {
          this.onDown();
          this.onProblem(refusal);
          this.close();
          return;
        }
        if (event.type !== "disconnect") continue;
        this.onDown();
        await sleep(this.#backoff);
        this.#backoff = Math.min(this.#backoff * 2, LONGEST_BACKOFF);
        if (socket === this.#socket) this.#renew();
        return;
      }
    } catch {
      // The socket was closed.
    }
  }

  /** @param {Dealer} socket */
  async #receive(socket) {
    try {
      for await (const frames of socket) this.#take(frames[frames.length - 1] ?? Buffer.alloc(0));
    } catch {
      // The socket was closed.
    }
  }

  /** @param {Buffer} body */
  #take(body) {
    /** @type {Reply} */
    let reply;
    try {
      reply = /** @type {Reply} */ (decoder.decode(body));
      if (typeof reply?.ok !== "boolean") throw new TypeError("no reply");
    } catch {
      ++this.malformed;
      return;
    }
    const pending = this.#pending.get(reply.request);
    if (!pending) return;
    if (this.hello.ok) {
      try {
        checkProtocol(reply.protocol, this.endpoint);
      } catch (error) {
        this.onProblem(/** @type {Error} */ (error));
        return;
      }
    }
    this.#backoff = FIRST_BACKOFF;
    this.#pending.delete(reply.request);
    clearTimeout(pending.timer);
    pending.done(reply);
  }

  /** @param {number} deadline */
  async #greet(deadline) {
    const reply = await within(this.request("hello", {}), deadline - Date.now());
    if (!reply || typeof reply.protocol !== "number") {
      const what =
        reply || this.malformed > 0
          ? "what listens there does not answer as inotifier does"
          : "something listens there, but does not answer";
      throw new NotInotifier(`${this.endpoint}: ${what}: is it the endpoint of [fetch]?`);
    }
    checkProtocol(reply.protocol, this.endpoint);
    if (!reply.ok) throw errorOf(reply);
    this.hello = reply;
  }
}

/**
 * One request to the fetch service: what `inotifier status`, `seek` and the like do.
 * @param {string} op
 * @param {object} [args]
 * @param {Connection & {timeout?: number | undefined}} [connection]
 * @returns {Promise<Reply>}
 */
export async function request(op, args = {}, connection = {}) {
  check(connection, REQUEST);
  const deadline = Date.now() + (connection.timeout ?? 10) * 1000;
  const link = await Link.open(connection);
  try {
    for (;;) {
      const reply = await within(link.request(op, args), deadline - Date.now());
      if (!reply) {
        throw new NoAnswer(`${link.endpoint}: no answer to "${op}": has the daemon stopped?`);
      }
      if (reply.ok) return reply;
      const error = errorOf(reply);
      if (error.code !== "busy" || Date.now() + BUSY_PAUSE > deadline) throw error;
      await sleep(BUSY_PAUSE);
    }
  } finally {
    link.close();
  }
}
