/** Agents in TypeScript for Synod: `agent` makes one of an async function, `run` connects it to a daemon. */
export { Agent, agent, Reply, type AgentOptions, type Ballot, type Said } from "./agent.js";
export { Client, run } from "./client.js";
export type { Where } from "./connection.js";
export { Context, TaskContext } from "./context.js";
export { Code, Dismissed, Fenced, NoAnswer, ProtocolError, Refused, SynodError, TaskFailed, TaskRejected } from "./errors.js";
export type { Extension, Performative } from "./extension.js";
export { decode, encode, encodeBatch, frame, fromText, toText, type Frame, type Message } from "./frame.js";
export type { Call, Card, Close, Event, Evidence, Outcome, Task, Usage } from "./payload.js";
export type { U64, Value } from "./schema.js";
export { Completed } from "./tasks.js";
