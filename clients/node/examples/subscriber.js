#!/usr/bin/env node
// Prints each finished file while it runs: subscriber.js [ENDPOINT]
import { InotifierError, subscribe } from "inotifier";

try {
  const options = {
    endpoint: process.argv[2],
    types: ["file.completed"],
    stopSignals: true,
    onGap: (gap) => console.error("missed:", gap),
  };
  for await (const event of subscribe(options)) {
    console.log(event.path, event.size, event.evidence);
  }
} catch (error) {
  if (!(error instanceof InotifierError)) throw error;
  console.error(error.message); // no daemon there, or keys that do not fit
  process.exitCode = 1;
}
