/** The payload of every kind of message, with the names of docs/PROTOCOL.md. */
import * as limits from "./limits.js";
import { any, binary, bool, choice, i64, labels, list, long, name, names, number, optional, record } from "./schema.js";
import { share, small, text, u8, u32, u64, unit, uuid, words, type Of } from "./schema.js";

const U32_MAX = 2 ** 32 - 1;

// --- the connection

const codecs = list(words("gzip", "zstd", "lz4"));
export const card = record({
  id: uuid,
  name,
  version: optional(name),
  role: optional(name),
  specialisation: optional(name),
  capabilities: optional(names),
  prices: optional(
    list(
      choice({
        task: record({ usd_micros: u64 }),
        hour: record({ usd_micros: u64 }),
        million_tokens: record({ in_usd_micros: u64, out_usd_micros: u64 }),
      }),
      0,
      limits.PRICES,
    ),
  ),
  concurrency: optional(small(1, limits.CONCURRENCY)),
  labels: optional(labels),
});
const hello = record({
  versions: list(u8),
  token: optional(name),
  card,
  incarnation: optional(u64),
  codecs: optional(codecs),
  credit: optional(u64),
  resume: optional(uuid),
  unfinished: optional(list(uuid)),
});
const most = optional(small(0, Number.MAX_SAFE_INTEGER));
const welcome = record({
  version: u8,
  session: uuid,
  resumed: optional(bool),
  heartbeat_ms: small(1, U32_MAX),
  grace_ms: optional(u32),
  credit: optional(u64),
  codecs: optional(codecs),
  limits: optional(record({ payload_bytes: most, inflated_bytes: most, text_bytes: most, values: most, depth: most })),
});
const heartbeat = record({ sequence: optional(u64), echo: optional(u64), active: optional(u32), queued: optional(u32) });
const ack = record({ messages: list(uuid, 0, limits.ACKS) });
const refusal = record({ code: u32, text: optional(long), retry_after_ms: optional(u64) });
const error = record({ refusal, message: optional(uuid), task: optional(uuid) });
const credit = record({ messages_total: u64 });
const goodbye = record({
  reason: words("done", "stopping", "restarting", "fenced", "silent", "misbehaved"),
  text: optional(long),
  drain_ms: optional(u32),
});

// --- work

const task = record({
  id: uuid,
  run: uuid,
  parent: optional(uuid),
  type: name,
  input: optional(any),
  needs: optional(names),
  priority: optional(words("low", "normal", "high", "critical")),
  deadline_ms: optional(u64),
  budget: optional(
    record({
      tokens: optional(u64),
      usd_micros: optional(u64),
      wall_ms: optional(u64),
      messages: optional(u64),
      children: optional(u64),
    }),
  ),
  estimate: optional(
    record({
      duration_ms: optional(u64),
      complexity: optional(number(0, Number.MAX_VALUE)),
      data_bytes: optional(u64),
      cost_sensitive: optional(bool),
    }),
  ),
  labels: optional(labels),
});
const taskRequest = choice({
  do: record({ task, fence: u64, attempt: optional(small(1, U32_MAX)), lease_ms: optional(u64) }),
  cancel: record({ task: uuid, fence: u64, reason: optional(long) }),
});
const usage = record({
  tokens_in: optional(u64),
  tokens_out: optional(u64),
  usd_micros: optional(u64),
  wall_ms: optional(u64),
});
const outcome = choice({
  completed: record({
    output: optional(any),
    failed_parts: optional(list(record({ task: uuid, name: optional(name), refusal }))),
  }),
  failed: refusal,
  timed_out: unit,
  cancelled: record({ reason: optional(long) }),
  rejected: refusal,
  node_lost: record({ node: uuid }),
});
const taskResponse = record({ task: uuid, fence: u64, outcome, usage: optional(usage) });
const progressReport = record({
  task: uuid,
  fence: u64,
  sequence: optional(u64),
  fraction: optional(share),
  text: optional(long),
  milestone: optional(name),
  partial: optional(any),
  usage: optional(usage),
});
const emergencyStop = record({
  scope: choice({ everything: unit, run: uuid, task: uuid, agent: uuid, conversation: uuid }),
  reason: text(1, limits.TEXT_BYTES),
  grace_ms: optional(u32),
});

// --- shared state

const clock = list(record({ slot: u32, epoch: u32, counter: u64 }), 0, limits.CLOCK_ENTRIES);
const operation = choice({
  increment: record({ by: u64 }),
  decrement: record({ by: u64 }),
  add: record({ element: any }),
  remove: record({ element: any }),
  set: record({ value: any }),
  unset: unit,
});
const stateUpdate = record({
  document: name,
  changes: list(record({ key: name, operation, clock: optional(clock) }), 1, limits.CHANGES),
  expected_version: optional(u64),
});
const stateSync = record({
  document: name,
  step: choice({
    read: record({ keys: optional(names), follow: optional(bool), own: optional(bool) }),
    unfollow: unit,
    snapshot: record({ value: any, version: u64, clock: optional(clock) }),
    applied: record({ version: u64, clock: optional(clock) }),
    conflict: record({ version: u64, current: any, refused: any, ticket: optional(u64) }),
    digest: record({ clock, hash: u64 }),
    pull: record({ clock }),
    push: record({ from: clock, to: clock, delta: binary }),
    full: record({ clock, state: binary }),
  }),
});

// --- conversations and events

const said = record({ topic: optional(name), content: any });
const event = record({
  id: uuid,
  type: name,
  source: name,
  target: optional(choice({ run: unit, actor: uuid, name })),
  run: optional(uuid),
  data: optional(any),
  published_at: optional(i64),
  coordinator_id: optional(uuid),
  clock: optional(clock),
  metadata: optional(labels),
});
const coordination = choice({
  tell: said,
  ask: said,
  answer: said,
  broadcast: said,
  open: record({
    topic: optional(name),
    members: list(uuid, 0, limits.MEMBERS),
    messages_max: optional(u64),
    lasts_ms: optional(u64),
  }),
  join: unit,
  leave: unit,
  end: record({ reason: optional(long) }),
  event,
  subscribe: record({ types: names }),
  unsubscribe: record({ types: names }),
});

// --- votes

const choices = list(name, 0, limits.CHOICES, true);
const call = record({
  id: uuid,
  epoch: optional(u32),
  question: long,
  choices: list(name, 1, limits.CHOICES, true),
  form: optional(words("one", "set", "ranking")),
  revisable: optional(bool),
  context: optional(any),
});
const evidence = record({ title: name, location: optional(long), value: optional(any) });
const ballot = choice({ one: name, set: choices, ranking: choices, abstain: unit });
const close = record({
  proposal: uuid,
  outcome: words("consensus", "tie_broken", "no_decision", "insufficient_participation", "vetoed"),
  choice: optional(name),
  reasoning: optional(long),
});
const consensusVote = choice({
  call,
  cast: record({
    proposal: uuid,
    voter: uuid,
    epoch: optional(u32),
    sequence: optional(u64),
    choice: ballot,
    confidence: optional(share),
    reasoning: optional(long),
    evidence: optional(list(evidence, 0, limits.EVIDENCE)),
  }),
  close,
});

/** The kinds with their bytes and payloads. */
export const KINDS = {
  hello: { byte: 0x01, payload: hello },
  welcome: { byte: 0x02, payload: welcome },
  heartbeat: { byte: 0x03, payload: heartbeat },
  ack: { byte: 0x04, payload: ack },
  error: { byte: 0x05, payload: error },
  credit: { byte: 0x06, payload: credit },
  goodbye: { byte: 0x07, payload: goodbye },
  task_request: { byte: 0x10, payload: taskRequest },
  task_response: { byte: 0x11, payload: taskResponse },
  state_update: { byte: 0x20, payload: stateUpdate },
  state_sync: { byte: 0x21, payload: stateSync },
  coordination: { byte: 0x30, payload: coordination },
  consensus_vote: { byte: 0x31, payload: consensusVote },
  progress_report: { byte: 0x40, payload: progressReport },
  emergency_stop: { byte: 0x50, payload: emergencyStop },
} as const;

export type Kind = keyof typeof KINDS;
export type Payloads = { [K in Kind]: Of<(typeof KINDS)[K]["payload"]> };

/** Whether a message of this kind counts against what the other side granted. */
export function takesCredit(kind: Kind): boolean {
  const { byte } = KINDS[kind];
  return byte >= 0x10 && byte <= 0x40;
}

export type Card = Of<typeof card>;
export type Task = Of<typeof task>;
export type Do = Extract<Payloads["task_request"], { do: object }>["do"];
export type Outcome = Of<typeof outcome>;
export type Usage = Of<typeof usage>;
export type Stop = Payloads["emergency_stop"];
export type Event = Of<typeof event>;
export type Call = Of<typeof call>;
export type Close = Of<typeof close>;
export type Choice = Of<typeof ballot>;
export type Evidence = Of<typeof evidence>;
export type Act = Of<typeof coordination>;
export type SaidFields = Of<typeof said>;
