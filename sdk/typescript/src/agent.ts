/** What a user writes: an agent is an async function for tasks, and perhaps others for votes, asks and events. */
import type { Context, TaskContext } from "./context.js";
import type { Performative } from "./extension.js";
import { uuid7 } from "./ids.js";
import { card as cardType, type Call, type Card, type Choice, type Close, type Evidence, type Event, type Task } from "./payload.js";
import type { Value } from "./schema.js";

/** What a handler may return: plain JSON, or nothing. */
export type Output = unknown;
export type TaskHandler = (task: Task, cx: TaskContext) => Promise<Output>;

/** What a voter answers: a choice, a list of them as the vote's form asks, or `null` to abstain. */
export interface Ballot {
  choice: string | string[] | null;
  confidence?: number;
  reasoning?: string;
  evidence?: Evidence[];
}

/** What another member of a conversation says. */
export interface Said {
  content: Value;
  sender: string;
  topic: string | undefined;
  conversation: string;
  performative: Performative | undefined;
}

/** What a handler of asks returns to say more than the content. */
export class Reply {
  constructor(
    readonly content: unknown,
    readonly performative?: Performative,
    readonly topic?: string,
  ) {}
}

export type VoteHandler = (call: Call, cx: Context) => Promise<Ballot>;
export type CloseHandler = (close: Close, cx: Context) => Promise<void>;
export type AskHandler = (said: Said, cx: Context) => Promise<unknown>;
export type TellHandler = (said: Said, cx: Context) => Promise<void>;
export type EventHandler = (event: Event, cx: Context) => Promise<void>;

/** The card of an agent; without an `id` each process is an agent of its own. */
export type AgentOptions = Omit<Card, "id"> & { id?: string };

/** An agent: its card and its handlers. Made by `agent`. */
export class Agent {
  readonly events = new Map<string, EventHandler>();
  voter?: VoteHandler;
  closer?: CloseHandler;
  asker?: AskHandler;
  teller?: TellHandler;

  constructor(
    readonly card: Card,
    readonly handler: TaskHandler,
  ) {}

  /** Answers the calls of votes. */
  vote(handler: VoteHandler): this {
    this.voter = handler;
    return this;
  }

  /** Is told how votes ended. */
  decided(handler: CloseHandler): this {
    this.closer = handler;
    return this;
  }

  /** Answers asks: it returns the content, or a `Reply`. */
  asked(handler: AskHandler): this {
    this.asker = handler;
    return this;
  }

  /** Hears tells and broadcasts. */
  told(handler: TellHandler): this {
    this.teller = handler;
    return this;
  }

  /** Handles events of these types. */
  on(types: string | string[], handler: EventHandler): this {
    for (const type of [types].flat()) this.events.set(type, handler);
    return this;
  }
}

/** Makes an agent of an async function whose result is the task's output; throws where the card breaks a rule. */
export function agent(options: AgentOptions, handler: TaskHandler): Agent {
  return new Agent(cardType.read({ id: uuid7(), ...options }, "card"), handler);
}

/** The choice of a ballot in the form that the vote asks for. */
export function choiceOf(ballot: Ballot, call: Call): Choice {
  const { choice } = ballot;
  if (choice === null) return "abstain";
  const form = call.form ?? "one";
  const foreign = [choice].flat().filter((one) => !call.choices.includes(one));
  if (Array.isArray(choice) !== (form !== "one") || foreign.length > 0)
    throw new TypeError(
      `the ballot ${JSON.stringify(choice)} does not fit the vote ${JSON.stringify(call.question)}: give ${form} of ${call.choices.join(", ")}, or null`,
    );
  if (!Array.isArray(choice)) return { one: choice };
  return form === "set" ? { set: choice } : { ranking: choice };
}
