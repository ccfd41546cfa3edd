/** gzip by the streams that browsers and Node have; zstd and lz4 are in neither, so they are not offered. */
import { Code, ProtocolError } from "./errors.js";
import * as limits from "./limits.js";

/** Compresses a payload, or gives nothing where it goes as it is. */
export async function gzip(payload: Uint8Array): Promise<Uint8Array | undefined> {
  if (payload.length <= limits.COMPRESS_ABOVE_BYTES) return undefined;
  const small = await through(payload, new CompressionStream("gzip"), Number.MAX_SAFE_INTEGER);
  const worth = small.length < payload.length && payload.length <= small.length * limits.INFLATED_RATIO;
  return worth ? small : undefined;
}

/** Inflates one gzip member up to so many bytes and a hundred times its size. */
export async function gunzip(data: Uint8Array, inflatedBytes: number): Promise<Uint8Array> {
  const most = Math.min(inflatedBytes, data.length * limits.INFLATED_RATIO);
  const start = headerLength(data);
  const end = data.length - 8;
  if (start > end) throw broken("it is cut short");
  const inflated = await inflate(data.subarray(start, end), most);
  const trailer = new DataView(data.buffer, data.byteOffset + end, 8);
  if (trailer.getUint32(0, true) !== crc32(inflated) || trailer.getUint32(4, true) !== inflated.length)
    throw broken("its checksum is wrong, or more bytes follow");
  // some streams ignore what follows the end: then it ends without its last byte too
  const early = await inflate(data.subarray(start, end - 1), most).then(
    () => true,
    () => false,
  );
  if (early) throw broken("more bytes follow");
  return inflated;
}

async function inflate(data: Uint8Array, most: number): Promise<Uint8Array> {
  try {
    return await through(data, new DecompressionStream("deflate-raw"), most);
  } catch (error) {
    throw error instanceof ProtocolError ? error : broken(String(error));
  }
}

async function through(data: Uint8Array, stream: GenericTransformStream, most: number): Promise<Uint8Array> {
  const source = new Blob([data as Uint8Array<ArrayBuffer>]).stream() as ReadableStream<Uint8Array>;
  const reader = (source.pipeThrough(stream) as ReadableStream<Uint8Array>).getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    size += part.value.length;
    if (size > most) {
      void reader.cancel().catch(() => undefined);
      throw new ProtocolError(Code.tooLarge, "payload", `it inflates to more than ${most} bytes`, "send less in one message");
    }
  }
  return joined(parts, size);
}

interface GenericTransformStream {
  readable: ReadableStream;
  writable: WritableStream;
}

export function joined(parts: Uint8Array[], size = parts.reduce((sum, part) => sum + part.length, 0)): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Where the data begins behind the header of a gzip member (RFC 1952). */
function headerLength(data: Uint8Array): number {
  if (data[0] !== 0x1f || data[1] !== 0x8b || data[2] !== 8 || ((data[3] ?? 0xff) & 0xe0) !== 0) throw broken("its header is wrong");
  const flags = data[3] ?? 0;
  let at = 10;
  if (flags & 4) at += 2 + (data[at] ?? 0) + 256 * (data[at + 1] ?? 0);
  for (const flag of [8, 16]) {
    if (!(flags & flag)) continue;
    const end = data.indexOf(0, at);
    if (end < 0) throw broken("its header is cut short");
    at = end + 1;
  }
  return flags & 2 ? at + 2 : at;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1;
  return rest;
});

function crc32(data: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of data) sum = (CRC[(sum ^ byte) & 0xff] ?? 0) ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

function broken(what: string): ProtocolError {
  return new ProtocolError(Code.invalid, "payload", `it is not gzip: ${what}`, "send it whole, and one member only");
}
