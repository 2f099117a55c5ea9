// One client's hold on one consumer: its requests, what the replies say of who has the consumer, and
// forgetting. Knows nothing of events.
import { randomUUID } from "node:crypto";
import { sleep } from "./connection.js";
import { RequestError } from "./errors.js";
import { BUSY_PAUSE, errorOf, Link } from "./link.js";

/** @typedef {import("../index.d.ts").ConsumeOptions} ConsumeOptions */
/** @typedef {import("../index.d.ts").State} State */
/** @typedef {import("./link.js").Reply} Reply */

export class Session {
  /** null before open() and after close(). @type {Link | null} */ link = null;
  /** Which life of the positions. @type {string | null} */ stream = null;
  /** @type {State} */ state = "disconnected";
  /** Some state was told. */ started = false;
  /** The consumer exists. */ known = false;
  /** When the daemon was last asked for this consumer. */ lastContact = 0;
  /** How often everything was forgotten: the answer to what was asked before is for nobody. */
  life = 0;

  #client = randomUUID();
  #name;
  #options;
  #hooks;
  /** Before the connection was lost. @type {State} */ #before = "standby";

  /**
   * @param {string} name
   * @param {ConsumeOptions} options
   * @param {{hasPositions: () => boolean, onForget: () => void, onProblem: (error: unknown) => void}} hooks
   *   hasPositions: whether the caller holds any of the present stream
   */
  constructor(name, options, hooks) {
    this.#name = name;
    this.#options = options;
    this.#hooks = hooks;
  }

  /** Throws a ConnectionFailed. */
  async open() {
    const link = await Link.open(this.#options);
    this.link = link;
    this.stream = link.hello.stream ?? null;
    link.onProblem = this.#hooks.onProblem;
    link.onDown = () => {
      try {
        this.enter("disconnected");
      } catch (error) {
        this.#hooks.onProblem(error); // the caller's onState
      }
    };
    return link.hello;
  }

  close() {
    this.link?.close();
    this.link = null;
  }

  get isOwner() {
    const state = this.state === "disconnected" ? this.#before : this.state;
    return this.started && state === "owner";
  }

  /**
   * The reply to a request of this consumer's; null if what it was about was forgotten meanwhile.
   * Throws RequestError for what the daemon will not do.
   * @param {string} op
   * @param {object} args
   * @param {number} [wait]
   * @returns {Promise<Reply | null>}
   */
  async call(op, args, wait = 0) {
    const { life } = this;
    for (;;) {
      if (!this.link) return null;
      this.lastContact = Date.now();
      const whole = { consumer: this.#name, client: this.#client, ...args };
      const reply = await this.link.request(op, whole, wait);
      if (!reply || life !== this.life) return null;
      if (this.state === "disconnected" && this.started) this.enter(this.#before);
      const anew = typeof reply.stream === "string" && reply.stream !== this.stream;
      if (reply.ok) {
        if (anew) this.stream = reply.stream;
        if (!anew || !this.#hooks.hasPositions()) return reply;
        return this.#reset("stream_changed", "the daemon's journal was begun anew");
      }
      const { code, message } = errorOf(reply);
      if (code === "busy") {
        await sleep(BUSY_PAUSE);
        if (life !== this.life) return null;
      } else if (code === "stream_changed" || (code === "unknown_consumer" && this.known && anew)) {
        this.stream = reply.stream;
        this.known = false;
        return this.#reset("stream_changed", message);
      } else if (code === "not_owner" || code === "bad_ack") {
        return this.#reset(code, message);
      } else {
        throw new RequestError(code, `${this.#name}: ${message}`);
      }
    }
  }

  /** Lets another client have it; whatever the daemon says to that. */
  async release() {
    await this.link?.request("release", { consumer: this.#name, client: this.#client });
  }

  /** @param {State} next */
  enter(next) {
    if (this.state !== "disconnected") this.#before = this.state;
    if (next === this.state || (next === "disconnected" && !this.started)) return;
    this.started = true;
    this.state = next;
    this.#options.onState?.(next);
  }

  /** Gives up what is under way: no reply to it is wanted any more. */
  forget() {
    ++this.life;
    this.link?.abandon();
    this.#hooks.onForget();
  }

  /**
   * What was given out is not ours any more, or will come again.
   * @param {import("../index.d.ts").Reset["code"]} code
   * @param {string} message
   */
  #reset(code, message) {
    this.forget();
    this.#options.onReset?.({ code, message });
    return null;
  }
}
