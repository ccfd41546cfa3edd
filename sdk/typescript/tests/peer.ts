/** A daemon of a few lines that follows a script: frames by `DataView` and MessagePack alone, none of the code under test. */
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

import { decode, encode } from "@msgpack/msgpack";
import { WebSocketServer, type WebSocket } from "ws";

const KINDS = {
  hello: 0x01,
  welcome: 0x02,
  heartbeat: 0x03,
  ack: 0x04,
  error: 0x05,
  credit: 0x06,
  goodbye: 0x07,
  task_request: 0x10,
  task_response: 0x11,
  coordination: 0x30,
  consensus_vote: 0x31,
  progress_report: 0x40,
  emergency_stop: 0x50,
};
export type Word = keyof typeof KINDS;
export const TASK = "00000000-0000-0000-0000-00000000000c";
export const RUN = "00000000-0000-0000-0000-00000000000d";
const NIL = "00000000-0000-0000-0000-000000000000";
/** An interval of heartbeats that no test lives to see. */
const LONG_MS = 600_000;

export function id(): string {
  return randomUUID();
}

export function raw(uuid: string): Uint8Array {
  return new Uint8Array(Buffer.from(uuid.replaceAll("-", ""), "hex"));
}

function worded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Identities become texts, so that a test can compare them. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return worded(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

export interface More {
  message?: string;
  answers?: string;
  leftNs?: bigint;
  sender?: string;
  conversation?: string;
}

export function header(kind: number, flags: number, size: number, more: More = {}, version = 1): Buffer {
  const bytes = Buffer.alloc(64);
  bytes[0] = version;
  bytes[1] = kind;
  bytes.set(raw(more.sender ?? NIL), 2);
  bytes.set(raw(more.conversation ?? NIL), 34);
  bytes.writeBigInt64BE(1_700_000_000_000_000_000n, 50);
  bytes.writeUInt16BE(flags, 58);
  bytes.writeUInt32BE(size, 60);
  return bytes;
}

export function frame(kind: Word, payload: unknown, more: More = {}): Buffer {
  const fields: Buffer[] = [];
  if (more.message) fields.push(Buffer.from([1, 16]), Buffer.from(raw(more.message)));
  if (more.answers) fields.push(Buffer.from([2, 16]), Buffer.from(raw(more.answers)));
  if (more.leftNs !== undefined) {
    const deadline = Buffer.alloc(10);
    deadline.set([4, 8]);
    deadline.writeBigInt64BE(1_700_000_000_000_000_000n + more.leftNs, 2);
    fields.push(deadline);
  }
  const inner = Buffer.concat(fields);
  const block = inner.length > 0 ? Buffer.concat([Buffer.from([0, inner.length]), inner]) : inner;
  const body = Buffer.concat([block, encode(payload)]);
  return Buffer.concat([header(KINDS[kind], block.length > 0 ? 32 : 0, body.length, more), body]);
}

/** A frame that came. */
export class Got {
  readonly kind: Word;
  readonly recipient: string;
  readonly conversation: string;
  readonly streaming: boolean;
  readonly tags = new Map<number, Uint8Array>();
  // the shape of a payload is what the tests assert
  readonly payload: Record<string, unknown>;

  constructor(data: Buffer) {
    const flags = data.readUInt16BE(58);
    assert.equal(data[0], 1);
    assert.equal(data.readUInt32BE(60), data.length - 64);
    assert.equal(flags & ~0b111001, 0);
    const found = Object.entries(KINDS).find(([, byte]) => byte === data[1]);
    assert.ok(found);
    this.kind = found[0] as Word;
    this.recipient = worded(data.subarray(18, 34));
    this.conversation = worded(data.subarray(34, 50));
    this.streaming = (flags & 16) !== 0;
    let body = data.subarray(64);
    if (flags & 32) {
      const end = 2 + body.readUInt16BE(0);
      for (let at = 2; at < end; at += 2 + (body[at + 1] ?? 0)) this.tags.set(body[at] ?? 0, body.subarray(at + 2, at + 2 + (body[at + 1] ?? 0)));
      body = body.subarray(end);
    }
    this.payload = plain(decode(flags & 1 ? gunzipSync(body) : body)) as Record<string, unknown>;
  }

  get message(): string {
    return worded(this.tags.get(1) ?? new Uint8Array());
  }

  get answers(): string {
    return worded(this.tags.get(2) ?? new Uint8Array());
  }
}

/** One connection of the agent under test. */
export class Link {
  readonly #queue: Buffer[] = [];
  #wake: () => void = () => undefined;
  readonly closed: Promise<unknown>;

  constructor(
    readonly socket: WebSocket,
    readonly path: string,
  ) {
    this.closed = once(socket, "close");
    socket.on("message", (data: Buffer) => {
      this.#queue.push(data);
      this.#wake();
    });
  }

  hello!: Got;

  send(kind: Word, payload: unknown, more: More = {}): void {
    this.socket.send(frame(kind, payload, more));
  }

  async next(): Promise<Got> {
    while (this.#queue.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return new Got(this.#queue.shift() ?? Buffer.alloc(0));
  }

  /** The next frame, which must be of this kind. */
  async take(kind: Word): Promise<Got> {
    const got = await this.next();
    assert.equal(got.kind, kind, JSON.stringify(got.payload));
    return got;
  }

  /** Gives a task and awaits the ack that must come at once. */
  async give(task: string, fence: number, input: unknown = null, more: More & { type?: string } = {}): Promise<string> {
    const message = more.message ?? id();
    this.send("task_request", request(task, fence, input, more.type), { ...more, message });
    assert.deepEqual((await this.take("ack")).payload, { messages: [message] });
    return message;
  }

  /** What the agent has sent until now: all that comes before its ack to a cancel of no task. */
  async since(): Promise<Got[]> {
    const message = id();
    const got: Got[] = [];
    this.send("task_request", { cancel: { task: raw(id()), fence: 1 } }, { message });
    for (;;) {
      const one = await this.next();
      if (one.kind === "ack" && (one.payload["messages"] as string[])[0] === message) return got;
      got.push(one);
    }
  }

  ack(got: Got): void {
    this.send("ack", { messages: [raw(got.message)] });
  }

  /** The outcome of the next response, acknowledged. */
  async answered(): Promise<unknown> {
    const got = await this.take("task_response");
    this.ack(got);
    return got.payload["outcome"];
  }

  cut(): void {
    this.socket.terminate();
  }
}

export function request(task: string, fence: number, input: unknown = null, type = "review"): unknown {
  return { do: { task: { id: raw(task), run: raw(RUN), type, input }, fence } };
}

/** Waits for the agent on a free port. */
export class Peer {
  readonly #server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "synod.v1" });
  readonly #came: Link[] = [];
  #wake: () => void = () => undefined;
  #session = randomBytes(16);

  static async start(): Promise<Peer> {
    const peer = new Peer();
    peer.#server.on("connection", (socket, request) => {
      peer.#came.push(new Link(socket, request.url ?? ""));
      peer.#wake();
    });
    await once(peer.#server, "listening");
    return peer;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next connection, up to its hello. */
  async hello(): Promise<Link> {
    while (this.#came.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    const link = this.#came.shift();
    assert.ok(link);
    link.hello = await link.take("hello");
    return link;
  }

  /** The next connection, welcomed. */
  async accept(more: { resumed?: boolean; credit?: number; heartbeat_ms?: number; limits?: object; version?: number } = {}): Promise<Link> {
    const link = await this.hello();
    if (!more.resumed) this.#session = randomBytes(16);
    const welcome = { version: 1, session: this.#session, heartbeat_ms: LONG_MS, credit: 100, ...more };
    link.send("welcome", welcome);
    if (more.resumed) {
      assert.equal(link.hello.payload["resume"], worded(this.#session));
      assert.equal((await link.take("credit")).payload["messages_total"], 128);
    }
    return link;
  }

  async stop(): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
    await once(this.#server, "close");
  }
}
