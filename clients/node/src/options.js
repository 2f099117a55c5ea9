// What a caller gives, checked before anything is done with it: a misspelt option, a filter that is
// none, a number out of bounds must not be ignored. Throws TypeError or RangeError.

/** Every type of clients/README.md, also those that no watch sends yet. */
const TYPES = [
  ..."file.completed file.moved file.removed file.stalled file.rejected".split(" "),
  ..."watch.ready watch.scanned watch.rescan watch.lost watch.restored watch.degraded".split(" "),
  ..."directory.completed group.completed in_access in_attrib in_close_write".split(" "),
  ..."in_close_nowrite in_create in_delete in_modify in_delete_self in_move_self".split(" "),
  ..."in_moved_from in_moved_to in_open in_ignored in_q_overflow in_unmount".split(" "),
];

/**
 * Levenshtein's distance.
 * @param {string} a
 * @param {string} b
 */
function distance(a, b) {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; ++i) {
    const row = [i];
    for (let j = 1; j <= b.length; ++j) {
      const change = /** @type {number} */ (above[j - 1]) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const remove = /** @type {number} */ (above[j]) + 1;
      row.push(Math.min(change, remove, /** @type {number} */ (row[j - 1]) + 1));
    }
    above = row;
  }
  return /** @type {number} */ (above[b.length]);
}

/**
 * What was probably meant, or what there is.
 * @param {string} word
 * @param {readonly string[]} known
 */
function suggest(word, known) {
  const short = word.slice(0, 64).toLowerCase();
  const [near] = known
    .map((each) => /** @type {[number, string]} */ ([distance(short, each.toLowerCase()), each]))
    .sort(([a], [b]) => a - b);
  return near && near[0] <= 3
    ? `did you mean ${JSON.stringify(near[1])}?`
    : `known are: ${known.join(", ")}`;
}

/**
 * A list of texts; absent, or empty: all.
 * @param {unknown} value
 * @param {string} name
 * @returns {string[]}
 */
function texts(value, name) {
  if (value === undefined || value === null) return [];
  const iterable = /** @type {Iterable<unknown>} */ (value);
  // Text is iterable as well: "file.completed" would be fourteen filters.
  if (typeof value !== "object" || typeof iterable[Symbol.iterator] !== "function") {
    throw new TypeError(`${name}: a list of texts is wanted, such as ["..."], not ${show(value)}`);
  }
  return [...iterable].map((each) => {
    if (typeof each === "string" && each !== "") return each;
    throw new TypeError(`${name}: ${show(each)} is no text`);
  });
}

/** @param {unknown} value */
function show(value) {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/**
 * @param {unknown} value
 * @returns {string[]}
 */
export function typesOf(value) {
  const list = texts(value, "types");
  for (const type of list) {
    if (!TYPES.includes(type)) {
      const what = `there is no type of events ${JSON.stringify(type)}`;
      throw new RangeError(`types: ${what}: ${suggest(type, TYPES)}`);
    }
  }
  return list;
}

/**
 * @param {unknown} value
 * @returns {string[]}
 */
export function watchesOf(value) {
  const list = texts(value, "watches");
  for (const watch of list) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(watch)) {
      throw new RangeError(`watches: ${JSON.stringify(watch)} is no name of a watch`);
    }
  }
  return list;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} otherwise
 * @param {number} least
 * @param {number} most
 */
export function number(value, name, otherwise, least, most) {
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw new RangeError(`${name}: ${show(value)} is not from ${least} to ${most}`);
  }
  return value;
}

/**
 * In seconds, as everywhere.
 * @param {unknown} value
 * @param {string} name
 * @param {number} otherwise
 * @param {number} least
 * @param {number} most
 */
export function seconds(value, name, otherwise, least, most) {
  try {
    return number(value, name, otherwise, least, most);
  } catch (error) {
    if (error instanceof RangeError) error.message += " seconds";
    throw error;
  }
}

/** @type {Record<string, (value: any) => boolean>} */
const KINDS = {
  "a text": (value) => typeof value === "string",
  "a number": (value) => typeof value === "number" && value >= 0,
  "a function": (value) => typeof value === "function",
  "true or false": (value) => typeof value === "boolean",
  "an AbortSignal": (value) => value instanceof AbortSignal,
  "an object {watch: directory}": (value) =>
    typeof value === "object" && Object.values(value).every((each) => typeof each === "string"),
  '"oldest", "now" or "state"': (value) => ["oldest", "now", "state"].includes(value),
};

const CONNECTION = {
  endpoint: "a text",
  serverKey: "a text",
  key: "a text",
  connectTimeout: "a number",
};
/** null: checked by a function of its own. @type {Record<string, string | null>} */
const SELECTION = {
  ...CONNECTION,
  types: null,
  watches: null,
  roots: "an object {watch: directory}",
  signal: "an AbortSignal",
  stopSignals: "true or false",
};
export const REQUEST = { ...CONNECTION, timeout: "a number" };
export const SUBSCRIBE = { ...SELECTION, onGap: "a function" };
export const CONSUME = {
  ...SELECTION,
  limit: null,
  wait: null,
  lease: null,
  start: '"oldest", "now" or "state"',
  create: "true or false",
  onLost: "a function",
  onReset: "a function",
  onState: "a function",
};

/**
 * Every option is one of `known`, and of its kind.
 * @param {unknown} options
 * @param {Record<string, string | null>} known
 */
export function check(options, known) {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`options: an object is wanted, not ${show(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) {
      throw new TypeError(`there is no option "${name}": ${suggest(name, Object.keys(known))}`);
    }
    const kind = known[name];
    if (value === undefined || value === null || !kind || KINDS[kind]?.(value)) continue;
    throw new TypeError(`${name}: ${kind} is wanted, not ${show(value)}`);
  }
}
