/**
 * A connection that outlives its cuts: hello and welcome, heartbeats, credit, acks, backoff, resume.
 *
 * No message that takes credit is sent beyond what the daemon granted.
 * A task response is kept, and sent again after a cut under its id, until it is acknowledged or refused.
 */
import { Code, cut, described, Dismissed, Fenced, ProtocolError, Refused } from "./errors.js";
import { decode, encode, frame, fromText, named, VERSION, type Frame, type Marks, type Message } from "./frame.js";
import { nowNs, uuid7 } from "./ids.js";
import * as limits from "./limits.js";
import type { FrameLimits } from "./limits.js";
import { takesCredit, type Card, type Payloads } from "./payload.js";
import type { U64 } from "./schema.js";
import { Session, type Reply } from "./session.js";
import { address, open, type Socket } from "./socket.js";
import { deferred, Door, pause, within, type Deferred } from "./waiting.js";

export interface Where {
  url: string;
  token?: string | undefined;
  incarnation?: U64 | undefined;
  /** Hears what is worth a line in a log; the console by default. */
  log?: (line: string) => void;
}

/** What a connection asks and tells. */
export interface Side {
  load(): { active: number; queued: number };
  unfinished(): string[];
  /** Takes a message, and says how to answer it. */
  receives(frame: Frame): Reply;
  refused(message: string, refused: Refused): void;
  welcomed(goesOn: boolean): void;
  /** The daemon ends for good after this time. */
  leaves(drainMs: number): void;
}


export class Connection {
  readonly session = new Session();
  readonly #address: string;
  readonly #ready = new Door();
  readonly #acked = new Door();
  readonly #closed = deferred<void>();
  /** The socket from its opening on. */
  #opened: Socket | undefined;
  /** The socket once it is welcomed. */
  #socket: Socket | undefined;
  #most: FrameLimits = limits.FRAME;
  #over = false;
  #beats = 0;
  #echo: U64 = 0;
  #failures = 0;

  constructor(
    readonly where: Where,
    readonly card: Card,
    readonly side: Side,
  ) {
    this.#address = address(where.url);
    this.#acked.open = true;
  }

  log(line: string): void {
    if (this.where.log) this.where.log(line);
    else console.warn(`synod: ${line}`);
  }

  /** Connects, and connects again after each cut, until the connection is over; throws where the daemon refuses it for good. */
  async run(): Promise<void> {
    while (!this.#over) {
      let waitMs = 0;
      try {
        await this.#connected();
        if (!this.#over) this.log(`the connection to ${this.#address} was cut`);
      } catch (error) {
        if (error instanceof Fenced || error instanceof Dismissed) throw error;
        if (error instanceof Refused && error.hundred === 1) throw error;
        if (error instanceof Refused) waitMs = error.retryMs;
        this.log(`not connected to ${this.#address}: ${described(error)}`);
      }
      if (!this.#over) await pause(waitMs + this.#backoffMs(), this.#closed.promise);
    }
  }

  /** Ends the connection for good. */
  close(): void {
    this.#over = true;
    this.#closed.resolve();
    this.#opened?.close();
  }

  /** A message of this agent; one that takes credit gets an id. */
  frame(message: Message, marks: Partial<Marks> = {}): Frame {
    const extension = takesCredit(message.type) ? { message_id: uuid7(), ...marks.extension } : (marks.extension ?? {});
    return frame(message, { sender: this.card.id, timestamp_ns: nowNs(), ...marks, extension });
  }

  /**
   * Sends a message that takes credit, once there is some; waits while the connection is cut.
   * What is on its way at a cut is lost, unless it is a task response; it is dropped where the session ends before.
   */
  async send(message: Frame): Promise<void> {
    const session = this.session.id;
    const data = await encode(message, true, this.#most);
    while (this.#socket === undefined || !this.session.maySend) await this.#ready.through();
    if (session !== undefined && session !== this.session.id) return;
    this.session.sends();
    const id = message.extension.message_id;
    if (message.type === "task_response" && id !== undefined) this.session.unacked.set(id, message);
    this.#look();
    this.#write(data);
  }

  /** Sends a message that takes no credit, if the connection is up. */
  async post(message: Message): Promise<void> {
    this.#write(await encode(this.frame(message), false, this.#most));
  }

  /** Waits until no response is without an ack. */
  async allAcked(): Promise<void> {
    while (this.session.unacked.size > 0) await this.#acked.through();
  }

  // --- one connection

  async #connected(): Promise<void> {
    const socket = await open(this.#address);
    this.#opened = socket;
    const inbox = new Inbox(socket);
    const beat: { timer?: ReturnType<typeof setInterval> } = {};
    try {
      if (this.#over) return;
      const welcome = await within(this.#greet(socket, inbox), limits.WELCOME_MS);
      if (welcome === undefined) throw new Error(`no welcome in ${limits.WELCOME_MS} ms`);
      const { heartbeat_ms } = welcome.value;
      beat.timer = setInterval(() => this.#beat(), heartbeat_ms);
      await this.#begin(socket, welcome.value);
      await this.#read(inbox, limits.SILENT_HEARTBEATS * heartbeat_ms);
    } finally {
      clearInterval(beat.timer);
      this.#socket = undefined;
      this.#opened = undefined;
      this.#look();
      inbox.leave(this.#over);
    }
  }

  async #greet(socket: Socket, inbox: Inbox): Promise<Payloads["welcome"]> {
    await inbox.opened;
    const { token, incarnation } = this.where;
    const resume = this.session.id;
    const payload = { versions: [VERSION], token, card: this.card, incarnation, credit: limits.CREDIT, resume };
    const unfinished = resume === undefined ? [] : this.#unfinished();
    const hello = this.frame({ type: "hello", payload: { ...payload, unfinished: unfinished.length > 0 ? unfinished : undefined } });
    socket.send(await encode(hello));
    for (;;) {
      const data = await inbox.next();
      if (data === undefined) throw new Error("the connection was cut before it was welcomed");
      for (const message of await decoded(data)) {
        if (message.type === "welcome") return spoken(message.payload);
        if (message.type === "error") throw new Refused(message.payload.refusal);
        if (message.type === "goodbye") throw farewell(message.payload) ?? new Error(`goodbye: ${message.payload.reason}`);
      }
    }
  }

  /** Tasks that are worked on, and those whose response has no ack: both are not for others. */
  #unfinished(): string[] {
    const responses = [...this.session.unacked.values()].flatMap((one) => (one.type === "task_response" ? [one.payload.task] : []));
    return [...new Set([...this.side.unfinished(), ...responses])];
  }

  async #begin(socket: Socket, welcome: Payloads["welcome"]): Promise<void> {
    const goesOn = this.session.welcomed(welcome);
    const given = Object.entries(welcome.limits ?? {}).filter(([, most]) => most !== undefined);
    this.#most = { ...limits.FRAME, ...(Object.fromEntries(given) as Partial<FrameLimits>) };
    this.#beats = 0;
    this.#echo = 0;
    this.#socket = socket;
    if (goesOn) {
      await this.post(this.session.grant);
      for (const response of [...this.session.unacked.values()]) this.#write(await encode(response, true, this.#most));
    }
    this.#look();
    this.side.welcomed(goesOn);
  }

  async #read(inbox: Inbox, silenceMs: number): Promise<void> {
    for (;;) {
      const came = await within(inbox.next(), silenceMs);
      if (came === undefined) {
        await this.post({ type: "goodbye", payload: { reason: "silent" } });
        throw new Error(`no sign of life in ${silenceMs} ms`);
      }
      if (came.value === undefined) return;
      await this.#take(came.value);
      const due = this.session.grantDue();
      if (due !== undefined) await this.post(due);
    }
  }

  async #take(data: Data): Promise<void> {
    let frames: Frame[];
    try {
      frames = await decoded(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#refuse(data, error);
    }
    for (const message of frames) await this.#receive(message);
  }

  #beat(): void {
    this.#beats += 1;
    const payload = { sequence: this.#beats, echo: this.#echo, ...this.side.load() };
    this.post({ type: "heartbeat", payload }).catch((error: unknown) => this.log(described(error)));
  }

  async #receive(message: Frame): Promise<void> {
    switch (message.type) {
      case "heartbeat":
        this.#echo = message.payload.sequence ?? 0;
        this.#failures = 0;
        return;
      case "ack":
        this.session.acked(message.payload.messages);
        return this.#look();
      case "credit":
        this.session.allow(message.payload.messages_total);
        return this.#look();
      case "error":
        return this.#refused(message.payload);
      case "goodbye":
        return this.#goodbye(message.payload);
      case "hello":
      case "welcome":
        return this.log(`a second ${message.type} was ignored`);
      default:
        return this.#deliver(message);
    }
  }

  async #deliver(message: Frame): Promise<void> {
    const id = message.extension.message_id;
    const first = this.session.receives(message);
    const reply = first ? this.side.receives(message) : this.session.replyTo(id);
    if (first && id !== undefined) this.session.replied(id, reply);
    if (reply !== undefined) await this.post(reply);
  }

  /** Refuses one message by its id; without one nothing can be said, for that would refuse the connection. */
  async #refuse(data: Data, error: ProtocolError): Promise<void> {
    this.log(`a frame was refused: ${error.message}`);
    const { kind, message } = named(data);
    if (kind !== undefined) this.session.counts(kind);
    const refusal = { code: error.code, text: cut(error.message) };
    if (message !== undefined) await this.post({ type: "error", payload: { refusal, message } });
  }

  #refused({ refusal, message, task }: Payloads["error"]): void {
    if (message === undefined && task === undefined) throw new Refused(refusal);
    const refused = new Refused(refusal, message === undefined ? `task ${task}` : `message ${message}`);
    this.log(refused.message);
    if (message === undefined) return;
    const kept = this.session.unacked.get(message);
    if (kept !== undefined && refused.hundred === 2) return this.#again(kept, refused.retryMs);
    this.session.acked([message]);
    this.#look();
    this.side.refused(message, refused);
  }

  #again(response: Frame, afterMs: number): void {
    const send = async (): Promise<void> => {
      await pause(afterMs, this.#closed.promise);
      const id = response.extension.message_id;
      if (id !== undefined && this.session.unacked.has(id)) this.#write(await encode(response, true, this.#most));
    };
    send().catch((error: unknown) => this.log(described(error)));
  }

  #goodbye(goodbye: Payloads["goodbye"]): void {
    const error = farewell(goodbye);
    if (error !== undefined) throw error;
    if (goodbye.reason !== "done" && goodbye.reason !== "stopping") return;
    this.#over = true;
    this.side.leaves(goodbye.drain_ms ?? 0);
  }

  /** Sends bytes; whether the connection is cut is seen by the reader alone. */
  #write(data: Uint8Array): void {
    try {
      this.#socket?.send(data);
    } catch (error) {
      this.log(`not sent: ${described(error)}`);
    }
  }

  /** Lets those go on who wait for what is there now. */
  #look(): void {
    this.#ready.open = this.#socket !== undefined && this.session.maySend;
    this.#acked.open = this.session.unacked.size === 0;
  }

  #backoffMs(): number {
    const longest = Math.min(limits.BACKOFF_MS_MAX, limits.BACKOFF_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return Math.random() * longest;
  }
}

type Data = Uint8Array | string;

/** The messages of a socket in their order, and `undefined` once it is closed. */
class Inbox {
  readonly #queue: Data[] = [];
  #wake: Deferred<void> | undefined;
  #over = false;
  readonly opened: Promise<void>;

  constructor(readonly socket: Socket) {
    socket.binaryType = "arraybuffer";
    const opened = deferred<void>();
    this.opened = opened.promise;
    socket.onopen = () => opened.resolve();
    socket.onerror = (event: { message?: string }) => opened.reject(new Error(event.message ?? "no connection"));
    socket.onclose = () => {
      opened.reject(new Error("closed"));
      this.#over = true;
      this.#wake?.resolve();
    };
    socket.onmessage = ({ data }) => {
      this.#queue.push(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
      this.#wake?.resolve();
    };
    this.opened.catch(() => undefined);
  }

  async next(): Promise<Data | undefined> {
    while (this.#queue.length === 0 && !this.#over) {
      this.#wake ??= deferred();
      await this.#wake.promise;
      this.#wake = undefined;
    }
    return this.#queue.shift();
  }

  /** Ends the socket: by a handshake, or at once. */
  leave(politely: boolean): void {
    if (politely || this.socket.terminate === undefined) this.socket.close();
    else this.socket.terminate();
  }
}

/** The error of a goodbye after which this agent must not connect again. */
function farewell({ reason, text }: Payloads["goodbye"]): Error | undefined {
  if (reason === "fenced")
    return new Fenced(`another connection of this identity took over (${text || "no text"}); give each process its own id`);
  if (reason === "misbehaved")
    return new Dismissed(`the daemon says that this agent misbehaved: ${text || "no text"}; see the daemon's log`);
  return undefined;
}

/** A welcome to the version that was offered. */
function spoken(welcome: Payloads["welcome"]): Payloads["welcome"] {
  if (welcome.version === VERSION) return welcome;
  throw new Refused({ code: Code.notSupported, text: `version ${welcome.version} was welcomed, ${VERSION} was offered` });
}

async function decoded(data: Data): Promise<Frame[]> {
  return typeof data === "string" ? [fromText(data)] : decode(data);
}
