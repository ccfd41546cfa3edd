/** Waiting: timers that can be given up, and a door that is open or shut. */
import { TIMER_MS_MAX } from "./limits.js";

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const LATE = Symbol("late");

/** Waits for a promise so long; tells `undefined` where it is later. What the promise throws is thrown. */
export async function within<T>(promise: Promise<T>, ms: number | undefined): Promise<{ value: T } | undefined> {
  if (ms === undefined || ms > TIMER_MS_MAX) return { value: await promise };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => resolve(LATE), Math.max(0, ms));
  });
  try {
    const value = await Promise.race([promise, late]);
    return value === LATE ? undefined : { value };
  } finally {
    clearTimeout(timer);
  }
}

export async function pause(ms: number, given: Promise<unknown>): Promise<void> {
  await within(given, ms);
}

/** Lets through while it is open; those who wait go one by one, in their order. */
export class Door {
  #open = false;
  #waiting = deferred<void>();

  set open(open: boolean) {
    if (open && !this.#open) this.#waiting.resolve();
    if (!open && this.#open) this.#waiting = deferred();
    this.#open = open;
  }

  async through(): Promise<void> {
    while (!this.#open) await this.#waiting.promise;
  }
}
