/** The errors of this package, each with what is wrong, where, and what to do; and the numbers by which the protocol refuses. */
import * as limits from "./limits.js";

/** Why something is refused; the hundred says what to do (docs/PROTOCOL.md, Refusals). */
export const Code = {
  invalid: 100,
  tooLarge: 101,
  notSupported: 102,
  unauthorised: 103,
  unknownTarget: 104,
  duplicate: 105,
  deadlinePassed: 106,
  cancelled: 107,
  budget: 108,
  conflict: 109,
  stale: 110,
  deadlock: 111,
  failed: 112,
  overloaded: 200,
  rateLimited: 201,
  unavailable: 300,
  stopping: 301,
  nodeLost: 302,
  agentLost: 303,
} as const;

const KNOWN = new Set<number>(Object.values(Code));

/** The code of a number: an unknown one counts as the first of its hundred, or as 100 outside of all. */
export function known(number: number): number {
  if (KNOWN.has(number)) return number;
  const hundred = Math.floor(number / 100) * 100;
  return hundred === 200 || hundred === 300 ? hundred : Code.invalid;
}

export interface Refusal {
  code: number;
  text?: string | undefined;
  retry_after_ms?: number | bigint | undefined;
}

/** What all errors of this package are. */
export class SynodError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** A frame or a payload breaks a rule of the protocol; it was neither sent nor acted upon. */
export class ProtocolError extends SynodError {
  constructor(
    readonly code: number,
    readonly where: string,
    readonly what: string,
    readonly advice: string,
  ) {
    super(`${where}: ${what}; ${advice}`);
  }
}

/** The other side refuses a message or the connection. */
export class Refused extends SynodError {
  readonly code: number;
  readonly retryMs: number;

  constructor(refusal: Refusal, about = "the connection") {
    const code = known(refusal.code);
    const retryMs = Math.min(Number(refusal.retry_after_ms ?? limits.RETRY_AFTER_MS), limits.RETRY_AFTER_MS_MAX);
    super(`${about} was refused: ${refusal.text || "no text"} (code ${refusal.code}); ${advice(code, retryMs)}`);
    this.code = code;
    this.retryMs = retryMs;
  }

  /** 1: never again as it is, 2: later, 3: elsewhere. */
  get hundred(): number {
    return Math.floor(this.code / 100);
  }
}

/** Another connection of the same identity has taken over, so this one must not go on. */
export class Fenced extends SynodError {}

/** The daemon has ended the connection for good, because it misbehaved. */
export class Dismissed extends SynodError {}

/** An ask has had no answer by its deadline; whether it was handled is unknown. */
export class NoAnswer extends SynodError {}

/** Thrown by a handler: the task has failed. With code 112 it is not tried again as it is; 2xx says later, 3xx elsewhere. */
export class TaskFailed extends SynodError {
  constructor(
    text: string,
    readonly code: number = Code.failed,
    readonly retryAfterMs?: number,
  ) {
    super(text);
  }

  get refusal(): Refusal {
    return { code: this.code, text: cut(this.message), retry_after_ms: this.retryAfterMs };
  }
}

/** Thrown by a handler before it has done anything: the task never started, and may go elsewhere. */
export class TaskRejected extends TaskFailed {
  constructor(text: string, code: number = Code.unavailable, retryAfterMs?: number) {
    super(text, code, retryAfterMs);
  }
}

/** Shortens a text to so many bytes of UTF-8, at a boundary of characters. */
export function cut(text: string, most = limits.REFUSAL_TEXT_BYTES): string {
  const bytes = new TextEncoder().encode(text);
  return bytes.length <= most ? text : new TextDecoder().decode(bytes.subarray(0, most)).replace(/\uFFFD+$/, "");
}

/** What was thrown, as a text. */
export function described(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function advice(code: number, retryMs: number): string {
  if (code >= 300) return "try another agent or node";
  if (code >= 200) return `try again after ${retryMs} ms`;
  if (code === Code.unauthorised) return "check the token and the agent's rights";
  if (code === Code.notSupported) return "update the side that does not support it";
  return "change it before trying again";
}
