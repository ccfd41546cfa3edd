/** Every golden frame decodes to its meaning, and encodes to the same bytes where the document makes them unique. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { decode, decodeHeader, encode, encodeBatch, Flag, fromText, toText, type Frame } from "../src/frame.js";
import { FRAME } from "../src/limits.js";
import { KINDS } from "../src/payload.js";
import { fromJson } from "../src/values.js";

const ROOT = join(import.meta.dirname, "../../../..");
const GOLDEN = join(ROOT, "tests/golden");
const NAMES = readdirSync(GOLDEN).filter((file) => file.endsWith(".bin")).map((file) => file.slice(0, -4));

interface Meaning extends Record<string, unknown> {
  batch?: Meaning[];
}

function bytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(GOLDEN, `${name}.bin`)));
}

function json(text: string): Meaning {
  return fromJson(text, FRAME) as Meaning;
}

/** What a message means, as the JSON files say it: a text frame with all fields of the header. */
function meaning(frame: Frame): Meaning {
  const { sender, recipient, conversation, timestamp_ns } = frame;
  return { ...json(toText(frame)), sender, recipient, conversation, timestamp_ns };
}

/** The wanted meaning, without what only the bytes say. */
function wanted(meant: Meaning): unknown {
  if (meant.batch) return meant.batch.map(wanted);
  return Object.fromEntries(Object.entries(meant).filter(([key]) => key !== "flags" && key !== "payload_size"));
}

test("there are golden frames of every kind", async () => {
  const frames = (await Promise.all(NAMES.map((name) => decode(bytes(name))))).flat();
  assert.deepEqual(new Set(frames.map((frame) => frame.type)), new Set(Object.keys(KINDS)));
});

for (const name of NAMES) {
  test(`${name} decodes to its meaning`, async () => {
    const meant = json(readFileSync(join(GOLDEN, `${name}.json`), "utf8"));
    const header = decodeHeader(bytes(name));
    const found = (await decode(bytes(name))).map(meaning);
    assert.deepEqual(meant.batch ? found : found[0], wanted(meant));
    assert.deepEqual([header.flags, header.payload_size], [meant["flags"], meant["payload_size"]]);
  });

  test(`${name} encodes to the same bytes`, async () => {
    const data = bytes(name);
    const frames = await decode(data);
    const [first] = frames;
    assert.ok(first);
    const again = decodeHeader(data).flags & Flag.batch ? await encodeBatch(frames) : await encode(first);
    if (decodeHeader(data).flags & Flag.compressed) assert.deepEqual(await decode(again), frames);
    else assert.deepEqual(again, data);
  });

  test(`${name} says the same as a text`, async () => {
    for (const frame of await decode(bytes(name))) assert.deepEqual(fromText(toText(frame)), frame);
  });
}

test("the examples of the document are text frames", async () => {
  const document = readFileSync(join(ROOT, "docs/PROTOCOL.md"), "utf8");
  const examples = document.split("```json\n").slice(1).map((block) => block.split("```")[0] ?? "");
  assert.ok(examples.length > 20);
  for (const example of examples) {
    const frame = fromText(example);
    assert.deepEqual(await decode(await encode(frame)), [frame]);
  }
});
