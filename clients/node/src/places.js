// Where the daemon is looked for when no endpoint is given: clients/README.md, "Endpoints".
import fs from "node:fs";
import { NothingListens } from "./errors.js";

/** @typedef {import("./connection.js").Peer} Peer */

/** @param {Peer} peer */
const variableOf = (peer) => `INOTIFIER_${peer.toUpperCase()}_ENDPOINT`;
const fallback = () => `/tmp/inotifier-${process.geteuid?.()}`;

/**
 * One endpoint, or a list of them as the daemon takes it: ["ipc://...", "tcp://..."], or a,b.
 * @param {string} text
 */
function endpointsIn(text) {
  const listed = text
    .replace(/^\s*\[(.*)\]\s*$/, "$1")
    .split(",")
    .map((each) => each.trim().replace(/^["']|["']$/g, ""))
    .filter((each) => each !== "");
  return listed.length > 0 ? listed : [text];
}

/**
 * Sockets that a daemon makes without being told where, the person's own first.
 * @param {Peer} peer
 */
function sockets(peer) {
  const { XDG_RUNTIME_DIR: given } = process.env;
  // Not in the environment of cron and others, and the daemon's all the same.
  const runtime = given?.startsWith("/") ? given : `/run/user/${process.geteuid?.()}`;
  return [
    `${runtime.replace(/\/+$/, "")}/inotifier/${peer}`,
    `${fallback()}/${peer}`,
    `/run/inotifier/${peer}`,
  ];
}

/**
 * Whether nobody else can have put it there: everybody may write to /tmp.
 * @param {string} socket
 */
function mayBeUsed(socket) {
  if (!socket.startsWith(`${fallback()}/`)) return true;
  const there = fs.lstatSync(fallback(), { throwIfNoEntry: false });
  if (!there?.isDirectory()) return false;
  return there.uid === process.geteuid?.() && (there.mode & 0o022) === 0;
}

/**
 * The endpoint to connect to when none is given.
 * @param {Peer} peer
 */
export function defaultEndpoint(peer) {
  const given = process.env[variableOf(peer)];
  if (given) {
    const all = endpointsIn(given);
    const there = all.find((each) => each.startsWith("ipc://") && fs.existsSync(each.slice(6)));
    // "Every interface" is this machine.
    const first = /** @type {string} */ (all[0]);
    return (
      there ??
      first
        .replace(/^tcp:\/\/(\*|0\.0\.0\.0):/, "tcp://127.0.0.1:")
        .replace(/^tcp:\/\/\[::\]:/, "tcp://[::1]:")
    );
  }
  const all = sockets(peer);
  const there = all.find((each) => fs.existsSync(each) && mayBeUsed(each));
  return `ipc://${there ?? all.at(-1)}`;
}

/**
 * Of an error at that endpoint: where it was looked for, if nothing listens there.
 * @param {unknown} error
 * @param {Peer} peer
 */
export function withPlaces(error, peer) {
  if (!(error instanceof NothingListens)) return error;
  const variable = variableOf(peer);
  const places = process.env[variable]
    ? `The endpoint is from ${variable}`
    : `Looked for ${sockets(peer).join(", ")}; ${variable} names another place`;
  return new NothingListens(`${error.message} ${places}`);
}
