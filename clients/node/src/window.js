// The events of a consumer from their arrival until they are acked. No I/O. What is done is known by
// positions, which compare as text:
//   prefix ... everything up to here is done
//   out ...... what was given out after that, and what has become of it
//   queue .... fetched, and not given out
//   cursor ... end of what was fetched
// A fetch returns what was not acked: what is `out` comes a second time, and is passed over.
import { Event } from "./event.js";

/** @typedef {"open" | "failing" | "done"} Fate */

export class Window {
  /** Events that could not be read. */ malformed = 0;
  cursor = "0";
  #prefix = "0";
  /** @type {Event[]} */ #queue = [];
  /** In the order of the positions. @type {Map<string, Fate>} */ #out = new Map();
  #newest = "0";

  /**
   * What a fetch has brought, when nothing is queued.
   * @param {unknown[]} envelopes
   * @param {string} end its cursor, "0" if it has none
   * @param {import("../index.d.ts").Roots} roots
   * @returns {boolean} whether it led any further
   */
  add(envelopes, end, roots) {
    const further = end > this.cursor;
    if (further) this.cursor = end;
    for (const envelope of envelopes) {
      try {
        const event = new Event(envelope, roots);
        if (event.position === null) throw new TypeError("no position");
        if (event.position > this.#prefix && !this.#out.has(event.position))
          this.#queue.push(event);
      } catch {
        ++this.malformed;
      }
    }
    return further || this.#queue.length > 0;
  }

  take() {
    const event = this.#queue.shift();
    const position = event?.position;
    if (!event || !position) return null;
    this.#out.set(position, "open");
    // The consumer's filters were changed: an older one is wanted now, too.
    if (position < this.#newest)
      this.#out = new Map([...this.#out].sort(([a], [b]) => (a < b ? -1 : 1)));
    else this.#newest = position;
    return event;
  }

  get inHand() {
    return this.#queue.length;
  }
  /** Given out, and not before ackable(). */
  get size() {
    return this.#out.size;
  }
  get isFailing() {
    return [...this.#out.values()].includes("failing");
  }

  /**
   * Only what is in the state `from`.
   * @param {string | null} position
   * @param {Fate} from
   * @param {Fate} to
   */
  change(position, from, to) {
    if (position === null || this.#out.get(position) !== from) return false;
    this.#out.set(position, to);
    return true;
  }

  /** @param {string} end */
  doneUpTo(end) {
    for (const [position, fate] of this.#out) {
      if (position <= end && fate === "open") this.#out.set(position, "done");
    }
  }

  /** The end of the unbroken prefix of what is done. Forgets what lies before it. */
  ackable() {
    for (const [position, fate] of this.#out) {
      if (fate !== "done") return this.#prefix;
      this.#out.delete(position);
      this.#prefix = position;
    }
    if (this.#queue.length === 0 && this.cursor > this.#prefix) this.#prefix = this.cursor;
    return this.#prefix;
  }

  clear() {
    this.cursor = this.#prefix = this.#newest = "0";
    this.#queue = [];
    this.#out.clear();
  }
}
