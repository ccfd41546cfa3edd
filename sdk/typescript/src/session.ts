/** The state of one session, without any I/O: credit both ways, ids that were seen, responses without an `ack`. */
import type { Frame, Message } from "./frame.js";
import * as limits from "./limits.js";
import { takesCredit, type Kind, type Payloads } from "./payload.js";
import type { U64 } from "./schema.js";

export type Reply = Extract<Message, { type: "ack" | "error" }> | undefined;

/** What both sides count and remember; a resumed session keeps all of it, a new one begins with nothing. */
export class Session {
  id: string | undefined;
  readonly unacked = new Map<string, Frame>();
  #sent = 0;
  #allowed = 0;
  #received = 0;
  #granted = limits.CREDIT;
  readonly #seen = new Map<string, Reply>();

  /** Takes a welcome; tells whether the session goes on. */
  welcomed(welcome: Payloads["welcome"]): boolean {
    const goesOn = welcome.resumed === true && this.id !== undefined;
    // what the other side sent into the cut counts with it, but never came: it gets as much anew
    if (goesOn) this.#granted += limits.CREDIT;
    else this.#begin();
    this.id = welcome.session;
    this.allow(welcome.credit ?? 0);
    return goesOn;
  }

  #begin(): void {
    this.unacked.clear();
    this.#seen.clear();
    this.#sent = 0;
    this.#allowed = 0;
    this.#received = 0;
    this.#granted = limits.CREDIT;
  }

  get maySend(): boolean {
    return this.#sent < this.#allowed;
  }

  /** Counts a message that takes credit; one that is sent again is not counted again. */
  sends(): void {
    this.#sent += 1;
  }

  /** Takes a grant: a total that never falls. */
  allow(total: U64): void {
    this.#allowed = Math.max(this.#allowed, Number(total));
  }

  acked(messages: string[]): void {
    for (const message of messages) this.unacked.delete(message);
  }

  /** Counts a message; tells whether it comes for the first time. */
  receives(frame: Frame): boolean {
    this.counts(frame.type);
    const message = frame.extension.message_id;
    if (message === undefined) return true;
    if (this.#seen.has(message)) return false;
    remember(this.#seen, message, undefined, limits.SEEN_MESSAGES);
    return true;
  }

  counts(kind: Kind): void {
    if (takesCredit(kind)) this.#received += 1;
  }

  /** Remembers what a message was answered with, for when it comes again. */
  replied(message: string, reply: Reply): void {
    if (this.#seen.has(message)) this.#seen.set(message, reply);
  }

  replyTo(message: string | undefined): Reply {
    return message === undefined ? undefined : this.#seen.get(message);
  }

  /** The grant as it stands. */
  get grant(): Message {
    return { type: "credit", payload: { messages_total: this.#granted } };
  }

  /** A new grant once half of the last one is used up. */
  grantDue(): Message | undefined {
    if (this.#granted - this.#received > limits.CREDIT / 2) return undefined;
    this.#granted = this.#received + limits.CREDIT;
    return this.grant;
  }
}

/** Puts an entry last, and drops the first above the limit. */
export function remember<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) for (const first of map.keys()) return void map.delete(first);
}
