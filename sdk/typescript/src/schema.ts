/**
 * Types of payloads as values: each reads what is on the wire, checks it, and writes it back.
 * What is written is read first, so one set of rules serves both ways.
 */
import { Code, ProtocolError } from "./errors.js";
import * as limits from "./limits.js";

/** The user's own value: JSON, with integers beyond 2^53 as `bigint`. */
export type Value = null | boolean | number | bigint | string | Value[] | { [key: string]: Value };
/** An integer of 64 bits: a `bigint` only where a `number` would not be exact. */
export type U64 = number | bigint;

export interface Type<T> {
  /** Checks what came, as MessagePack or JSON, or what a caller gives. */
  read(value: unknown, where: string): T;
  /** Turns what `read` gave into plain values: identities become 16 bytes. */
  write(value: T): unknown;
}

export interface Optional<T> extends Type<T> {
  readonly optional: true;
}
export interface Unit extends Type<null> {
  readonly unit: true;
}
export type Of<S> = S extends Type<infer T> ? T : never;

interface Shape {
  [name: string]: Type<unknown>;
}
type Loose<T> = { [K in keyof T]: T[K] };
type OptionalKeys<F> = { [K in keyof F]: F[K] extends { optional: true } ? K : never }[keyof F];
type Fields<F> = Loose<
  { [K in Exclude<keyof F, OptionalKeys<F>>]: Of<F[K]> } & { [K in OptionalKeys<F>]?: Of<F[K]> | undefined }
>;
type Variants<V> = { [K in keyof V]: V[K] extends { unit: true } ? K : { [P in K]: Of<V[K]> } }[keyof V];

export function refuse(where: string, what: string, advice: string, code: number = Code.invalid): ProtocolError {
  return new ProtocolError(code, where, what, advice);
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function expected(word: string, value: unknown, where: string): ProtocolError {
  const given = value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
  return refuse(where, `${word} is expected, and ${given} is given`, `give ${word}`);
}

function scalar<T>(read: (value: unknown, where: string) => T): Type<T> {
  return { read, write: (value) => value };
}

/** Makes an integer a `number` where that is exact. */
export function exact(value: bigint): U64 {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function integer(low: bigint, high: bigint): Type<U64> {
  return scalar((value, where) => {
    if (typeof value !== "bigint" && !Number.isSafeInteger(value)) throw expected("an integer", value, where);
    const number = BigInt(value as U64);
    if (number < low || number > high) throw refuse(where, `${number} is not in ${low} to ${high}`, "give a number in this range");
    return exact(number);
  });
}

/** An integer that a `number` always holds. */
export function small(low: number, high: number): Type<number> {
  const inner = integer(BigInt(low), BigInt(high));
  return scalar((value, where) => Number(inner.read(value, where)));
}

export const u8 = small(0, 255);
export const u32 = small(0, 2 ** 32 - 1);
export const u64 = integer(0n, 2n ** 64n - 1n);
export const i64 = integer(-(2n ** 63n), 2n ** 63n - 1n);

export function number(low: number, high: number): Type<number> {
  return scalar((value, where) => {
    if (typeof value !== "number" && typeof value !== "bigint") throw expected("a number", value, where);
    const found = Number(value);
    if (!(found >= low && found <= high && Number.isFinite(found)))
      throw refuse(where, `${found} is not in ${low} to ${high}`, "give a number in this range");
    return found;
  });
}
export const share = number(0, 1);

const encoder = new TextEncoder();

export function text(low: number, high: number, plain = false): Type<string> {
  return scalar((value, where) => {
    if (typeof value !== "string") throw expected("a text", value, where);
    size(encoder.encode(value).length, low, high, "bytes", where);
    if (plain && /[\u0000-\u001f\u007f-\u009f]/.test(value))
      throw refuse(where, "a control character is in the name", "leave it out");
    return value;
  });
}
export const name = text(1, limits.NAME_BYTES, true);
export const long = text(0, limits.TEXT_BYTES);

export const bool: Type<boolean> = scalar((value, where) => {
  if (typeof value !== "boolean") throw expected("true or false", value, where);
  return value;
});

export const unit: Unit = {
  unit: true,
  read(value, where) {
    if (value !== null) throw refuse(where, "the variant has no fields", "write it as a text");
    return null;
  },
  write: () => null,
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function unhex(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function uuidText(bytes: Uint8Array): string {
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export function uuidBytes(id: string): Uint8Array {
  return unhex(id.replaceAll("-", ""));
}

export const uuid: Type<string> = {
  read(value, where) {
    if (value instanceof Uint8Array && value.length === 16) return uuidText(value);
    if (typeof value !== "string") throw expected("an identity", value, where);
    if (!UUID.test(value)) throw refuse(where, "the text is no identity", "write it in the form 8-4-4-4-12");
    return value.toLowerCase();
  },
  write: uuidBytes,
};

export const binary: Type<Uint8Array> = scalar((value, where) => {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "string" || !/^([0-9a-f]{2})*$/i.test(value)) throw expected("binary data", value, where);
  return unhex(value);
});

export const any: Type<Value> = scalar(readValue);

function readValue(value: unknown, where: string): Value {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return integer(-(2n ** 63n), 2n ** 64n - 1n).read(value, where);
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map((one, at) => readValue(one === undefined ? null : one, `${where}[${at}]`));
  if (!isMap(value) || ![Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null))
    throw refuse(where, "it is no plain value", "give null, bool, finite number, text, array or plain object");
  const given = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(given.map(([key, one]) => [key, readValue(one, `${where}.${key}`)]));
}

export function list<T>(inner: Type<T>, low = 0, high = Number.MAX_SAFE_INTEGER, unique = false): Type<T[]> {
  return {
    read(value, where) {
      if (!Array.isArray(value)) throw expected("a list", value, where);
      size(value.length, low, high, "entries", where);
      const found = value.map((one: unknown, at) => inner.read(one, `${where}[${at}]`));
      if (unique && new Set(found).size !== found.length) throw refuse(where, "an entry stands twice", "give each once");
      return found;
    },
    write: (value) => value.map((one) => inner.write(one)),
  };
}
export const names = list(name, 0, limits.NAMES);

export const labels: Type<Record<string, string>> = scalar((value, where) => {
  if (!isMap(value)) throw expected("a map", value, where);
  const entries = Object.entries(value);
  size(entries.length, 0, limits.LABELS, "entries", where);
  return Object.fromEntries(entries.map(([key, one]) => [name.read(key, where), name.read(one, `${where}.${key}`)]));
});

export function words<W extends string>(...known: W[]): Type<W> {
  return scalar((value, where) => {
    const found = known.find((one) => one === value);
    if (found === undefined) throw refuse(where, `${String(value)} is not known`, `give one of ${known.join(", ")}`);
    return found;
  });
}

export function optional<T>(inner: Type<T>): Optional<T> {
  return { ...inner, optional: true };
}

export function record<F extends Shape>(fields: F): Type<Fields<F>> {
  const all = Object.entries(fields) as unknown as [string, Type<unknown> & { optional?: true }][];
  return {
    read(value, where) {
      if (!isMap(value)) throw expected("a map", value, where);
      const found: Record<string, unknown> = {};
      for (const [key, inner] of all) {
        const given = Object.hasOwn(value, key) ? value[key] : undefined;
        const none = given === undefined || (given === null && inner.optional && inner.read !== any.read);
        if (!none) found[key] = inner.read(given, `${where}.${key}`);
        else if (!inner.optional) throw refuse(where, `the field ${key} is missing`, "give it");
      }
      return found as Fields<F>;
    },
    write(value) {
      const given = value as Record<string, unknown>;
      const there = all.filter(([key]) => given[key] !== undefined);
      return Object.fromEntries(there.map(([key, inner]) => [key, inner.write(given[key])]));
    },
  };
}

export function choice<V extends Shape>(variants: V): Type<Variants<V>> {
  const all = new Map(Object.entries(variants)) as unknown as Map<string, Type<unknown> & { unit?: true }>;
  const parts = (value: unknown, where: string): [string, unknown] => {
    if (typeof value === "string") return [value, null];
    const entries = isMap(value) ? Object.entries(value).filter(([, one]) => one !== undefined) : [];
    const [entry] = entries;
    if (entry === undefined || entries.length > 1) throw expected("a text, or a map of one key,", value, where);
    return entry;
  };
  return {
    read(value, where) {
      const [tag, fields] = parts(value, where);
      const inner = all.get(tag);
      if (inner === undefined)
        throw refuse(where, `the variant ${tag} is not known`, `give one of ${[...all.keys()].join(", ")}`, Code.notSupported);
      const found = inner.read(fields, `${where}.${tag}`);
      return (inner.unit ? tag : { [tag]: found }) as Variants<V>;
    },
    write(value) {
      const [tag, fields] = parts(value, "payload");
      const inner = all.get(tag);
      return inner === undefined || inner.unit ? tag : { [tag]: inner.write(fields) };
    },
  };
}

function size(found: number, low: number, high: number, unit: string, where: string): void {
  if (found > high) throw refuse(where, `${found} ${unit}, and ${high} are the limit`, "make it smaller", Code.tooLarge);
  if (found < low) throw refuse(where, `${found} ${unit}, and ${low} are the least`, "give more");
}
