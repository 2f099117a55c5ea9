// Live: what is published while we are connected. Tells what was missed: clients/README.md, "Gaps".
import { Subscriber as Socket } from "zeromq";
import {
  connect,
  readKeys,
  refusalIn,
  socketOptions,
  waitForPeer,
  within,
} from "./connection.js";
import { defaultRoots, Event, positionOf } from "./event.js";
import { checkProtocol, decoder } from "./link.js";
import { check, SUBSCRIBE, typesOf, watchesOf } from "./options.js";
import { defaultEndpoint, withPlaces } from "./places.js";
import { onStopSignals } from "./stop_signals.js";

/** @typedef {import("../index.d.ts").SubscribeOptions} SubscribeOptions */

const HEARTBEAT = "heartbeat/";

export class Subscriber {
  /** Messages that are no events. */ malformed = 0;
  /** Anything came, a heartbeat at least. */ live = false;

  /** @type {SubscribeOptions} */ #options;
  /** @type {Socket} */ #socket;
  /** @type {Promise<void> | null} */ #opening = null;
  /** @type {Promise<Buffer[]> | null} */ #receiving = null;
  /** Why nothing will come any more. @type {Error | null} */ #refusal = null;
  /** Ends #receiving. @type {(error: Error) => void} */ #giveUp = () => {};
  #leaveSignals = () => {};
  #prefixes;
  #watches;
  /** @type {string | null} */ #stream = null;
  /** By topic. @type {Map<string, string>} */ #last = new Map();

  /** @param {SubscribeOptions} [options] */
  constructor(options = {}) {
    check(options, SUBSCRIBE);
    this.#options = options;
    this.endpoint = options.endpoint || defaultEndpoint("publish");
    this.roots = options.roots ?? defaultRoots();
    this.#watches = watchesOf(options.watches);
    const ends = this.#watches.length > 0 ? this.#watches.map((watch) => `${watch}/`) : [""];
    this.#prefixes = typesOf(options.types).flatMap((type) => ends.map((end) => `${type}/${end}`));
    this.keys = readKeys(options);
    this.#socket = new Socket({
      ...socketOptions(this.endpoint, this.keys),
      receiveHighWaterMark: 100_000,
    });
    options.signal?.addEventListener("abort", () => this.close(), { once: true });
    if (options.signal?.aborted) this.close();
    else if (options.stopSignals) this.#leaveSignals = onStopSignals(() => this.close());
  }

  async open() {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open() {
    try {
      if (this.#prefixes.length > 0) this.#socket.subscribe(...this.#prefixes);
      else this.#socket.subscribe();
      // Last: the daemon reads subscriptions in order, so whoever gets a heartbeat gets the rest too.
      this.#socket.subscribe(HEARTBEAT);
      connect(this.#socket, this.endpoint, "publish");
      const timeout = this.#options.connectTimeout ?? 2.5;
      await waitForPeer(this.#socket, this.endpoint, "publish", this.keys !== null, timeout);
      this.#watch();
    } catch (error) {
      const wasClosed = this.#socket.closed;
      this.close();
      if (!wasClosed) throw this.#options.endpoint ? error : withPlaces(error, "publish");
    }
  }

  async #watch() {
    try {
      for await (const event of this.#socket.events) {
        this.#refusal = await refusalIn(event, this.endpoint, "publish", this.keys !== null);
        if (!this.#refusal) continue;
        this.#socket.receiveTimeout = 0; // what has come is still given out
        this.#giveUp(this.#refusal);
        return;
      }
    } catch {
      // The socket was closed.
    }
  }

  /** @returns {Promise<Buffer[]>} */
  #receive() {
    return new Promise((done, fail) => {
      this.#giveUp = fail;
      this.#socket.receive().then(done, fail);
    });
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (let event; (event = await this.next()) !== null;) yield event;
    } finally {
      this.close();
    }
  }

  /**
   * @param {number} [timeout]
   * @returns {Promise<any>} an Event; index.d.ts tells of which kind, by the types asked for
   */
  async next(timeout = Infinity) {
    const deadline = Date.now() + timeout * 1000;
    if (!this.#socket.closed) await this.open();
    while (!this.#socket.closed) {
      this.#receiving ??= this.#receive();
      const receiving = this.#receiving;
      /** @type {Buffer[] | undefined} */
      let frames;
      try {
        frames = await (deadline === Infinity
          ? receiving
          : within(receiving, deadline - Date.now()));
      } catch (error) {
        if (this.#socket.closed) return null;
        throw this.#refusal ?? error;
      }
      if (!frames) return null;
      if (this.#receiving !== receiving) continue; // another call has taken it
      this.#receiving = null;
      const event = this.#take(frames);
      if (event) return event;
    }
    return null;
  }

  close() {
    this.#leaveSignals();
    this.#socket.close();
  }

  /**
   * An event, if it is one that is wanted.
   * @param {Buffer[]} frames
   */
  #take(frames) {
    this.live = true;
    const topic = String(frames[0]);
    /** @type {any} */
    let body;
    try {
      if (frames.length !== 2) throw new TypeError("not two frames");
      body = decoder.decode(frames[1] ?? []);
      if (topic !== HEARTBEAT) body = new Event(body, this.roots);
    } catch {
      ++this.malformed;
      return null;
    }
    if (topic === HEARTBEAT) this.#onHeartbeat(body);
    if (topic === HEARTBEAT || !this.#wants(topic)) return null;
    this.#note(topic, body);
    return /** @type {Event} */ (body);
  }

  /** @param {string} topic */
  #wants(topic) {
    if (this.#prefixes.length > 0) return this.#prefixes.some((prefix) => topic.startsWith(prefix));
    return (
      this.#watches.length === 0 || this.#watches.some((watch) => topic.endsWith(`/${watch}/`))
    );
  }

  /**
   * @param {string} topic
   * @param {string} after
   * @param {string} until
   */
  #tellGap(topic, after, until) {
    this.#options.onGap?.({ topic, after, until });
  }

  /**
   * @param {string} topic
   * @param {Event} event
   */
  #note(topic, { position, previousPosition }) {
    if (position === null || previousPosition === null) return;
    // Before the first heartbeat nobody knows what was there when we came.
    const known = this.#last.get(topic) ?? (this.#stream === null ? previousPosition : "0");
    this.#last.set(topic, position);
    // A previous one that is older than what we have is that of another stream, which began since.
    if (previousPosition > known) this.#tellGap(topic, known, previousPosition);
  }

  /**
   * Everything in `last` was published before this heartbeat, and what reached us came before it too.
   * So a position that we do not have is a loss, save in the first heartbeat: there it tells where we
   * came in. After a restart with another stream no such excuse holds: we were there all the time,
   * only not connected.
   * @param {any} heartbeat
   */
  #onHeartbeat(heartbeat) {
    checkProtocol(heartbeat?.protocol, this.endpoint);
    if (typeof heartbeat?.stream !== "string" || typeof heartbeat.last !== "object") {
      ++this.malformed;
      return;
    }
    const first = this.#stream === null;
    const restarted = !first && this.#stream !== heartbeat.stream;
    this.#stream = heartbeat.stream;
    for (const [topic, value] of Object.entries(heartbeat.last ?? {})) {
      const position = positionOf(value);
      if (position === null || !this.#wants(topic)) continue;
      const known = this.#last.get(topic);
      const missing = restarted ? position !== known : position > (known ?? "0");
      if (!missing) continue;
      this.#last.set(topic, position);
      if (first && known === undefined) continue;
      this.#tellGap(topic, known !== undefined && known < position ? known : "0", position);
    }
  }
}
