/** Frames as bytes and as texts; any input is decoded, or refused by a `ProtocolError`. */
import { gunzip, gzip, joined } from "./compress.js";
import { Code, ProtocolError } from "./errors.js";
import { extension as extensionType, readBlock, splitBlock, writeBlock, type Extension } from "./extension.js";
import * as limits from "./limits.js";
import { FRAME, type FrameLimits } from "./limits.js";
import { KINDS, type Kind, type Payloads } from "./payload.js";
import { bool, i64, isMap, refuse, uuid, uuidBytes, uuidText, type Type, type U64 } from "./schema.js";
import { Count, fromJson, pack, toJson, unpack } from "./values.js";

export const VERSION = 1;
export const HEADER_BYTES = 64;
/** As a recipient: the coordinator. */
export const NIL = "00000000-0000-0000-0000-000000000000";
/** As a recipient: everyone in the conversation. */
export const EVERYONE = "ffffffff-ffff-ffff-ffff-ffffffffffff";

export const Flag = { compressed: 1, encrypted: 2, batch: 4, priority: 8, streaming: 16, extension: 32 } as const;
const UNKNOWN_FLAGS = Flag.encrypted | 0b1100_0000;

export interface Marks {
  sender: string;
  recipient: string;
  conversation: string;
  timestamp_ns: U64;
  priority: boolean;
  streaming: boolean;
  extension: Extension;
}
/** One message: its `type` says which payload it has. */
export type Frame = { [K in Kind]: { type: K; payload: Payloads[K] } & Marks }[Kind];
export type Message = { [K in Kind]: { type: K; payload: Payloads[K] } }[Kind];

/** Makes a frame of a message; what is not given is zero, false or empty. */
export function frame(message: Message, marks: Partial<Marks> = {}): Frame {
  const empty: Marks = {
    sender: NIL,
    recipient: NIL,
    conversation: NIL,
    timestamp_ns: 0,
    priority: false,
    streaming: false,
    extension: {},
  };
  return { ...message, ...empty, ...marks };
}

/** Milliseconds from sending to the deadline, by the sender's clock alone. */
export function timeLeftMs(message: Frame): number | undefined {
  const deadline = message.extension.deadline_ns;
  return deadline === undefined ? undefined : Number(BigInt(deadline) - BigInt(message.timestamp_ns)) / 1e6;
}

export interface Header {
  kind: Kind;
  sender: string;
  recipient: string;
  conversation: string;
  timestamp_ns: U64;
  flags: number;
  payload_size: number;
}

/** Encodes one message, compressed by gzip where that is asked for and worth it. */
export async function encode(message: Frame, compress = false, most = FRAME): Promise<Uint8Array> {
  const plain = payloadBytes(message, most);
  const small = compress ? await gzip(plain) : undefined;
  return assembled(message, small ?? plain, small ? Flag.compressed : 0, most);
}

/** Encodes messages as one batch. */
export async function encodeBatch(messages: Frame[], compress = false, most = FRAME): Promise<Uint8Array> {
  const [first] = messages;
  if (first === undefined || messages.length > limits.BATCH_MESSAGES)
    throw refuse("batch", `${messages.length} messages`, `send 1 to ${limits.BATCH_MESSAGES}`, Code.tooLarge);
  const parts = [u32(messages.length)];
  for (const message of messages) {
    const bytes = assembled(message, payloadBytes(message, most), 0, most);
    parts.push(u32(bytes.length), bytes);
  }
  const body = joined(parts);
  const small = compress ? await gzip(body) : undefined;
  return assembled({ ...first, extension: {} }, small ?? body, Flag.batch | (small ? Flag.compressed : 0), most);
}

/** Decodes the header of a frame and checks its size. */
export function decodeHeader(data: Uint8Array, most: FrameLimits = FRAME): Header {
  if (data.length < HEADER_BYTES) throw refuse("header", `${data.length} bytes`, `send a header of ${HEADER_BYTES} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, HEADER_BYTES);
  if (view.getUint8(0) !== VERSION) throw unsupported("version", `${view.getUint8(0)}`, `speak version ${VERSION}`);
  const kind = BYTES.get(view.getUint8(1));
  if (kind === undefined) throw unsupported("type", `${view.getUint8(1)} is no known kind`, "send kinds of this version");
  const flags = view.getUint16(58);
  if (flags & UNKNOWN_FLAGS) throw unsupported("flags", `${flags} has an unknown bit`, "set bits 0 and 2 to 5 only");
  const size = view.getUint32(60);
  if (size > most.payload_bytes) throw tooLarge("payload_size", size, most.payload_bytes);
  const rest = data.length - HEADER_BYTES;
  if (size !== rest) throw refuse("payload_size", `it says ${size} bytes, and ${rest} follow`, "count what is sent");
  const id = (at: number): string => uuidText(data.subarray(at, at + 16));
  const timestamp_ns = i64.read(view.getBigInt64(50), "timestamp_ns");
  return { kind, sender: id(2), recipient: id(18), conversation: id(34), timestamp_ns, flags, payload_size: size };
}

/** Decodes a frame: one message, or all of a batch. */
export async function decode(data: Uint8Array, most: FrameLimits = FRAME): Promise<Frame[]> {
  const header = decodeHeader(data, most);
  const count = new Count(most);
  const body = data.subarray(HEADER_BYTES);
  if (header.flags & Flag.batch) {
    if (header.flags & Flag.extension) throw refuse("batch", "it has an extension block", "give each message its own");
    return batch(await inflated(header, body, most), count);
  }
  const [block, payload] = blockOf(header, body);
  return [decoded(header, block, await inflated(header, payload, most), count)];
}

/** Writes one message as a JSON text. */
export function toText(message: Frame): string {
  const payload = KINDS[message.type].payload.read(message.payload, message.type);
  const fields: Record<string, unknown> = { type: message.type, payload };
  for (const mark of ["sender", "recipient", "conversation"] as const) if (message[mark] !== NIL) fields[mark] = message[mark];
  if (BigInt(message.timestamp_ns) !== 0n) fields["timestamp_ns"] = message.timestamp_ns;
  for (const mark of ["priority", "streaming"] as const) if (message[mark]) fields[mark] = true;
  const extension = extensionType.read(message.extension, "extension");
  return toJson(Object.keys(extension).length === 0 ? fields : { ...fields, extension });
}

/** Reads one message from a JSON text. */
export function fromText(text: string, most: FrameLimits = FRAME): Frame {
  const found = fromJson(text, most);
  if (!isMap(found) || found["payload"] === undefined) throw refuse("frame", "it is no object with type and payload", "send both");
  const { type } = found;
  if (typeof type !== "string" || !isKind(type)) throw unsupported("type", `${String(type)} is no known kind`, "send kinds of this version");
  const mark = <T>(name: string, inner: Type<T>, empty: T): T => (found[name] === undefined ? empty : inner.read(found[name], name));
  const marks: Marks = {
    sender: mark("sender", uuid, NIL),
    recipient: mark("recipient", uuid, NIL),
    conversation: mark("conversation", uuid, NIL),
    timestamp_ns: mark("timestamp_ns", i64, 0),
    priority: mark("priority", bool, false),
    streaming: mark("streaming", bool, false),
    extension: mark("extension", extensionType, {}),
  };
  return frame(message(type, found["payload"]), marks);
}

/** The kind and the id of a message that could not be decoded, where as much as that can be read. */
export function named(data: Uint8Array | string): { kind?: Kind; message?: string | undefined } {
  const found: { kind?: Kind; message?: string | undefined } = {};
  try {
    if (typeof data === "string") {
      const plain = fromJson(data, FRAME);
      if (!isMap(plain) || typeof plain["type"] !== "string" || !isKind(plain["type"])) return found;
      found.kind = plain["type"];
      found.message = extensionType.read(plain["extension"] ?? {}, "extension").message_id;
    } else {
      const header = decodeHeader(data, { ...FRAME, payload_bytes: data.length });
      found.kind = header.kind;
      if ((header.flags & (Flag.extension | Flag.batch)) === Flag.extension)
        found.message = readBlock(splitBlock(data.subarray(HEADER_BYTES))[0]).message_id;
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  return found;
}

const BYTES = new Map<number, Kind>(Object.entries(KINDS).map(([kind, { byte }]) => [byte, kind as Kind]));

function isKind(word: string): word is Kind {
  return Object.hasOwn(KINDS, word);
}

function message(kind: Kind, plain: unknown): Message {
  return { type: kind, payload: KINDS[kind].payload.read(plain, kind) } as Message;
}

function payloadBytes(given: Frame, most: FrameLimits): Uint8Array {
  const type = KINDS[given.type].payload as Type<unknown>;
  const bytes = pack(type.write(type.read(given.payload, given.type)), most);
  if (bytes.length > most.inflated_bytes) throw tooLarge("payload", bytes.length, most.inflated_bytes);
  return bytes;
}

function assembled(given: Frame, body: Uint8Array, base: number, most: FrameLimits): Uint8Array {
  const block = writeBlock(given.extension);
  const size = block.length + body.length;
  if (size > most.payload_bytes) throw tooLarge("payload_size", size, most.payload_bytes);
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, KINDS[given.type].byte);
  header.set(uuidBytes(uuid.read(given.sender, "sender")), 2);
  header.set(uuidBytes(uuid.read(given.recipient, "recipient")), 18);
  header.set(uuidBytes(uuid.read(given.conversation, "conversation")), 34);
  view.setBigInt64(50, BigInt(i64.read(given.timestamp_ns, "timestamp_ns")));
  const marks = (given.priority ? Flag.priority : 0) | (given.streaming ? Flag.streaming : 0);
  view.setUint16(58, base | marks | (block.length > 0 ? Flag.extension : 0));
  view.setUint32(60, size);
  return joined([header, block, body]);
}

function blockOf(header: Header, body: Uint8Array): [Uint8Array, Uint8Array] {
  return header.flags & Flag.extension ? splitBlock(body) : [new Uint8Array(), body];
}

async function inflated(header: Header, body: Uint8Array, most: FrameLimits): Promise<Uint8Array> {
  if (!(header.flags & Flag.compressed)) return body;
  const codec = (header.flags >> 8) & 3;
  if (codec !== 0) throw unsupported("flags", `codec ${codec} was not offered`, "compress with gzip");
  return gunzip(body, most.inflated_bytes);
}

function decoded(header: Header, block: Uint8Array, payload: Uint8Array, count: Count): Frame {
  const { sender, recipient, conversation, timestamp_ns, flags } = header;
  const marks = { priority: (flags & Flag.priority) !== 0, streaming: (flags & Flag.streaming) !== 0, extension: readBlock(block) };
  return frame(message(header.kind, unpack(payload, count)), { sender, recipient, conversation, timestamp_ns, ...marks });
}

function batch(body: Uint8Array, count: Count): Frame[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const messages = body.length < 4 ? 0 : view.getUint32(0);
  if (messages < 1 || messages > limits.BATCH_MESSAGES)
    throw refuse("batch", `${messages} messages`, `send 1 to ${limits.BATCH_MESSAGES}`);
  const frames: Frame[] = [];
  let at = 4;
  for (let left = messages; left > 0; left -= 1) {
    const end = at + 4 + (at + 4 <= body.length ? view.getUint32(at) : 0);
    const data = body.subarray(at + 4, end);
    const header = decodeHeader(data, count.limits);
    if (header.flags & (Flag.batch | Flag.compressed))
      throw refuse("batch", "a message of it is a batch or compressed", "put plain messages into it");
    frames.push(decoded(header, ...blockOf(header, data.subarray(HEADER_BYTES)), count));
    at = end;
  }
  if (at !== body.length) throw refuse("batch", `${body.length - at} bytes follow its messages`, "count what is sent");
  return frames;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function unsupported(where: string, what: string, advice: string): ProtocolError {
  return refuse(where, what, advice, Code.notSupported);
}

function tooLarge(where: string, size: number, most: number): ProtocolError {
  return refuse(where, `${size} bytes, and ${most} are the limit`, "send less in one message", Code.tooLarge);
}
