/** The extension block: what a message may say beside its payload. */
import { joined } from "./compress.js";
import { Code, ProtocolError } from "./errors.js";
import * as limits from "./limits.js";
import { hex, i64, optional, record, refuse, text, unhex, uuid, uuidBytes, uuidText, words, type Of, type Type } from "./schema.js";

const ACTS = [
  "request",
  "agree",
  "refuse",
  "inform",
  "failure",
  "cfp",
  "propose",
  "accept_proposal",
  "reject_proposal",
  "cancel",
  "not_understood",
] as const;

/** The act of speech of a message. */
export type Performative = (typeof ACTS)[number];

const TRACE = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/i;
const key = text(1, limits.IDEMPOTENCY_KEY_BYTES);
const trace: Type<string> = {
  read(value, where) {
    if (typeof value !== "string" || !TRACE.test(value))
      throw refuse(where, "it is no trace context of version 00", "write 00-trace-span-flags, neither id zero");
    return value.toLowerCase();
  },
  write: (value) => value,
};

/** The fields of the extension in a text frame, in the order of their tags. */
export const extension = record({
  message_id: optional(uuid),
  in_reply_to: optional(uuid),
  traceparent: optional(trace),
  deadline_ns: optional(i64),
  idempotency_key: optional(key),
  performative: optional(words(...ACTS)),
});
export type Extension = Of<typeof extension>;
type Field = keyof Extension;

const FIELDS: Field[] = ["message_id", "in_reply_to", "traceparent", "deadline_ns", "idempotency_key", "performative"];
const LENGTHS: { [F in Field]?: number } = { message_id: 16, in_reply_to: 16, traceparent: 25, deadline_ns: 8, performative: 1 };

/** Writes the block with its length field, or nothing where no field is given. */
export function writeBlock(given: Extension): Uint8Array {
  const found = extension.read(given, "extension");
  const fields = FIELDS.flatMap((field, at) => {
    const value = found[field];
    if (value === undefined) return [];
    const bytes = toBytes(field, value);
    return [Uint8Array.of(at + 1, bytes.length), bytes];
  });
  const block = joined(fields);
  return block.length === 0 ? block : joined([Uint8Array.of(block.length >> 8, block.length & 0xff), block]);
}

/** Splits what follows a header into the fields of the block and the payload. */
export function splitBlock(body: Uint8Array): [Uint8Array, Uint8Array] {
  const end = 2 + (body[0] ?? 0) * 256 + (body[1] ?? 0);
  if (end > body.length) throw refuse("extension", "it is longer than the frame", "count what is sent");
  if (end > limits.EXTENSION_BYTES)
    throw refuse("extension", `${end} bytes, and ${limits.EXTENSION_BYTES} are the limit`, "send less", Code.tooLarge);
  return [body.subarray(2, end), body.subarray(end)];
}

/** Reads the fields of a block; those with unknown tags are skipped. */
export function readBlock(block: Uint8Array): Extension {
  const found: Record<string, unknown> = {};
  let last = 0;
  for (let at = 0; at < block.length; ) {
    const tag = block[at] ?? 0;
    const end = at + 2 + (block[at + 1] ?? 256);
    if (end > block.length || tag <= last)
      throw refuse("extension", "a field is cut short, or its tag does not ascend", "write each once, by tag");
    const field = FIELDS[tag - 1];
    if (field !== undefined) found[field] = fromBytes(field, block.subarray(at + 2, end));
    last = tag;
    at = end;
  }
  return extension.read(found, "extension");
}

function toBytes(field: Field, value: string | number | bigint): Uint8Array {
  if (field === "message_id" || field === "in_reply_to") return uuidBytes(String(value));
  if (field === "traceparent") return unhex(String(value).slice(3).replaceAll("-", ""));
  if (field === "idempotency_key") return new TextEncoder().encode(String(value));
  if (field === "performative") return Uint8Array.of(ACTS.findIndex((act) => act === value) + 1);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes;
}

function fromBytes(field: Field, value: Uint8Array): string | bigint {
  const length = LENGTHS[field];
  if (length !== undefined && value.length !== length) throw refuse(field, `${value.length} bytes`, `give ${length}`);
  if (field === "message_id" || field === "in_reply_to") return uuidText(value);
  if (field === "traceparent") return `00-${hex(value.subarray(0, 16))}-${hex(value.subarray(16, 24))}-${hex(value.subarray(24))}`;
  if (field === "deadline_ns") return new DataView(value.buffer, value.byteOffset).getBigInt64(0);
  if (field === "idempotency_key") return utf8(field, value);
  const act = ACTS[(value[0] ?? 0) - 1];
  if (act === undefined) throw new ProtocolError(Code.notSupported, field, `${value[0]} is not known`, "give 1 to 11");
  return act;
}

function utf8(field: Field, value: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw refuse(field, "it is no UTF-8", "give a text");
  }
}
