/** Runs an agent: joins its handlers to a connection, and ends both in order. */
import { Reply as AskReply, choiceOf, type Agent, type Said } from "./agent.js";
import { Connection, type Side, type Where } from "./connection.js";
import { Context, type Voice } from "./context.js";
import { Code, cut, described, Refused } from "./errors.js";
import type { Frame, Message } from "./frame.js";
import * as limits from "./limits.js";
import type { Call, SaidFields, Stop } from "./payload.js";
import type { Value } from "./schema.js";
import { remember, type Reply } from "./session.js";
import { Tasks } from "./tasks.js";
import { deferred, within, type Deferred } from "./waiting.js";

/** One agent at one daemon. */
export class Client implements Side, Voice {
  readonly connection: Connection;
  readonly answers = new Map<string, Deferred<Said | Refused>>();
  readonly name: string;
  readonly #tasks: Tasks;
  readonly #handlers = new Map<Context, Deferred<void>>();
  readonly #ballots = new Map<string, number>();
  #leaving: Promise<void> | undefined;

  constructor(
    readonly agent: Agent,
    where: Where,
  ) {
    this.name = agent.card.name;
    this.connection = new Connection(where, agent.card, this);
    this.#tasks = new Tasks(agent, this);
  }

  /** Serves until the agent is stopped or the daemon ends; throws where the daemon does not want it (any more). */
  async run(): Promise<void> {
    try {
      await this.connection.run();
      await this.#leaving;
    } finally {
      this.connection.close();
      this.#tasks.forget();
      for (const cx of this.#handlers.keys()) cx.abort("the agent has ended");
    }
  }

  /** Takes no new tasks, lets those in progress end within the time, and leaves. */
  stop(drainMs = limits.DRAIN_MS): void {
    this.#leave(drainMs, { type: "goodbye", payload: { reason: "stopping", drain_ms: drainMs } });
  }

  // --- what the connection asks and tells

  load(): { active: number; queued: number } {
    return this.#tasks.load();
  }

  unfinished(): string[] {
    return this.#tasks.unfinished();
  }

  leaves(drainMs: number): void {
    this.#leave(drainMs, undefined);
  }

  /** A session begins anew: what was of the old one is given up, and events are asked for again. */
  welcomed(goesOn: boolean): void {
    if (goesOn) return;
    this.#tasks.forget();
    const types = [...this.agent.events.keys()];
    if (types.length > 0) this.#start(this.#send({ type: "coordination", payload: { subscribe: { types } } }));
  }

  refused(message: string, refused: Refused): void {
    this.answers.get(message)?.resolve(refused);
  }

  receives(frame: Frame): Reply {
    const message = frame.extension.message_id;
    const ack: Reply = message === undefined ? undefined : { type: "ack", payload: { messages: [message] } };
    if (frame.type === "emergency_stop") {
      this.#emergency(frame.payload);
      return ack;
    }
    if (frame.type === "task_request") {
      if ("cancel" in frame.payload) {
        this.#tasks.cancel(frame.payload.cancel);
        return ack;
      }
      const given = frame.payload.do;
      const refusal = this.#tasks.give(frame, given);
      return refusal === undefined ? ack : { type: "error", payload: { refusal, message, task: given.task.id } };
    }
    if (frame.type === "coordination" && typeof frame.payload === "object" && "answer" in frame.payload) {
      const to = frame.extension.in_reply_to;
      if (to !== undefined) this.answers.get(to)?.resolve(said(frame, frame.payload.answer));
      return undefined;
    }
    return this.#handle(frame);
  }

  // --- what is handled beside the tasks

  #handle(frame: Frame): Reply {
    const cx = new Context(this, frame);
    const work = this.#work(frame, cx);
    if (work === undefined) return refusal(frame, Code.notSupported, `${this.name} has no handler for it`);
    if (this.#handlers.size >= limits.WAITING_HANDLERS)
      return refusal(frame, Code.overloaded, `${limits.WAITING_HANDLERS} messages are handled`, limits.RETRY_AFTER_MS);
    this.#start(this.#timed(work, frame, cx));
    return undefined;
  }

  /** What is to be done for a message, if anything. */
  #work(frame: Frame, cx: Context): (() => Promise<void>) | undefined {
    const { voter, closer, asker, teller, events } = this.agent;
    const { type, payload } = frame;
    if (type === "consensus_vote") {
      if ("close" in payload) {
        this.#ballots.delete(payload.close.proposal);
        return async () => closer?.(payload.close, cx);
      }
      return "call" in payload && voter ? () => this.#vote(frame, payload.call, cx) : undefined;
    }
    if (type !== "coordination" || typeof payload === "string") return undefined;
    if ("event" in payload) return async () => events.get(payload.event.type)?.(payload.event, cx);
    if ("ask" in payload && asker) return () => this.#asked(frame, payload.ask, cx);
    if ("tell" in payload && teller) return () => teller(said(frame, payload.tell), cx);
    if ("broadcast" in payload && teller) return () => teller(said(frame, payload.broadcast), cx);
    return undefined;
  }

  /** Ends a handler at its deadline, and tells the other side where it fails. */
  async #timed(work: () => Promise<void>, frame: Frame, cx: Context): Promise<void> {
    const stopped = deferred<void>();
    this.#handlers.set(cx, stopped);
    cx.signal.addEventListener("abort", () => stopped.resolve());
    try {
      const done = await within(Promise.race([work(), stopped.promise]), cx.timeLeftMs);
      if (done !== undefined) return;
      cx.abort("the deadline passed");
      await this.#tellFailure(frame, Code.deadlinePassed, "the deadline passed before it was handled");
    } catch (error) {
      this.connection.log(`the handler of a ${frame.type} threw ${described(error)}`);
      if (!cx.signal.aborted) await this.#tellFailure(frame, Code.failed, described(error));
    } finally {
      this.#handlers.delete(cx);
    }
  }

  async #tellFailure(frame: Frame, code: number, text: string): Promise<void> {
    const { payload } = frame;
    const waits = typeof payload === "object" && ("call" in payload || "ask" in payload);
    const error = refusal(frame, code, text);
    if (waits && error !== undefined) await this.connection.post(error);
  }

  async #vote(frame: Frame, call: Call, cx: Context): Promise<void> {
    const ballot = await this.agent.voter?.(call, cx);
    if (ballot === undefined || cx.signal.aborted) return;
    const choice = choiceOf(ballot, call);
    const sequence = (this.#ballots.get(call.id) ?? 0) + 1;
    remember(this.#ballots, call.id, sequence, limits.VOTES);
    const { confidence, reasoning, evidence } = ballot;
    const cast = { proposal: call.id, voter: this.agent.card.id, epoch: call.epoch, sequence, choice, confidence, reasoning, evidence };
    await this.#send({ type: "consensus_vote", payload: { cast } }, frame);
  }

  async #asked(frame: Frame, ask: SaidFields, cx: Context): Promise<void> {
    const given = await this.agent.asker?.(said(frame, ask), cx);
    if (cx.signal.aborted) return;
    const reply = given instanceof AskReply ? given : new AskReply(given ?? null);
    const answer = { topic: reply.topic ?? ask.topic, content: reply.content as Value };
    await this.#send({ type: "coordination", payload: { answer } }, frame, reply);
  }

  async #send(message: Message, to?: Frame, reply?: AskReply): Promise<void> {
    const extension = { in_reply_to: to?.extension.message_id, performative: reply?.performative };
    const marks = to === undefined ? {} : { recipient: to.sender, conversation: to.conversation, extension };
    await this.connection.send(this.connection.frame(message, marks));
  }

  #emergency(stop: Stop): void {
    this.connection.log(`emergency stop: ${stop.reason}`);
    this.#tasks.emergency(stop);
    const { scope } = stop;
    for (const cx of [...this.#handlers.keys()]) {
      const own = scope === "everything" || ("agent" in scope && scope.agent === this.agent.card.id);
      const spoken = typeof scope === "object" && "conversation" in scope && scope.conversation === cx.frame.conversation;
      if (own || spoken) cx.abort(`emergency stop: ${stop.reason}`);
    }
  }

  #start(work: Promise<void>): void {
    work.catch((error: unknown) => this.connection.log(described(error)));
  }

  // --- the end

  #leave(drainMs: number, goodbye: Message | undefined): void {
    if (this.#leaving !== undefined) return;
    this.#tasks.closed = true;
    this.#leaving = this.#drain(drainMs, goodbye);
  }

  async #drain(drainMs: number, goodbye: Message | undefined): Promise<void> {
    if (goodbye !== undefined) await this.connection.post(goodbye);
    if ((await within(this.#ended(), drainMs)) === undefined) {
      this.#tasks.cancelAll("the agent stops");
      await within(this.#ended(), limits.CANCEL_MS);
    }
    this.connection.close();
  }

  async #ended(): Promise<void> {
    await this.#tasks.idle();
    await this.connection.allAcked();
  }
}

/** Serves an agent until it is stopped or the daemon ends; in Node, SIGINT and SIGTERM let its tasks end, a second one does not. */
export async function run(agent: Agent, where: Where): Promise<void> {
  const client = new Client(agent, where);
  const signals = typeof process === "undefined" || !process.versions?.node ? [] : (["SIGINT", "SIGTERM"] as const);
  const stop = (): void => client.stop();
  for (const signal of signals) process.once(signal, stop);
  try {
    await client.run();
  } finally {
    for (const signal of signals) process.removeListener(signal, stop);
  }
}

function said(frame: Frame, { content, topic }: SaidFields): Said {
  const { sender, conversation, extension } = frame;
  return { content, sender, topic, conversation, performative: extension.performative };
}

/** A refusal of a message by its id; one without cannot be named, and naming nothing would refuse the connection. */
function refusal(frame: Frame, code: number, text: string, retry_after_ms?: number): Reply {
  const message = frame.extension.message_id;
  return message === undefined ? undefined : { type: "error", payload: { refusal: { code, text: cut(text), retry_after_ms }, message } };
}
