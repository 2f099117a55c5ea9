// One event, decoded: clients/README.md, "The event".

/** @typedef {import("../index.d.ts").Roots} Roots */

/** What is no position compares with none. */
const POSITION = /^(0|[0-9]{20})$/;

/**
 * Positions compare as text, "0" is before all.
 * @param {unknown} value
 * @returns {string | null}
 */
export function positionOf(value) {
  return typeof value === "string" && POSITION.test(value) ? value : null;
}

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : null);

/**
 * The exact bytes behind a subject.
 * @param {string} subject
 */
function decoded(subject) {
  // "./" stands before a first part with a colon only.
  const bytes = Buffer.from(subject.startsWith("./") ? subject.slice(2) : subject);
  let length = 0;
  for (let at = 0; at < bytes.length; ++at) {
    const hex = bytes[at] === 0x25 ? bytes.toString("latin1", at + 1, at + 3) : "";
    const escaped = /^[0-9A-Fa-f]{2}$/.test(hex);
    bytes[length++] = escaped ? parseInt(hex, 16) : /** @type {number} */ (bytes[at]);
    if (escaped) at += 2;
  }
  return bytes.subarray(0, length);
}

/**
 * As JSON has it: binary values in base64.
 * @param {any} value
 * @returns {any}
 */
export function jsonOf(value) {
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  }
  if (Array.isArray(value)) return value.map(jsonOf);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, jsonOf(each)]));
}

/**
 * INOTIFIER_ROOTS, "incoming=/mnt/dicom:other=/mnt/o".
 * @returns {Roots}
 */
export function defaultRoots() {
  const pairs = (process.env.INOTIFIER_ROOTS ?? "").split(":").filter((pair) => pair.includes("="));
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
}

export class Event {
  /** @type {Record<string, any>} */ #envelope;

  /**
   * @param {any} envelope the map as decoded; binary values are Uint8Array
   * @param {Roots} [roots]
   */
  constructor(envelope, roots = {}) {
    const { id, type, source } = envelope ?? {};
    if (typeof id !== "string" || typeof type !== "string") throw new TypeError("no event");
    const data = typeof envelope.data === "object" && envelope.data !== null ? envelope.data : {};
    const subject = text(envelope.subject);
    const relative = subject === null ? null : decoded(subject);
    this.#envelope = envelope;
    this.id = id;
    this.type = type;
    this.source = text(source) ?? "";
    this.subject = subject;
    this.timeText = text(envelope.time) ?? "";
    this.time = new Date(this.timeText);
    this.position = positionOf(envelope.sequence);
    this.previousPosition = positionOf(envelope.prevsequence);
    this.watch = text(data.watch) ?? "";
    /** @type {string | null} */
    const mapped = Object.hasOwn(roots, this.watch) ? (roots[this.watch] ?? null) : null;
    this.root = mapped ?? text(data.root);
    /** @type {Buffer | null} */
    this.pathBytes = null;
    /** @type {string | null} */
    this.path = null;
    if (mapped !== null && relative !== null) {
      const parts = [Buffer.from(mapped.replace(/\/+$/, "")), Buffer.from("/"), relative];
      this.pathBytes = Buffer.concat(parts);
      this.path = this.pathBytes.toString();
    } else if (text(data.path) !== null) {
      this.path = /** @type {string} */ (data.path);
      this.pathBytes = Buffer.from(data.path_bytes ?? this.path);
    }
    this.displayPath = this.path ?? ""; // the wire has U+FFFD where the name is no UTF-8
    this.relativePath = relative === null ? null : relative.toString();
    this.size = typeof data.size === "number" ? data.size : null;
    this.evidence = text(data.evidence);
    this.origin = text(data.origin);
    /** @type {Record<string, any>} */
    this.data = data;
    Object.freeze(this);
  }

  /** The CloudEvent as JSON has it: JSON.stringify(event). */
  toJSON() {
    return jsonOf(this.#envelope);
  }

  /**
   * From what toJSON() made of it, for instance out of a job queue.
   * @param {string | object} json
   * @param {Roots} [roots]
   */
  static fromJSON(json, roots = defaultRoots()) {
    const envelope = typeof json === "string" ? JSON.parse(json) : structuredClone(json);
    const bytes = envelope?.data?.path_bytes;
    if (typeof bytes === "string") envelope.data.path_bytes = Buffer.from(bytes, "base64");
    return new Event(envelope, roots);
  }
}
