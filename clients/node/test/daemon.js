// The real daemon, and what a test waits for.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import nodeTest, { after } from "node:test";
import { request } from "../src/index.js";

/** One that hangs fails by itself, and what it leaves open does not keep the others waiting. */
export const test = (name, body) => nodeTest(name, { timeout: 30_000 }, body);
after(() => setTimeout(() => process.exit(1), 5000).unref());

export const BINARY = process.env.INOTIFIER ?? "inotifier";

/**
 * The first true value of condition().
 * @template T
 * @param {() => T | Promise<T>} condition
 * @param {string} what
 * @param {number} [seconds]
 * @returns {Promise<T>}
 */
export async function waitFor(condition, what, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

/** A directory that goes with the test. */
export function workdir(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "inotifier-node-"));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export class Daemon {
  /**
   * @param {import("node:test").TestContext} t
   * @param {{tcp?: boolean, toml?: string, directory?: string}} [options] tcp: on ports of the system's choice;
   *   toml: further sections
   */
  constructor(t, { tcp = false, toml = "", directory = workdir(t) } = {}) {
    this.directory = directory;
    this.root = path.join(directory, "incoming");
    fs.mkdirSync(this.root);
    this.publish = `ipc://${directory}/publish`;
    this.fetch = `ipc://${directory}/fetch`;
    this.log = path.join(directory, "log");
    this.journal = path.join(directory, "journal.db");
    this.config = path.join(directory, "inotifier.toml");
    /** @param {string} ipc */
    const endpoints = (ipc) => JSON.stringify(tcp ? [ipc, "tcp://127.0.0.1:*"] : [ipc]);
    fs.writeFileSync(
      this.config,
      `[publish]\nendpoint = ${endpoints(this.publish)}\nheartbeat = "200ms"\n` +
        `[fetch]\nendpoint = ${endpoints(this.fetch)}\n[journal]\npath = "${this.journal}"\n${toml}\n` +
        `[[watch]]\nname = "incoming"\npath = "${this.root}"\n`,
    );
    t.after(() => this.kill());
  }

  async start() {
    const log = fs.openSync(this.log, "a");
    this.process = spawn(BINARY, ["run", "-c", this.config], { stdio: ["ignore", log, log] });
    fs.closeSync(log);
    this.ended = once(this.process, "exit");
    await waitFor(async () => {
      if (this.process.exitCode !== null)
        throw new Error(`the daemon ended: ${fs.readFileSync(this.log)}`);
      return (await this.request("status", { connectTimeout: 5 })).ready;
    }, "the daemon to be ready");
    return this;
  }

  request(op, args = {}) {
    const { connectTimeout, ...rest } = args;
    return request(op, rest, { endpoint: this.fetch, connectTimeout });
  }

  /** What the daemon knows of a consumer; undefined if there is none. */
  async consumer(name) {
    return (await this.request("consumers")).consumers.find((each) => each.name === name);
  }

  /** When it is started again it comes back where it was. */
  keepPorts() {
    const { publish, fetch } = this.tcp();
    this.changeConfig((toml) =>
      toml.replace("tcp://127.0.0.1:*", publish).replace("tcp://127.0.0.1:*", fetch),
    );
  }

  /** @param {(toml: string) => string} change what the next start finds */
  changeConfig(change) {
    const toml = change(fs.readFileSync(this.config, "utf8"));
    fs.writeFileSync(this.config, toml);
  }

  /** The endpoints that the system chose: {publish, fetch}. */
  tcp() {
    const lines = fs.readFileSync(this.log, "utf8").split("\n");
    const find = (what) =>
      lines
        .findLast((line) => line.includes(`${what} on tcp://`))
        ?.split(" ")
        .at(-1);
    return { publish: find("publishing"), fetch: find("fetch") };
  }

  async kill(signal = "SIGKILL") {
    if (!this.process || this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill(signal);
    await this.ended;
  }

  /** A finished file. */
  write(name, content = "content") {
    const file = Buffer.concat([Buffer.from(`${this.root}/`), Buffer.from(name)]);
    const part = Buffer.concat([file, Buffer.from(".part")]);
    fs.writeFileSync(part, content);
    fs.renameSync(part, file);
    return file.toString();
  }

  writeMany(prefix, count) {
    return Array.from({ length: count }, (_, i) => this.write(`${prefix}-${i}`));
  }
}

/** Key files in `directory`: NAME.key, NAME.key_secret. */
export function keygen(directory, name, ...more) {
  const done = spawnSync(BINARY, ["keygen", name, "--dir", directory, ...more], {
    encoding: "utf8",
  });
  if (done.status !== 0) throw new Error(done.stderr);
  return {
    public: path.join(directory, `${name}.key`),
    secret: path.join(directory, `${name}.key_secret`),
  };
}
