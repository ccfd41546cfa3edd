/** The limits of the protocol (the table of docs/PROTOCOL.md) and of this client, each with its unit in its name. */

export const PAYLOAD_BYTES = 1_048_576;
export const INFLATED_BYTES = 10_485_760;
export const INFLATED_RATIO = 100;
export const COMPRESS_ABOVE_BYTES = 1_024;
export const TEXT_FRAME_BYTES = 1_048_576;
export const DEPTH = 64;
export const VALUES = 65_536;
export const BATCH_MESSAGES = 1_024;
export const EXTENSION_BYTES = 512;
export const IDEMPOTENCY_KEY_BYTES = 128;
export const NAME_BYTES = 256;
export const TEXT_BYTES = 65_536;
export const NAMES = 256;
export const LABELS = 64;
export const CONCURRENCY = 65_536;
export const MEMBERS = 1_024;
export const CHANGES = 1_024;
export const CLOCK_ENTRIES = 1_024;
export const CHOICES = 256;
export const EVIDENCE = 64;
export const PRICES = 3;
export const ACKS = 1_024;
export const REFUSAL_TEXT_BYTES = 1_024;
export const RETRY_AFTER_MS = 1_000;
export const RETRY_AFTER_MS_MAX = 3_600_000;
export const SILENT_HEARTBEATS = 3;

// --- of this client
/** WebSocket messages up to this size are refused one by one where they are over a limit; a larger one ends the connection. */
export const MESSAGE_BYTES = 4 * PAYLOAD_BYTES;
/** Ids of received messages that are remembered, so that a repeated one is dropped. */
export const SEEN_MESSAGES = 8_192;
/** Messages that the daemon may send ahead of being granted more. */
export const CREDIT = 64;
/** Tasks that may wait at the agent for each task that it does at once. */
export const WAITING_TASKS_PER_SLOT = 1;
/** Votes, asks, tells and events that are handled at once; more of them are refused. */
export const WAITING_HANDLERS = 256;
/** Tasks that have ended and are remembered, so that no assignment is done twice. */
export const ENDED_TASKS = 4_096;
/** Votes whose ballots are counted; a vote that is closed is forgotten. */
export const VOTES = 4_096;
/** How long a connection may take until it is welcomed. */
export const WELCOME_MS = 10_000;
/** The longest wait before the first attempt to connect again; it doubles with each further one. */
export const BACKOFF_MS = 100;
/** The longest wait between two attempts to connect. */
export const BACKOFF_MS_MAX = 10_000;
/** How long a handler may take to end after its signal before its task is answered without it. */
export const CANCEL_MS = 5_000;
/** How long tasks in progress may go on after the agent was told to stop. */
export const DRAIN_MS = 10_000;
/** The longest that a timer can wait; what is later counts as never. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** What a receiver accepts at most in one frame. */
export interface FrameLimits {
  payload_bytes: number;
  inflated_bytes: number;
  text_bytes: number;
  values: number;
  depth: number;
}

export const FRAME: FrameLimits = {
  payload_bytes: PAYLOAD_BYTES,
  inflated_bytes: INFLATED_BYTES,
  text_bytes: TEXT_FRAME_BYTES,
  values: VALUES,
  depth: DEPTH,
};
