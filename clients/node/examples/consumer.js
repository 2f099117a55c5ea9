#!/usr/bin/env node
// Works on each finished file, and misses none: consumer.js NAME [ENDPOINT]
//
// Kill it at any moment: what was not done comes again, with the same id. SIGTERM, SIGHUP and Ctrl-C
// let the work in hand come to its end.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { consume, InotifierError } from "inotifier";

const [name, endpoint] = process.argv.slice(2);
if (!name) {
  console.error("usage: consumer.js NAME [ENDPOINT]");
  process.exit(2);
}

// console.log passes over what it could not write, and the event would be done.
process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));

async function work(event) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(event.pathBytes), hash);
  console.log(hash.digest("hex"), event.path);
}

try {
  const consumer = consume(name, {
    endpoint,
    types: ["file.completed"],
    stopSignals: true,
    onLost: (lost) => console.error("no longer kept:", lost),
    onState: (state) => console.error(state),
  });
  for await (const event of consumer) {
    try {
      await work(event);
    } catch (error) {
      if (error.code === "ENOENT") continue; // gone by now
      await consumer.fail(event, String(error)); // kept: inotifier failed NAME, inotifier retry NAME
    }
  }
} catch (error) {
  if (!(error instanceof InotifierError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
