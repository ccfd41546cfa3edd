/** What handlers are given: a signal, the deadline, progress and partial output, and the voice of the agent in conversations. */
import type { Said } from "./agent.js";
import type { Connection } from "./connection.js";
import { NoAnswer, type Refused } from "./errors.js";
import type { Extension, Performative } from "./extension.js";
import { EVERYONE, NIL, timeLeftMs, type Frame } from "./frame.js";
import { nowNs, uuid7 } from "./ids.js";
import type { Act, Do, Event, Payloads, Usage } from "./payload.js";
import type { Value } from "./schema.js";
import { deferred, within, type Deferred } from "./waiting.js";

/** What a context needs of the agent's client. */
export interface Voice {
  readonly connection: Connection;
  readonly answers: Map<string, Deferred<Said | Refused>>;
  readonly name: string;
}

export interface Address {
  topic?: string;
  /** That of the message which is handled, where none is given. */
  conversation?: string;
}

/** What every handler is given. */
export class Context {
  readonly #abort = new AbortController();
  readonly #deadline: number | undefined;

  constructor(
    protected readonly voice: Voice,
    readonly frame: Frame,
  ) {
    const left = timeLeftMs(frame);
    this.#deadline = left === undefined ? undefined : performance.now() + left;
  }

  /** Aborted when the handler must end: cancelled, past its deadline, or stopped by an emergency. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Milliseconds until the deadline. */
  get timeLeftMs(): number | undefined {
    return this.#deadline === undefined ? undefined : this.#deadline - performance.now();
  }

  abort(reason: string): void {
    this.#abort.abort(new Error(reason));
  }

  /** Says something to one member of a conversation. */
  async tell(member: string, content: unknown, to: Address = {}): Promise<void> {
    await this.#say({ tell: { topic: to.topic, content: content as Value } }, member, to.conversation);
  }

  /** Says something to every member of a conversation. */
  async broadcast(content: unknown, to: Address = {}): Promise<void> {
    await this.#say({ broadcast: { topic: to.topic, content: content as Value } }, EVERYONE, to.conversation);
  }

  /** Asks one member and waits for the answer; throws `NoAnswer` after the time, and `Refused` where it is refused. */
  async ask(member: string, content: unknown, to: Address & { timeoutMs: number; performative?: Performative }): Promise<Said> {
    const message_id = uuid7();
    const answer = deferred<Said | Refused>();
    this.voice.answers.set(message_id, answer);
    const deadline_ns = nowNs() + BigInt(Math.ceil(to.timeoutMs)) * 1_000_000n;
    const asked = async (): Promise<Said | Refused> => {
      const act = { ask: { topic: to.topic, content: content as Value } };
      await this.#say(act, member, to.conversation, { message_id, deadline_ns, performative: to.performative });
      return answer.promise;
    };
    try {
      const came = await within(asked(), to.timeoutMs);
      if (came === undefined) throw new NoAnswer(`${member} has not answered in ${to.timeoutMs} ms; ask again, or allow more time`);
      if (came.value instanceof Error) throw came.value;
      return came.value;
    } finally {
      this.voice.answers.delete(message_id);
    }
  }

  /** Opens a conversation with these members, and tells its identity. */
  async open(members: string[], options: { topic?: string; messagesMax?: number; lastsMs?: number } = {}): Promise<string> {
    const conversation = uuid7();
    const { topic, messagesMax, lastsMs } = options;
    await this.#say({ open: { topic, members, messages_max: messagesMax, lasts_ms: lastsMs } }, NIL, conversation);
    return conversation;
  }

  async join(conversation: string): Promise<void> {
    await this.#say("join", NIL, conversation);
  }

  async leave(conversation: string): Promise<void> {
    await this.#say("leave", NIL, conversation);
  }

  /** Ends a conversation for all its members. */
  async end(conversation: string, reason?: string): Promise<void> {
    await this.#say({ end: { reason } }, NIL, conversation);
  }

  /** Publishes an event, and tells its identity. */
  async publish(type: string, data?: unknown, more: Pick<Event, "run" | "target" | "metadata"> = {}): Promise<string> {
    const event: Event = { id: uuid7(), type, source: `agent/${this.voice.name}`, data: data as Value | undefined, ...more };
    await this.#say({ event }, NIL, NIL);
    return event.id;
  }

  async #say(act: Act, recipient: string, conversation = this.frame.conversation, extension: Extension = {}): Promise<void> {
    const { connection } = this.voice;
    await connection.send(connection.frame({ type: "coordination", payload: act }, { recipient, conversation, extension }));
  }
}

/** What a handler of tasks is given. */
export class TaskContext extends Context {
  /** Counts the attempts at this task, from 1. */
  readonly attempt: number;
  readonly #do: Do;
  #usage: Usage | undefined;
  #reports = 0;
  #ended = false;

  constructor(voice: Voice, frame: Frame, given: Do) {
    super(voice, frame);
    this.attempt = given.attempt ?? 1;
    this.#do = given;
  }

  get usage(): Usage | undefined {
    return this.#usage;
  }

  /** Adds to what the task has used up; it goes with each report and with the response. */
  use(more: { tokensIn?: number; tokensOut?: number; usdMicros?: number }): void {
    const old = this.#usage ?? {};
    this.#usage = {
      tokens_in: Number(old.tokens_in ?? 0) + (more.tokensIn ?? 0),
      tokens_out: Number(old.tokens_out ?? 0) + (more.tokensOut ?? 0),
      usd_micros: Number(old.usd_micros ?? 0) + (more.usdMicros ?? 0),
    };
  }

  /** Reports how far the task is; waits while the daemon grants no more messages. */
  async progress(fraction?: number, text?: string, milestone?: string): Promise<void> {
    await this.#report({ fraction, text, milestone }, false);
  }

  /** Sends the next piece of the output ahead; waits while the daemon grants no more messages. */
  async stream(partial: unknown): Promise<void> {
    await this.#report({ partial: partial as Value }, true);
  }

  /** Reports of a handler that outlives its task are dropped from here on. */
  close(): void {
    this.#ended = true;
  }

  async #report(given: Partial<Payloads["progress_report"]>, streaming: boolean): Promise<void> {
    if (this.#ended) return;
    this.#reports += 1;
    const { task, fence } = this.#do;
    const payload = { task: task.id, fence, sequence: this.#reports, ...given, usage: this.#usage };
    const { connection } = this.voice;
    await connection.send(connection.frame({ type: "progress_report", payload }, { streaming }));
  }
}
