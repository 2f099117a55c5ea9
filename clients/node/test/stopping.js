// A consumer in a process of its own that SIGTERM ends: tells each path, and works on it for a while.
import { consume } from "../src/index.js";

const [name, endpoint, fault] = process.argv.slice(2);
const options = { endpoint, types: ["file.completed"], stopSignals: true };
for await (const event of consume(name, options)) {
  const told = new Promise((done) => process.on("SIGTERM", done).on("SIGINT", done).on("SIGHUP", done));
  console.log(event.path);
  if (fault) throw new Error(fault);
  await told;
  console.log("finished");
}
