/**
 * The tasks of an agent: each is accepted or refused at once, runs in a slot, and ends in one response.
 *
 * At most `concurrency` handlers run at once, those included that outlive their signal.
 * A task and fence has one run and one response; a response is sent in the session of its request only.
 */
import type { Agent } from "./agent.js";
import { TaskContext, type Voice } from "./context.js";
import { Code, cut, described, ProtocolError, TaskFailed, TaskRejected, type Refusal } from "./errors.js";
import { timeLeftMs, type Frame } from "./frame.js";
import * as limits from "./limits.js";
import type { Do, Outcome, Payloads, Stop } from "./payload.js";
import type { U64, Value } from "./schema.js";
import { remember } from "./session.js";
import { deferred, Door, within, type Deferred } from "./waiting.js";

type Cancel = Extract<Payloads["task_request"], { cancel: object }>["cancel"];

/** Why a task is ended before its handler has ended; without an outcome nobody is told. */
interface Ending {
  reason: string;
  outcome?: Outcome;
  graceMs: number;
}

interface Assignment {
  frame: Frame;
  given: Do;
  cx: TaskContext;
  stop: Deferred<Ending>;
  began: number;
  running: boolean;
}

/** What a handler returns where parts of the output are missing. */
export class Completed {
  constructor(
    readonly output: unknown,
    readonly failedParts: NonNullable<Extract<Outcome, { completed: object }>["completed"]["failed_parts"]> = [],
  ) {}
}

export class Tasks {
  closed = false;
  readonly #current = new Map<string, Assignment>();
  readonly #ended = new Map<string, U64>();
  readonly #free = new Door();
  readonly #idle = new Door();
  #slots: number;
  #works = 0;

  constructor(
    readonly agent: Agent,
    readonly voice: Voice,
  ) {
    this.#slots = agent.card.concurrency ?? 1;
    this.#free.open = true;
    this.#idle.open = true;
  }

  load(): { active: number; queued: number } {
    const active = [...this.#current.values()].filter((one) => one.running).length;
    return { active, queued: this.#current.size - active };
  }

  unfinished(): string[] {
    return [...this.#current.keys()];
  }

  /** Begins a task, or says why not; one that is known is not begun again. */
  give(frame: Frame, given: Do): Refusal | undefined {
    const { id } = given.task;
    const held = this.#current.get(id);
    const fences = [held?.given.fence, this.#ended.get(id)].filter((fence) => fence !== undefined);
    const newest = fences.reduce<U64>((a, b) => (a > b ? a : b), -1);
    if (given.fence === newest) return undefined;
    const refusal = this.#objection(frame, given, newest);
    if (refusal !== undefined) return refusal;
    held?.stop.resolve({ reason: "the task was assigned anew", graceMs: limits.CANCEL_MS });
    this.#begin(frame, given);
    return undefined;
  }

  /** Cancels a task; one that has ended, or is held under another fence, is left alone. */
  cancel({ task, fence, reason }: Cancel): void {
    const held = this.#current.get(task);
    if (held?.given.fence === fence)
      held.stop.resolve({ reason: reason || "cancelled", outcome: { cancelled: { reason } }, graceMs: limits.CANCEL_MS });
  }

  /** Stops all tasks in the scope. */
  emergency({ scope, reason, grace_ms }: Stop): void {
    const text = cut(`emergency stop: ${reason}`, limits.TEXT_BYTES);
    const own = this.agent.card.id;
    for (const { frame, given, stop } of this.#current.values()) {
      const is: Record<string, string> = { run: given.task.run, task: given.task.id, agent: own, conversation: frame.conversation };
      const hit = scope === "everything" || Object.entries(scope).every(([kind, id]) => is[kind] === id);
      if (hit) stop.resolve({ reason: text, outcome: { cancelled: { reason: text } }, graceMs: grace_ms ?? 0 });
    }
  }

  /** Ends all tasks without a word: they went to others. */
  forget(): void {
    for (const one of this.#current.values()) one.stop.resolve({ reason: "the session is lost", graceMs: limits.CANCEL_MS });
  }

  cancelAll(reason: string): void {
    for (const one of this.#current.values()) one.stop.resolve({ reason, outcome: { cancelled: { reason } }, graceMs: limits.CANCEL_MS });
  }

  /** Waits until every task has its response. */
  async idle(): Promise<void> {
    while (this.#works > 0) await this.#idle.through();
  }

  #objection(frame: Frame, given: Do, newest: U64): Refusal | undefined {
    const left = timeLeftMs(frame);
    const most = (this.agent.card.concurrency ?? 1) * (1 + limits.WAITING_TASKS_PER_SLOT);
    if (given.fence < newest) return { code: Code.stale, text: `fence ${given.fence} is older than ${newest}` };
    if (this.closed) return { code: Code.stopping, text: "the agent is draining" };
    if (left !== undefined && left <= 0) return { code: Code.deadlinePassed, text: "no time was left when it was sent" };
    if (this.#current.size >= most)
      return { code: Code.overloaded, text: `${most} tasks are here`, retry_after_ms: limits.RETRY_AFTER_MS };
    return undefined;
  }

  #begin(frame: Frame, given: Do): void {
    const cx = new TaskContext(this.voice, frame, given);
    const one: Assignment = { frame, given, cx, stop: deferred(), began: performance.now(), running: false };
    this.#current.set(given.task.id, one);
    this.#works += 1;
    this.#idle.open = false;
    const ended = (): void => {
      this.#works -= 1;
      this.#idle.open = this.#works === 0;
    };
    this.#work(one).then(ended, (error: unknown) => {
      ended();
      this.voice.connection.log(`task ${given.task.id}: ${described(error)}`);
    });
  }

  async #work(one: Assignment): Promise<void> {
    const { connection } = this.voice;
    const session = connection.session.id;
    const { id } = one.given.task;
    try {
      const outcome = await this.#outcome(one);
      one.cx.close();
      if (outcome !== undefined && session === connection.session.id) await this.#respond(one, outcome);
    } finally {
      if (this.#current.get(id) === one) {
        this.#current.delete(id);
        remember(this.#ended, id, one.given.fence, limits.ENDED_TASKS);
      }
    }
  }

  /** How the task ends: by its handler, by being stopped, or by its deadline, whatever comes first. */
  async #outcome(one: Assignment): Promise<Outcome | undefined> {
    const handler = this.#call(one);
    const first = await within(Promise.race([handler.then((outcome) => ({ outcome, done: true as const })), one.stop.promise]), one.cx.timeLeftMs);
    const value = first?.value;
    if (value !== undefined && "done" in value) return value.outcome;
    const late = { code: Code.deadlinePassed, text: "the deadline passed before the task was done" };
    const ending: Ending = value ?? { reason: late.text, outcome: { failed: late }, graceMs: limits.CANCEL_MS };
    one.cx.abort(ending.reason);
    if ((await within(handler, ending.graceMs)) === undefined)
      this.voice.connection.log(`the handler of task ${one.given.task.id} goes on after its end: let it heed cx.signal`);
    return ending.outcome;
  }

  async #call(one: Assignment): Promise<Outcome> {
    while (this.#slots === 0) await this.#free.through();
    this.#slots -= 1;
    this.#free.open = this.#slots > 0;
    one.running = true;
    try {
      if (one.cx.signal.aborted) return { cancelled: {} };
      const output = await this.agent.handler(one.given.task, one.cx);
      const { output: whole, failedParts } = output instanceof Completed ? output : new Completed(output);
      return { completed: { output: whole as Value | undefined, failed_parts: failedParts.length > 0 ? failedParts : undefined } };
    } catch (error) {
      if (error instanceof TaskRejected) return { rejected: error.refusal };
      if (error instanceof TaskFailed) return { failed: error.refusal };
      this.voice.connection.log(`the handler of task ${one.given.task.id} threw ${described(error)}`);
      return { failed: { code: Code.failed, text: cut(described(error)) } };
    } finally {
      this.#slots += 1;
      this.#free.open = true;
    }
  }

  async #respond(one: Assignment, outcome: Outcome): Promise<void> {
    const { connection } = this.voice;
    const { task, fence } = one.given;
    const usage = { tokens_in: 0, tokens_out: 0, usd_micros: 0, ...one.cx.usage, wall_ms: Math.round(performance.now() - one.began) };
    const marks = { conversation: one.frame.conversation, extension: { in_reply_to: one.frame.extension.message_id } };
    const respond = (end: Outcome): Promise<void> =>
      connection.send(connection.frame({ type: "task_response", payload: { task: task.id, fence, outcome: end, usage } }, marks));
    try {
      await respond(outcome);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      connection.log(`the output of task ${task.id} cannot be sent: ${error.message}`);
      await respond({ failed: { code: error.code, text: cut(error.message) } });
    }
  }
}
