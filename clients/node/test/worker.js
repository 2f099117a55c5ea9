// A consumer in a process of its own: tells its parent each path, and finishes as it is told to.
import { consume } from "../src/index.js";

const [name, endpoint, once] = process.argv.slice(2);
for await (const event of consume(name, { endpoint, types: ["file.completed"], lease: 1 })) {
  process.send(event.path);
  await new Promise((done) => process.once("message", done));
  if (once) break;
}
process.disconnect();
