// What the documentation shows is run: the examples, and each piece of JavaScript in the READMEs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { consume } from "../src/index.js";
import { Daemon, test, waitFor } from "./daemon.js";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Runs a program until it has said `expected` of some file, then SIGTERM; its exit code. */
async function tells(t, daemon, argv, expected) {
  const child = spawn(process.execPath, argv, {
    env: {
      ...process.env,
      INOTIFIER_FETCH_ENDPOINT: daemon.fetch,
      INOTIFIER_PUBLISH_ENDPOINT: daemon.publish,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  const exit = once(child, "exit");
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (said += part));
  let count = 0;
  await waitFor(() => {
    assert.equal(child.exitCode, null, said);
    daemon.write(`file-${++count}`); // what is live hears only of what comes later
    return said.includes(expected);
  }, `"${expected}" in ${said}`);
  child.kill();
  return exit;
}

test("examples/consumer.js", async (t) => {
  const daemon = await new Daemon(t).start();
  const argv = [here("../examples/consumer.js"), "c", daemon.fetch];
  const [code] = await tells(t, daemon, argv, `${daemon.root}/file-1\n`);
  assert.equal(code, 0);
  assert.equal((await daemon.consumer("c")).owned, false);
});

test("examples/consumer.js acks nothing that nobody reads", async (t) => {
  const daemon = await new Daemon(t).start();
  const argv = [here("../examples/consumer.js"), "c", daemon.fetch];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "ignore"] });
  t.after(() => child.kill("SIGKILL"));
  const exit = once(child, "exit");
  child.stdout.destroy();
  const [first] = daemon.writeMany("a", 2);
  assert.deepEqual(await exit, [0, null]);
  await daemon.request("seek", { consumer: "c", to: (await daemon.consumer("c")).position });
  const next = consume("c", { endpoint: daemon.fetch });
  t.after(() => next.close());
  assert.equal((await next.next(5)).path, first);
});

test("examples/subscriber.js", async (t) => {
  const daemon = await new Daemon(t).start();
  const argv = [here("../examples/subscriber.js"), daemon.publish];
  const [code] = await tells(t, daemon, argv, `${daemon.root}/file-`);
  assert.equal(code, 0);
});

/** The JavaScript in a README, with the line it begins at. */
function blocks(file) {
  const text = fs.readFileSync(file, "utf8");
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => ({
    line: text.slice(0, match.index).split("\n").length,
    code: match[1],
  }));
}

// What a piece leaves to its reader.
const GIVEN = `
const told = async (what) => console.log("told", what.path ?? what);
const makeThumbnail = told, work = told;
const { signal } = new AbortController();
`;
const PROTOCOL = path.join(process.env.INOTIFIER_VECTORS ?? here("../../vectors"), "..");
const pages = [here("../README.md"), path.join(PROTOCOL, "../README.md")];
for (const page of pages) {
  const found = blocks(page);
  test(`${path.relative(PROTOCOL, page)} has some`, () => assert.ok(found.length > 0));
  for (const { line, code } of found) {
    test(`${path.basename(path.dirname(page))}/README.md, line ${line}`, async (t) => {
      const daemon = await new Daemon(t).start();
      const imported = code.includes("import ") ? "" : 'import { consume } from "inotifier";\n';
      const made =
        code.includes("consumer") && !code.includes("const consumer")
          ? 'const consumer = consume("thumbnails", { types: ["file.completed"] });\n'
          : "";
      const loop = code.includes("for await") ? "" : "\nfor await (const event of consumer) told(event);\n";
      // Beside the package's own files: there "inotifier" is this package.
      const program = here(`documented-${process.pid}-${line}.mjs`);
      t.after(() => fs.rmSync(program, { force: true }));
      fs.writeFileSync(program, `${imported}${GIVEN}${made}${code}${loop}`);
      await tells(t, daemon, [program], "/file-"); // under another root, if it says so
    });
  }
}
