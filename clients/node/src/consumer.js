// Durable: a named position in the daemon's journal. index.d.ts says what the caller is promised.
// Requests are under way while the caller works (`session`); events are in `window`.
import { Changes, cut } from "./changes.js";
import { sleep, within } from "./connection.js";
import { RequestError } from "./errors.js";
import { defaultRoots, Event, positionOf } from "./event.js";
import { request } from "./link.js";
import { check, CONSUME, number, seconds, typesOf, watchesOf } from "./options.js";
import { Session } from "./session.js";
import { onStopSignals } from "./stop_signals.js";
import { Window } from "./window.js";

/** @typedef {import("../index.d.ts").ConsumeOptions} ConsumeOptions */

/** How long an ack may be put off while events are worked on. */
const ACK_INTERVAL = 1000;
/** While something is not done a fetch shows that at once; how long to listen for what is new. */
const BELL_WAIT = 5;
const SHORT_PAUSE = 100;
/** What close() waits at most for the daemon. */
const FAREWELL = 1000;

export class Consumer {
  #session;
  #window = new Window();
  #changes = new Changes();
  /** @type {ConsumeOptions} */ #options;
  /** @type {{types: string[], watches: string[]}} */ #filters;
  /** A signal came, and stopSignals was asked for. */ #stopped = false;
  #leaveSignals = () => {};
  /** @type {Promise<import("./link.js").Reply> | null} */ #opening = null;
  /** @type {NodeJS.Timeout | undefined} */ #timer;
  /** @type {Promise<void> | null} */ #closing = null;
  /** What next() has to throw. @type {{error: unknown} | null} */ #problem = null;

  /** @type {number | null} */ #behind = null;
  #lastLost = "";
  /** Told to the daemon and confirmed. */ #acked = "0";

  /** The fetch that is under way. @type {symbol | null} */ #asking = null;
  /** The ack or touch that is under way. @type {symbol | null} */ #telling = null;
  /** The prefix with which a fetch showed nothing new. @type {string | null} */ #useless = null;

  /**
   * @param {string} name
   * @param {ConsumeOptions} [options]
   */
  constructor(name, options = {}) {
    if (typeof name !== "string" || name === "") throw new TypeError("a consumer needs a name");
    this.name = name;
    check(options, CONSUME);
    this.#filters = { types: typesOf(options.types), watches: watchesOf(options.watches) };
    this.limit = number(options.limit, "limit", 256, 1, 4096);
    if (!Number.isInteger(this.limit)) throw new RangeError("limit: an integer is wanted");
    this.lease = seconds(options.lease, "lease", 60, 1, 3600);
    const wait = seconds(options.wait, "wait", 30, 0, 60);
    this.wait = Math.max(0.1, Math.min(wait, this.lease / 2)); // not beyond the lease
    this.roots = options.roots ?? defaultRoots();
    this.#options = options;
    this.#session = new Session(name, options, {
      hasPositions: () => this.#window.cursor !== "0",
      onForget: () => this.#onForget(),
      onProblem: (error) => this.#fail(error),
    });
    options.signal?.addEventListener("abort", () => this.#changes.tell(), { once: true });
    if (options.stopSignals) {
      this.#leaveSignals = onStopSignals(() => {
        this.#stopped = true;
        this.#changes.tell();
      });
    }
  }

  get state() {
    return this.#session.state;
  }
  get stream() {
    return this.#session.stream;
  }
  get behind() {
    return this.#behind;
  }
  get malformed() {
    return this.#window.malformed + (this.#session.link?.malformed ?? 0);
  }
  get #connection() {
    const { endpoint, serverKey, key, connectTimeout } = this.#options;
    return { endpoint, serverKey, key, connectTimeout };
  }
  get #ended() {
    return this.#closing !== null || this.#stopped || this.#options.signal?.aborted === true;
  }

  // ── What the caller does ───────────────────────────────────────────────────────────────────────

  async open() {
    if (this.#closing) throw new TypeError(`the consumer ${this.name} is closed`);
    this.#opening ??= this.#open();
    try {
      return await this.#opening;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }

  async #open() {
    const hello = await this.#session.open();
    const pace = Math.min(ACK_INTERVAL, (this.lease * 1000) / 6);
    this.#timer = setInterval(() => this.#guard(() => this.#tell()), pace);
    return hello;
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        const event = await this.next();
        if (event === null) return;
        yield event;
        this.done(event);
      }
    } finally {
      await this.close();
    }
  }

  /**
   * @param {number} [timeout]
   * @returns {Promise<any>} an Event; index.d.ts tells of which kind, by the types asked for
   */
  async next(timeout = Infinity) {
    const deadline = Date.now() + timeout * 1000;
    if (!this.#ended) await this.open();
    for (;;) {
      if (this.#ended) return null;
      if (this.#problem) throw this.#problem.error;
      const event = this.#window.take();
      if (event) return event;
      this.#ask();
      if (!(await this.#changes.wait(deadline))) return null;
    }
  }

  /** @param {Event} event */
  done(event) {
    if (this.#window.change(event.position, "open", "done")) this.#changes.tell();
  }

  /** @param {Event | string} upTo */
  ack(upTo) {
    const end = positionOf(typeof upTo === "string" ? upTo : upTo.position);
    if (end === null) throw new TypeError(`no position: ${upTo}`);
    this.#window.doneUpTo(end);
    this.#changes.tell();
  }

  /**
   * @param {Event} event
   * @param {string} [reason]
   * @param {number} [tries]
   */
  async fail(event, reason = "", tries = 1) {
    const { position } = event;
    if (!this.#window.change(position, "open", "failing")) return false;
    try {
      const args = { stream: this.#session.stream, position, reason: cut(reason), tries };
      const reply = await this.#session.call("fail", args);
      if (!reply) return false; // it comes again
      this.#window.change(position, "failing", "done");
      return reply.kept === true;
    } finally {
      this.#window.change(position, "failing", "open");
      this.#changes.tell();
    }
  }

  /**
   * @param {"start" | "now" | string | Date} to
   * @param {string} [stream]
   */
  async seek(to, stream) {
    await this.open();
    const place = to instanceof Date ? to.toISOString() : to;
    const of = stream ?? (positionOf(place) === null ? undefined : this.#session.stream);
    // First: what is under way is answered with not_owner, which is no news then.
    this.#session.forget();
    const reply = await this.#session.call("seek", { client: undefined, to: place, stream: of });
    if (!reply) {
      if (this.#problem) throw this.#problem.error;
      const message = `${this.name}: the journal was begun anew: seek again`;
      throw new RequestError("stream_changed", message);
    }
    return /** @type {string} */ (reply.position);
  }

  /** @param {number} [timeout] */
  async flush(timeout = 1) {
    const deadline = Date.now() + timeout * 1000;
    const life = this.#session.life;
    while (this.#acked < this.#window.ackable() || this.#window.isFailing) {
      if (!this.#session.link || !this.#session.isOwner) return false;
      this.#guard(() => this.#tell());
      if (!(await this.#changes.wait(deadline)) || this.#session.life !== life) return false;
    }
    return true;
  }

  async failed() {
    const all = [];
    for (let after, more = true; more;) {
      const reply = await request("failed", { consumer: this.name, after }, this.#connection);
      for (const each of reply.failed)
        all.push({ ...each, event: new Event(each.event, this.roots) });
      after = all.at(-1)?.position;
      more = reply.more === true && reply.failed.length > 0;
    }
    return all;
  }

  /** @param {Iterable<string>} [positions] */
  async retry(positions) {
    let retried = 0;
    const args = { consumer: this.name, positions: positions && [...positions] };
    for (let more = true; more;) {
      const reply = await request("retry", args, this.#connection);
      retried += reply.retried;
      more = reply.more === true;
    }
    return retried;
  }

  /** @param {{types?: Iterable<string> | undefined, watches?: Iterable<string> | undefined}} filters */
  async update({ types, watches, ...rest }) {
    check(rest, {});
    const args = {
      types: types === undefined ? undefined : typesOf(types),
      watches: watches === undefined ? undefined : watchesOf(watches),
    };
    const reply = await request("update", { consumer: this.name, ...args }, this.#connection);
    this.#filters = { types: reply.types, watches: reply.watches };
    this.#useless = null;
    this.#changes.tell();
    return this.#filters;
  }

  status() {
    return request("status", {}, this.#connection);
  }

  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    this.#leaveSignals();
    this.#changes.tell();
    await this.#opening?.catch(() => {});
    clearInterval(this.#timer);
    const farewell = async () => {
      await this.flush(FAREWELL / 2000);
      await this.#session.release();
    };
    if (this.#session.started && this.state !== "disconnected") await within(farewell(), FAREWELL);
    this.#session.close();
  }

  // ── Asking and telling ─────────────────────────────────────────────────────────────────────────

  /** What goes wrong in the background is thrown by next(). @param {() => Promise<unknown>} work */
  #guard(work) {
    work().catch((error) => this.#fail(error));
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#problem ??= { error };
    this.#changes.tell();
  }

  /** Sees to it that more comes, if that makes sense now. */
  #ask() {
    if (this.#asking || this.#window.inHand > 0) return;
    const prefix = this.#window.ackable();
    // Everything that one fetch can show is out.
    if (this.#window.size >= this.limit) return;
    const asking = Symbol("fetch");
    this.#asking = asking;
    this.#guard(async () => {
      try {
        // The first tells whether we have to stand by, which nobody should have to wait for.
        if (this.#window.size === 0) await this.#fetch(this.#session.started ? this.wait : 0);
        else if (this.#useless !== prefix) await this.#fetch(0);
        else await this.#listen();
      } finally {
        if (this.#asking === asking) this.#asking = null;
        this.#changes.tell();
      }
    });
  }

  /** @param {"types" | "watches"} which */
  #list(which) {
    const list = this.#filters[which];
    return list.length > 0 ? list : undefined;
  }

  /** @param {number} wait */
  async #fetch(wait) {
    const ack = this.#window.ackable();
    const { start, create, onLost } = this.#options;
    const reply = await this.#session.call(
      "fetch",
      {
        ...(ack === "0" ? {} : { stream: this.#session.stream, ack }),
        // The same filters are asked for once only: somebody may change them while we are at it.
        ...(this.#session.known
          ? {}
          : { types: this.#list("types"), watches: this.#list("watches"), start }),
        // A consumer that was forgotten while we used it must not begin anew at the oldest event.
        create: this.#session.known || create === false ? false : undefined,
        limit: this.limit,
        lease: this.lease,
        wait,
      },
      wait,
    );
    if (!reply) return;
    this.#session.known = true;
    if (reply.standby) {
      this.#session.enter("standby");
      return sleep(SHORT_PAUSE);
    }
    this.#confirm(ack);
    this.#behind = reply.behind ?? 0;
    if (reply.lost && reply.lost.last !== this.#lastLost) {
      this.#lastLost = reply.lost.last; // it is repeated until acked past
      onLost?.(reply.lost);
    }
    this.#session.enter("owner");
    const further = this.#window.add(
      reply.events ?? [],
      positionOf(reply.cursor) ?? "0",
      this.roots,
    );
    this.#useless = this.#window.inHand > 0 ? null : ack;
    // A state (start: "state") that does not come yet.
    if (!further && reply.behind > 0) await sleep(SHORT_PAUSE);
  }

  /** While something that is not done hides what is new: until there may be some. */
  async #listen() {
    const { cursor } = this.#window;
    const filters = { types: this.#list("types"), watches: this.#list("watches") };
    const args = {
      consumer: undefined,
      client: undefined,
      after: cursor,
      stream: this.#session.stream,
      limit: 1,
    };
    const reply = await this.#session.call(
      "fetch",
      { ...args, wait: BELL_WAIT, ...filters },
      BELL_WAIT,
    );
    if (!reply) return;
    await this.#fetch(0); // in any case: what is for this consumer alone cannot be heard
    if (this.#window.inHand === 0 && this.#window.cursor === cursor) await sleep(SHORT_PAUSE);
  }

  /** What is due: acks, the lease. */
  async #tell() {
    if (this.#telling || !this.#session.isOwner) return;
    const position = this.#window.ackable();
    const isAck = position > this.#acked;
    if (!isAck && Date.now() - this.#session.lastContact < (this.lease * 1000) / 3) return;
    const telling = Symbol("ack");
    this.#telling = telling;
    try {
      if (!isAck) await this.#session.call("touch", { lease: this.lease });
      else if (await this.#session.call("ack", { stream: this.#session.stream, ack: position }))
        this.#confirm(position);
    } finally {
      if (this.#telling === telling) this.#telling = null;
    }
  }

  /** @param {string} position */
  #confirm(position) {
    if (position > this.#acked) this.#acked = position;
    this.#changes.tell();
  }

  #onForget() {
    this.#window.clear();
    this.#acked = "0";
    this.#lastLost = "";
    this.#useless = this.#asking = this.#telling = null;
    this.#changes.tell();
  }
}
