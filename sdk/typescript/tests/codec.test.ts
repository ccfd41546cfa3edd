/** The codec alone: what is refused and how, compression, numbers at their edges. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";

import { gunzip, gzip } from "../src/compress.js";
import { ProtocolError } from "../src/errors.js";
import { decode, decodeHeader, encode, encodeBatch, Flag, frame, fromText, toText, type Frame } from "../src/frame.js";
import { uuid7 } from "../src/ids.js";
import type { Value } from "../src/schema.js";
import { header } from "./peer.js";

const VECTOR = "013100000000000000000000000000000001000000000000000000000000000000020000000000000000000000000000000317979cfe362a0000000100000005";
const GOLDEN = join(import.meta.dirname, "../../../../tests/golden");

function says(content: unknown): Frame {
  return frame({ type: "coordination", payload: { broadcast: { content: content as Value } } });
}

function refused(code?: number): (error: unknown) => boolean {
  return (error) => error instanceof ProtocolError && (code === undefined || error.code === code) && error.where !== "" && error.advice !== "";
}

/** A heartbeat with these bytes as its extension block. */
function withBlock(block: number[], size = block.length): Buffer {
  const body = Buffer.from([size >> 8, size & 255, ...block, 0x80]);
  return Buffer.concat([header(3, 32, body.length), body]);
}

/** The same dice for each run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

test("the header of the document", () => {
  const found = decodeHeader(Buffer.concat([Buffer.from(VECTOR, "hex"), Buffer.alloc(5)]));
  const last = (id: string): string => id.slice(-1);
  assert.deepEqual([found.kind, last(found.sender), last(found.recipient), last(found.conversation)], ["consensus_vote", "1", "2", "3"]);
  assert.deepEqual([found.timestamp_ns, found.flags, found.payload_size], [1_700_000_000_000_000_000n, 1, 5]);
});

test("a payload is compressed only where it is worth it", async () => {
  const long = says(Array.from({ length: 200 }, (_, number) => `line ${number} of a long text`));
  const data = await encode(long, true);
  assert.ok(decodeHeader(data).flags & Flag.compressed && data.length < (await encode(long)).length);
  assert.deepEqual(await decode(data), [long]);
  assert.deepEqual(await decode(await encodeBatch([long, long], true)), [long, long]);
  assert.equal(await gzip(Buffer.alloc(1024, "ab")), undefined);
  assert.equal(await gzip(Buffer.alloc(200_000)), undefined);
  assert.equal(await gzip(randomBytes(5_000)), undefined);
  const small = await gzip(Buffer.from("line of text ".repeat(300)));
  assert.ok(small && gunzipSync(small).length === 3_900);
});

test("compressed data is whole, alone and within its limits", async () => {
  const payload = Buffer.from(Array.from({ length: 2_000 }, (_, number) => `line ${number} of a text`).join(""));
  const small = gzipSync(payload);
  assert.deepEqual(Buffer.from(await gunzip(small, payload.length)), payload);
  const zero = Buffer.alloc(1);
  const trailed = Buffer.concat([small.subarray(0, -8), zero, small.subarray(-8)]);
  for (const broken of [small.subarray(0, -1), Buffer.concat([small, zero]), Buffer.concat([small, small]), trailed, zero, small.subarray(0, 12)])
    await assert.rejects(gunzip(broken, 1_000_000), refused(100));
  await assert.rejects(gunzip(small, payload.length - 1), refused(101));
  await assert.rejects(gunzip(gzipSync(Buffer.alloc(5_000_000)), 10_485_760), refused(101));
  await assert.rejects(decode(Buffer.concat([header(3, 0x101, 1), zero])), refused(102));
});

test("every field of the extension comes back", async () => {
  const extension = {
    message_id: uuid7(),
    in_reply_to: uuid7(),
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    deadline_ns: -5,
    idempotency_key: "ä".repeat(64),
    performative: "cfp" as const,
  };
  const given = frame({ type: "heartbeat", payload: {} }, { extension, timestamp_ns: -(2n ** 63n) });
  assert.deepEqual(await decode(await encode(given)), [given]);
  assert.deepEqual(fromText(toText(given)), given);
  assert.match(extension.message_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/);
  for (const traceparent of [`00-${"0".repeat(32)}-${"1".repeat(16)}-01`, "00-1-1-1", ""])
    await assert.rejects(encode(frame({ type: "heartbeat", payload: {} }, { extension: { traceparent } })), refused(100));
});

test("wrong extensions are refused, and unknown fields skipped", async () => {
  const zeros = (length: number): number[] => Array.from({ length }, () => 0);
  const ours = [1, 16, ...zeros(16)];
  const [found] = await decode(withBlock([...ours, 99, 1, 7]));
  assert.deepEqual(found?.extension, { message_id: "00000000-0000-0000-0000-000000000000" });
  const wrong = [[...ours, ...ours], [2, 16, ...zeros(16), ...ours], [1, 15, ...zeros(15)], [1], [5, 0], [5, 129, ...zeros(129)]];
  wrong.push([6, 1, 0], [6, 1, 12], [3, 25, ...zeros(25)], [5, 1, 255], [4, 7, ...zeros(7)]);
  for (const block of wrong) await assert.rejects(decode(withBlock(block)), refused(), JSON.stringify(block));
  await assert.rejects(decode(withBlock([], 500)), refused());
  await assert.rejects(decode(withBlock([99, 253, ...zeros(253), 100, 253, ...zeros(253), 101, 5, ...zeros(5)])), refused(101));
});

test("depth and values have their limits", async () => {
  const nested = (depth: number): unknown => (depth ? [nested(depth - 1)] : 1);
  await decode(await encode(says(nested(62))));
  for (const depth of [63, 500]) await assert.rejects(encode(says(nested(depth))), refused(101));
  // the payload's map counts two, its key one, the broadcast's map two, its key one, the list one
  const nulls = (length: number): null[] => Array.from({ length }, () => null);
  await decode(await encode(says(nulls(65_536 - 7))));
  await assert.rejects(encode(says(nulls(65_536 - 6))), refused(101));
  const half = says(nulls(32_768));
  await assert.rejects(decode(await encodeBatch([half, half])), refused(101));
});

test("values are plain, and integers exact", async () => {
  for (const value of [new Uint8Array(2), NaN, 2n ** 64n, -(2n ** 63n) - 1n, new Date(), Symbol("s"), () => 1])
    await assert.rejects(encode(says(value)), refused(100), String(value));
  const edges = [2n ** 64n - 1n, -(2n ** 63n), 2 ** 53 - 1, 2n ** 53n + 1n, 2 ** 32, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 40)];
  for (const value of [...edges, 1.5, 1e300, true, null, "", { a: [{}] }]) {
    const [found] = await decode(await encode(says(value)));
    assert.deepEqual(found?.payload, { broadcast: { content: value } });
    assert.deepEqual(fromText(toText(says(value))).payload, { broadcast: { content: value } });
  }
});

test("unknown fields are skipped, unknown variants and broken texts refused", () => {
  assert.deepEqual(fromText('{"type": "credit", "payload": {"messages_total": 1, "new": [1]}, "also": 2}').payload, { messages_total: 1 });
  const wrong: [string, number][] = [
    ['{"type": "goodbye", "payload": {"reason": "bored"}}', 100],
    ['{"type": "emergency_stop", "payload": {"scope": {"planet": 1}, "reason": "x"}}', 102],
    ['{"type": "credit", "payload": {"messages_total": NaN}}', 100],
    ['{"type": "credit", "payload": {"messages_total": 1e400}}', 100],
    ['{"type": "credit", "payload": {"messages_total": 01}}', 100],
    ['{"type": "credit", "payload": {"messages_total": 1},}', 100],
    ['{"type": "toString", "payload": {}}', 102],
  ];
  for (const [text, code] of wrong) assert.throws(() => fromText(text), refused(code), text);
  const long = "é\\u00e9 \\\" x".repeat(60_000);
  assert.ok(JSON.stringify(fromText(`{"type": "coordination", "payload": {"broadcast": {"content": "${long}"}}}`).payload).length > 400_000);
});

test("batches are all or nothing", async () => {
  const good = Buffer.from(await encode(frame({ type: "heartbeat", payload: { sequence: 1 } })));
  const inner = Buffer.from(await encodeBatch([frame({ type: "heartbeat", payload: {} })]));
  const size = (length: number): Buffer => Buffer.from([0, 0, length >> 8, length & 255]);
  const batch = (count: number, messages: Buffer[], rest = "", flags = 4): Buffer => {
    const body = Buffer.concat([size(count), ...messages.flatMap((one) => [size(one.length), one]), Buffer.from(rest)]);
    return Buffer.concat([header(3, flags, body.length), body]);
  };
  assert.equal((await decode(batch(2, [good, good]))).length, 2);
  const wrong = [batch(0, []), batch(2, [good]), batch(1, [good], "x"), batch(1, [inner]), batch(1, [good], "", 4 | 32)];
  wrong.push(batch(2, [good, good.subarray(0, -1)]), batch(1_025, Array.from({ length: 1_025 }, () => good)));
  for (const data of wrong) await assert.rejects(decode(data), refused());
});

test("any bytes and any text decode or are refused", async () => {
  const roll = dice(7);
  const rest = ['"', "{", "}", "[", "null", "-1", "1e400", "", "\\ud800", "é"];
  for (const name of readdirSync(GOLDEN).filter((file) => file.endsWith(".bin"))) {
    const data = readFileSync(join(GOLDEN, name));
    const texts = (await decode(data)).map(toText);
    for (let round = 0; round < 100; round += 1) {
      const broken = Buffer.from(data);
      for (let left = 1 + roll(4); left > 0; left -= 1) broken[roll(broken.length)] = roll(256);
      const cut = roll(5) === 0 ? broken.subarray(0, roll(broken.length)) : broken;
      await decode(cut).catch((error: unknown) => assert.ok(refused()(error), String(error)));
      for (const text of texts) {
        const at = roll(text.length);
        const other = text.slice(0, at) + (rest[roll(rest.length)] ?? "") + text.slice(at + roll(5));
        try {
          fromText(other);
        } catch (error) {
          assert.ok(refused()(error), String(error));
        }
      }
    }
  }
});
