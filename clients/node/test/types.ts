// Not run: `tsc` compares what is declared with what is there, and reads a program as users write it.
import { consume, Event, NothingListens, RequestError, subscribe } from "inotifier";
import * as implementation from "../src/index.js";

const declared: typeof import("inotifier") = implementation;
void declared;

async function program(signal: AbortSignal): Promise<void> {
  for await (const event of consume("thumbnails", { types: ["file.completed"], signal })) {
    const path: string = event.path; // of a file: never null
    const bytes: Buffer = event.pathBytes;
    const when: number = event.time.getTime();
    void [path, bytes, when];
  }
  for await (const event of consume("everything")) {
    if (event.type === "file.completed") void event.path.length;
    // @ts-expect-error: watch.ready has none
    else void event.path.length;
    void event.displayPath.length;
  }
  const subscriber = subscribe({ onGap: (gap) => console.error(gap.topic) });
  const event: Event | null = await subscriber.next(1.5);
  if (event) console.log(JSON.stringify(event));
  // @ts-expect-error: no such type
  consume("x", { types: ["file.complete"] });
  // @ts-expect-error: no such option
  consume("x", { type: ["file.completed"] });
  // @ts-expect-error: a text would be a list of letters
  const wrong: { types: string[] } = { types: "file.completed" };
  void wrong;
  // @ts-expect-error: a consumer has a name
  consume();
  // @ts-expect-error: events do not change
  if (event) event.id = "";
}

program(new AbortController().signal).catch((error: unknown) => {
  if (error instanceof NothingListens) console.error(error.message);
  if (error instanceof RequestError) console.error(error.code);
});
