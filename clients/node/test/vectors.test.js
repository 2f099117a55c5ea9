// What goes over the wire, as clients/vectors has it.
import { decode } from "@msgpack/msgpack";
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { jsonOf } from "../src/event.js";
import { Event } from "../src/index.js";
import { decoder, encoder, errorOf } from "../src/link.js";

const VECTORS =
  process.env.INOTIFIER_VECTORS ?? fileURLToPath(new URL("../../vectors", import.meta.url));

function vectors(kind) {
  const names = fs.readdirSync(`${VECTORS}/${kind}`).filter((file) => file.endsWith(".json"));
  assert.ok(names.length > 0);
  return names.map((file) => ({
    name: file.slice(0, -".json".length),
    json: JSON.parse(fs.readFileSync(`${VECTORS}/${kind}/${file}`, "utf8")),
    bytes: fs.readFileSync(`${VECTORS}/${kind}/${file.replace(/json$/, "msgpack")}`),
  }));
}

for (const { name, json, bytes } of vectors("requests")) {
  test(`request ${name}: our bytes mean the same`, () => {
    assert.deepEqual(decode(encoder.encode({ ...json, absent: undefined })), decode(bytes));
  });
}

for (const { name, json, bytes } of vectors("replies")) {
  test(`reply ${name}`, () => {
    const reply = decoder.decode(bytes);
    assert.deepEqual(jsonOf(reply), json);
    for (const event of reply.events ?? []) assert.deepEqual(new Event(event).toJSON(), event);
    if (reply.ok) return;
    const error = errorOf(reply);
    assert.equal(error.code, name.replace("error-", ""));
    assert.ok(error.message.startsWith(json.error.message));
  });
}

const events = Object.fromEntries(vectors("events").map((vector) => [vector.name, vector]));

for (const { name, json, bytes } of Object.values(events)) {
  test(`event ${name}`, () => {
    const event = new Event(decoder.decode(bytes));
    assert.deepEqual(JSON.parse(JSON.stringify(event)), json);
    assert.equal(event.id, json.id);
    assert.equal(event.type, json.type);
    assert.equal(event.position, json.sequence);
    assert.equal(event.previousPosition, json.prevsequence ?? null);
    assert.equal(event.watch, json.data.watch);
    assert.equal(event.timeText, json.time ?? "");
    assert.equal(event.path, json.data.path ?? null);
    const again = Event.fromJSON(JSON.stringify(event), {});
    for (const key of Object.keys(event))
      if (key !== "time" && key !== "data") assert.deepEqual(again[key], event[key], key);
    assert.equal(again.time.getTime(), Date.parse(json.time ?? ""));
    assert.deepEqual(again.toJSON(), json);
  });
}

const event = (name, roots) => new Event(decoder.decode(events[name].bytes), roots);

test("a name that is no UTF-8 can be opened", () => {
  const { pathBytes, relativePath, path } = event("name-is-no-utf-8");
  assert.equal(pathBytes.toString("latin1"), "/srv/in/caf\xe9\n.txt");
  assert.equal(path, "/srv/in/caf\ufffd\n.txt");
  assert.equal(relativePath, "caf\ufffd\n.txt");
});

test("roots map the exact bytes", () => {
  const mapped = event("name-is-no-utf-8", { incoming: "/mnt/dicom/", other: "/x" });
  assert.equal(mapped.pathBytes.toString("latin1"), "/mnt/dicom/caf\xe9\n.txt");
  assert.equal(mapped.root, "/mnt/dicom/");
  assert.equal(mapped.data.root, "/srv/in", "as received");
  assert.equal(event("name-to-be-encoded", { incoming: "/m" }).path, "/m/a:b c?#%/ä");
  assert.equal(event("name-to-be-encoded", { other: "/m" }).path, "/srv/in/a:b c?#%/ä");
  assert.equal(event("watch.ready", { incoming: "/m" }).path, null);
});

test("INOTIFIER_ROOTS", async () => {
  const { defaultRoots } = await import("../src/event.js");
  process.env.INOTIFIER_ROOTS = "incoming=/mnt/a=b:other=/mnt/o";
  assert.deepEqual(defaultRoots(), { incoming: "/mnt/a=b", other: "/mnt/o" });
  delete process.env.INOTIFIER_ROOTS;
  assert.deepEqual(defaultRoots(), {});
});

test("times keep their nanoseconds as text", () => {
  const { time, timeText, size } = event("file.completed");
  assert.equal(timeText, "2026-11-22T10:00:00.200000000Z");
  assert.equal(time.getTime(), Date.UTC(2026, 10, 22, 10, 0, 0, 200));
  assert.equal(size, 2 ** 53 - 1);
});

test("nil means absent, numbers may be floats, unknown keys are kept", () => {
  const other = event("other-ways-to-say-it");
  assert.deepEqual(
    [other.path, other.subject, other.size, other.relativePath],
    [null, null, 1.5, null],
  );
  assert.ok("x-unknown" in other.toJSON());
});

test("what is no event is refused", () => {
  for (const value of [null, 1, "text", [], {}, { id: 1, type: "x" }])
    assert.throws(() => new Event(value));
});
