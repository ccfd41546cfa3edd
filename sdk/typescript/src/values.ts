/** MessagePack and JSON within the limits of a frame: anything becomes plain values or a `ProtocolError`. */
import { Decoder, Encoder, ExtensionCodec } from "@msgpack/msgpack";

import { Code, described, ProtocolError } from "./errors.js";
import type { FrameLimits } from "./limits.js";
import { exact, hex, isMap } from "./schema.js";

/** Counts the values of a frame, over all messages of a batch. */
export class Count {
  #values = 0;

  constructor(readonly limits: FrameLimits) {}

  /** Counts a value and all within it; makes `bigint` a `number` where that is exact. */
  check(value: unknown, depth = 0): unknown {
    this.#add(isMap(value) ? 2 : 1);
    if (typeof value === "bigint") return exact(value);
    const list = Array.isArray(value);
    if (!list && !isMap(value)) return value;
    if (depth >= this.limits.depth) throw tooLarge(`more than ${this.limits.depth} arrays and maps within each other`);
    if (list) return value.map((one) => this.check(one, depth + 1));
    const entries = Object.entries(value);
    this.#add(entries.length);
    return Object.fromEntries(entries.map(([key, one]) => [key, this.check(one, depth + 1)]));
  }

  #add(values: number): void {
    this.#values += values;
    if (this.#values > this.limits.values) throw tooLarge(`more than ${this.limits.values} values`);
  }
}

class NoExtensions extends ExtensionCodec {
  override decode(): never {
    throw new Error("an extension type is in it");
  }
}
const extensionCodec = new NoExtensions();

function textKey(key: unknown): string {
  if (typeof key !== "string") throw new Error(`a key is a ${typeof key}`);
  return key;
}

export function pack(value: unknown, limits: FrameLimits): Uint8Array {
  const counted = new Count(limits).check(value);
  return new Encoder({ useBigInt64: true }).encode(wide(counted));
}

/** Reads one MessagePack value that fills the data. */
export function unpack(data: Uint8Array, count: Count): unknown {
  const most = count.limits.values;
  let value: unknown;
  try {
    const options = { useBigInt64: true, extensionCodec, mapKeyConverter: textKey, maxArrayLength: most, maxMapLength: most };
    value = new Decoder(options).decode(data);
  } catch (error) {
    if (/max length exceeded/i.test(described(error))) throw tooLarge(`more than ${most} values`);
    throw invalid(`it is no MessagePack (${described(error)})`, "send one map or one text with field names");
  }
  return count.check(value);
}

/** The encoder writes integers of more than 32 bits exactly only as `bigint`. */
function wide(value: unknown): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) && Math.abs(value) >= 2 ** 31 ? wide32(value) : value;
  if (Array.isArray(value)) return value.map(wide);
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, wide(one)]));
}

function wide32(value: number): number | bigint {
  return value > 0 && value < 2 ** 32 ? value : BigInt(value);
}

/** Writes a value as JSON; `bigint` exactly, binary data as hexadecimal digits. */
export function toJson(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return JSON.stringify(hex(value));
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (!isMap(value)) return JSON.stringify(value ?? null);
  const given = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${given.map(([key, one]) => `${JSON.stringify(key)}:${toJson(one)}`).join(",")}}`;
}

/** Reads one JSON value, with integers exactly. */
export function fromJson(text: string, limits: FrameLimits): unknown {
  if (new TextEncoder().encode(text).length > limits.text_bytes) throw tooLarge(`the text frame has more than ${limits.text_bytes} bytes`);
  return new Count(limits).check(new Json(text, limits.depth).whole());
}

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

/** A JSON reader that keeps integers exact, which `JSON.parse` does not, and is bounded in depth. */
class Json {
  #at = 0;

  constructor(
    readonly text: string,
    readonly depth: number,
  ) {}

  whole(): unknown {
    const value = this.#value(0);
    this.#match(SPACE);
    if (this.#at !== this.text.length) throw this.#wrong();
    return value;
  }

  #value(depth: number): unknown {
    this.#match(SPACE);
    const next = this.text[this.#at];
    if ((next === "[" || next === "{") && depth >= this.depth) throw tooLarge(`more than ${this.depth} arrays and maps within each other`);
    if (next === "[") return this.#items("]", () => this.#value(depth + 1));
    if (next === "{") return Object.fromEntries(this.#items("}", () => this.#entry(depth + 1)));
    const text = this.#match(STRING) ?? this.#match(WORD);
    return text === undefined ? this.#number() : this.#parsed(text);
  }

  #items<T>(end: string, item: () => T): T[] {
    const items: T[] = [];
    this.#at += 1;
    if (this.#is(end)) return items;
    do items.push(item());
    while (this.#is(","));
    if (!this.#is(end)) throw this.#wrong();
    return items;
  }

  #entry(depth: number): [string, unknown] {
    this.#match(SPACE);
    const key = this.#match(STRING);
    if (key === undefined || !this.#is(":")) throw this.#wrong();
    return [String(this.#parsed(key)), this.#value(depth)];
  }

  #number(): number | bigint {
    const text = this.#match(NUMBER);
    if (!text) throw this.#wrong();
    const value = Number(text);
    if (!Number.isFinite(value)) throw this.#wrong();
    return /[.eE]/.test(text) ? value : exact(BigInt(text));
  }

  #parsed(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw this.#wrong();
    }
  }

  #is(mark: string): boolean {
    this.#match(SPACE);
    const there = this.text[this.#at] === mark;
    this.#at += there ? 1 : 0;
    return there;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #wrong(): ProtocolError {
    return invalid(`it is no JSON at ${this.#at}`, "send one JSON object");
  }
}

function invalid(what: string, advice: string): ProtocolError {
  return new ProtocolError(Code.invalid, "payload", what, advice);
}

function tooLarge(what: string): ProtocolError {
  return new ProtocolError(Code.tooLarge, "payload", what, "send less in one message");
}
