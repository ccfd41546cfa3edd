/** An agent against a scripted daemon: tasks, their ends, votes, conversations, the life of a connection. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";

import { agent, Client, Completed, Dismissed, Fenced, NoAnswer, Refused, Reply, run, TaskFailed, TaskRejected } from "../src/index.js";
import type { Agent, Context, Task, TaskContext } from "../src/index.js";
import { deferred } from "../src/waiting.js";
import { frame, header, id, Peer, raw, request, RUN, TASK, type Link } from "./peer.js";

type Script = (peer: Peer) => Promise<void>;
type Handler = (task: Task, cx: TaskContext) => Promise<unknown>;

/** A test with a peer of its own. */
function scenario(name: string, script: Script): void {
  test(name, { timeout: 30_000 }, async () => {
    const peer = await Peer.start();
    try {
      await script(peer);
    } finally {
      await peer.stop();
    }
  });
}

const silent = (): void => undefined;

/** Runs an agent beside the script, and ends it. */
async function serving(made: Agent, peer: Peer, script: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(made, { url: peer.url, token: "secret", log: silent });
  const running = client.run();
  try {
    await script(client);
  } finally {
    client.connection.close();
    await running;
  }
}

function worker(handler: Handler, concurrency = 1): Agent {
  return agent({ name: "worker", capabilities: ["review"], concurrency }, handler);
}

const echo: Handler = async (task) => task.input;

/** A handler that tells when it began and how it ended. */
function held(): { handler: Handler; began: Promise<void>; aborted: Promise<void>; goOn: () => void } {
  const [began, aborted, go] = [deferred<void>(), deferred<void>(), deferred<void>()];
  const handler: Handler = async (_task, cx) => {
    began.resolve();
    const abort = new Promise<never>((_, reject) => {
      cx.signal.addEventListener("abort", () => {
        aborted.resolve();
        reject(cx.signal.reason as Error);
      });
    });
    await Promise.race([go.promise, abort]);
    return "held";
  };
  return { handler, began: began.promise, aborted: aborted.promise, goOn: () => go.resolve() };
}

const CALL = { id: raw(TASK), epoch: 2, question: "Is release 2 ready?", choices: ["ship", "hold"] };

scenario("an agent says who it is", async (peer) => {
  const made = agent({ name: "reviewer", capabilities: ["review", "lang:ts"], concurrency: 4, labels: { zone: "eu" } }, echo);
  await serving(made, peer, async () => {
    const link = await peer.accept();
    const { versions, token, credit, card, resume, unfinished } = link.hello.payload;
    assert.deepEqual([versions, token, credit, resume, unfinished], [[1], "secret", 64, undefined, undefined]);
    const { id: own } = made.card;
    assert.deepEqual(card, { id: own, name: "reviewer", capabilities: ["review", "lang:ts"], concurrency: 4, labels: { zone: "eu" } });
    assert.equal(link.path, "/v1/agents");
  });
});

test("a wrong card or URL is refused where it is written", () => {
  assert.throws(() => agent({ name: "a", capabilities: [""] }, echo), /card\.capabilities\[0\]: 0 bytes, and 1 are the least; give more/);
  assert.throws(() => new Client(worker(echo), { url: "http://127.0.0.1:1" }), /is no URL of a WebSocket: give one such as/);
});

scenario("a task is done", async (peer) => {
  const work: Handler = async (task, cx) => {
    cx.use({ tokensIn: 10, usdMicros: 3 });
    cx.use({ tokensIn: 2, tokensOut: 5 });
    return { type: task.type, run: task.run, attempt: cx.attempt, input: task.input, none: undefined };
  };
  await serving(worker(work), peer, async () => {
    const link = await peer.accept();
    const message = await link.give(TASK, 9, [1, null, "a", 2.5]);
    const got = await link.take("task_response");
    assert.equal(got.answers, message);
    const { task, fence, outcome, usage } = got.payload;
    const output = { type: "review", run: RUN, attempt: 1, input: [1, null, "a", 2.5] };
    assert.deepEqual([task, fence, outcome], [TASK, 9, { completed: { output } }]);
    const { wall_ms, ...used } = usage as { wall_ms: number };
    assert.ok(wall_ms >= 0);
    assert.deepEqual(used, { tokens_in: 12, tokens_out: 5, usd_micros: 3 });
  });
});

scenario("a task ends as its handler says", async (peer) => {
  const work: Handler = async (task) => {
    if (task.type === "fails") throw new TaskFailed("2 of 9 tests fail");
    if (task.type === "later") throw new TaskFailed("busy", 200, 250);
    if (task.type === "rejects") throw new TaskRejected("no compiler here");
    if (task.type === "panics") throw new RangeError("lines");
    if (task.type === "huge") return "x".repeat(2_000_000);
    if (task.type === "foreign") return new Map();
    if (task.type === "none") return undefined;
    return new Completed(1, [{ task: TASK, name: "b.rs", refusal: { code: 303 } }]);
  };
  const expected: [string, unknown][] = [
    ["fails", { failed: { code: 112, text: "2 of 9 tests fail" } }],
    ["later", { failed: { code: 200, text: "busy", retry_after_ms: 250 } }],
    ["rejects", { rejected: { code: 300, text: "no compiler here" } }],
    ["panics", { failed: { code: 112, text: "RangeError: lines" } }],
    ["none", { completed: {} }],
    ["parts", { completed: { output: 1, failed_parts: [{ task: TASK, name: "b.rs", refusal: { code: 303 } }] } }],
  ];
  await serving(worker(work), peer, async () => {
    const link = await peer.accept();
    for (const [at, [type, outcome]] of expected.entries()) {
      await link.give(TASK, at + 1, null, { type });
      assert.deepEqual(await link.answered(), outcome);
    }
    for (const [at, [type, code]] of ([["huge", 101], ["foreign", 100]] as const).entries()) {
      await link.give(TASK, at + 50, null, { type });
      assert.equal(((await link.answered()) as { failed: { code: number } }).failed.code, code);
    }
  });
});

scenario("an output keeps to the limits of the daemon", async (peer) => {
  await serving(worker(echo), peer, async () => {
    const link = await peer.accept({ limits: { payload_bytes: 2000, values: 50 } });
    for (const [at, input] of [Array.from({ length: 45 }, () => 1), randomBytes(3000).toString("hex")].entries()) {
      await link.give(TASK, at + 1, input);
      assert.equal(((await link.answered()) as { failed: { code: number } }).failed.code, 101);
    }
    await link.give(TASK, 9, [1]);
    assert.deepEqual(await link.answered(), { completed: { output: [1] } });
  });
});

scenario("a cancelled task is told by its signal", async (peer) => {
  const hold = held();
  await serving(worker(hold.handler), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 3);
    await hold.began;
    link.send("task_request", { cancel: { task: raw(TASK), fence: 2 } }, { message: id() });
    await link.take("ack");
    link.send("task_request", { cancel: { task: raw(TASK), fence: 3, reason: "not needed" } });
    assert.deepEqual(await link.answered(), { cancelled: { reason: "not needed" } });
    await hold.aborted;
  });
});

scenario("a deadline ends a task, and one without time is refused", async (peer) => {
  const hold = held();
  await serving(worker(hold.handler), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 1, null, { leftNs: 50_000_000n });
    assert.equal(((await link.answered()) as { failed: { code: number } }).failed.code, 106);
    await hold.aborted;
    const message = id();
    link.send("task_request", request(TASK, 2), { message, leftNs: 0n });
    const { refusal, message: named, task } = (await link.take("error")).payload;
    assert.deepEqual([(refusal as { code: number }).code, named, task], [106, message, TASK]);
  });
});

scenario("no more tasks run at once than the card says", async (peer) => {
  const go = deferred<void>();
  let [now, most] = [0, 0];
  const work: Handler = async () => {
    most = Math.max(most, (now += 1));
    await go.promise;
    now -= 1;
  };
  await serving(worker(work, 2), peer, async (client) => {
    const link = await peer.accept();
    for (let number = 0; number < 4; number += 1) await link.give(id(), 1);
    link.send("task_request", request(TASK, 1), { message: id() });
    assert.deepEqual((await link.take("error")).payload["refusal"], { code: 200, text: "4 tasks are here", retry_after_ms: 1000 });
    assert.deepEqual(client.load(), { active: 2, queued: 2 });
    go.resolve();
    for (let number = 0; number < 4; number += 1) assert.deepEqual(await link.answered(), { completed: {} });
    assert.equal(most, 2);
  });
});

scenario("a newer fence takes over, an older one is stale, a repeated message has its effect once", async (peer) => {
  const go = deferred<void>();
  const began: unknown[] = [];
  const work: Handler = async (task) => {
    began.push(task.input);
    await (task.input === 5 ? new Promise(silent) : go.promise);
    return task.input;
  };
  await serving(worker(work, 2), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 5, 5);
    await link.give(TASK, 5, 5);
    const message = await link.give(TASK, 6, 6);
    link.send("task_request", request(TASK, 4), { message: id() });
    assert.equal(((await link.take("error")).payload["refusal"] as { code: number }).code, 110);
    go.resolve();
    const got = await link.take("task_response");
    assert.deepEqual([got.payload["fence"], got.payload["outcome"]], [6, { completed: { output: 6 } }]);
    await link.give(TASK, 6, 6, { message });
    assert.deepEqual(await link.since(), []);
    assert.deepEqual(began, [5, 6]);
  });
});

scenario("progress and partial output are reported in order, a wrong report is refused", async (peer) => {
  const work: Handler = async (_task, cx) => {
    await cx.progress(0.5, "half", "middle");
    cx.use({ tokensOut: 7 });
    await cx.stream({ line: 1 });
    await cx.progress(1.5);
  };
  await serving(worker(work), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 4);
    const [first, second] = [await link.take("progress_report"), await link.take("progress_report")];
    assert.deepEqual(first.payload, { task: TASK, fence: 4, sequence: 1, fraction: 0.5, text: "half", milestone: "middle" });
    const usage = { tokens_in: 0, tokens_out: 7, usd_micros: 0 };
    assert.deepEqual(second.payload, { task: TASK, fence: 4, sequence: 2, partial: { line: 1 }, usage });
    assert.deepEqual([first.streaming, second.streaming], [false, true]);
    const { failed } = (await link.answered()) as { failed: { text: string } };
    assert.match(failed.text, /^ProtocolError: progress_report\.fraction: 1\.5 is not in 0 to 1/);
  });
});

scenario("nothing is sent beyond the credit", async (peer) => {
  let called = 0;
  let reached = deferred<void>();
  const work: Handler = async (_task, cx) => {
    for (let number = 0; number < 4; number += 1) {
      called = number;
      reached.resolve();
      await cx.progress(undefined, String(number));
    }
  };
  const until = async (number: number): Promise<void> => {
    while (called < number) await (reached = deferred()).promise;
  };
  const texts = (got: { payload: Record<string, unknown> }[]): unknown[] => got.map((one) => one.payload["text"]);
  await serving(worker(work), peer, async () => {
    const link = await peer.accept({ credit: 2 });
    await link.give(TASK, 1);
    await until(2);
    assert.deepEqual(texts(await link.since()), ["0", "1"]);
    link.send("credit", { messages_total: 1 });
    assert.deepEqual(await link.since(), []);
    link.send("credit", { messages_total: 4 });
    await until(3);
    assert.deepEqual(texts([await link.take("progress_report"), await link.take("progress_report")]), ["2", "3"]);
    assert.deepEqual(await link.since(), []);
    link.send("credit", { messages_total: 5 });
    assert.deepEqual(await link.answered(), { completed: {} });
  });
});

scenario("an agent grants more before its credit is used up", async (peer) => {
  await serving(worker(echo), peer, async () => {
    const link = await peer.accept();
    for (let number = 0; number < 32; number += 1) {
      link.send("task_request", { cancel: { task: raw(TASK), fence: number } }, { message: id() });
      await link.take("ack");
    }
    assert.deepEqual((await link.take("credit")).payload, { messages_total: 96 });
  });
});

scenario("heartbeats go both ways, and silence is a cut", async (peer) => {
  const hold = held();
  await serving(worker(hold.handler), peer, async () => {
    const link = await peer.accept({ heartbeat_ms: 30 });
    link.send("heartbeat", { sequence: 41 });
    await link.give(TASK, 1);
    assert.deepEqual((await link.take("heartbeat")).payload, { sequence: 1, echo: 41, active: 1, queued: 0 });
    let got = await link.next();
    while (got.kind === "heartbeat") got = await link.next();
    assert.deepEqual([got.kind, got.payload], ["goodbye", { reason: "silent" }]);
    const again = await peer.accept({ resumed: true });
    assert.deepEqual(again.hello.payload["unfinished"], [TASK]);
  });
});

scenario("a task goes on over a cut", async (peer) => {
  const hold = held();
  await serving(worker(hold.handler), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 7);
    await hold.began;
    link.cut();
    const again = await peer.accept({ resumed: true });
    assert.deepEqual(again.hello.payload["unfinished"], [TASK]);
    hold.goOn();
    const got = await again.take("task_response");
    assert.deepEqual([got.payload["fence"], got.payload["outcome"]], [7, { completed: { output: "held" } }]);
  });
});

scenario("a response is sent again until it is acknowledged, and not after", async (peer) => {
  await serving(worker(echo), peer, async () => {
    let link = await peer.accept();
    await link.give(TASK, 1, "kept");
    const response = await link.take("task_response");
    link.cut();
    link = await peer.accept({ resumed: true });
    assert.deepEqual(link.hello.payload["unfinished"], [TASK]);
    const again = await link.take("task_response");
    assert.deepEqual([again.message, again.payload], [response.message, response.payload]);
    link.ack(again);
    assert.deepEqual(await link.since(), []);
  });
});

scenario("an acknowledged response is not sent again", async (peer) => {
  await serving(worker(echo), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 1);
    await link.answered();
    assert.deepEqual(await link.since(), []);
    link.cut();
    const again = await peer.accept({ resumed: true });
    assert.equal(again.hello.payload["unfinished"], undefined);
    assert.deepEqual(await again.since(), []);
  });
});

scenario("a session that is not resumed gives its tasks up", async (peer) => {
  const hold = held();
  await serving(worker(hold.handler), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 1);
    await hold.began;
    link.cut();
    const again = await peer.accept();
    await hold.aborted;
    assert.deepEqual(await again.since(), []);
    hold.goOn();
    await again.give(TASK, 2);
    assert.equal((await again.take("task_response")).payload["fence"], 2);
  });
});

scenario("a response that waits for credit ends with its session", async (peer) => {
  await serving(worker(echo), peer, async () => {
    const link = await peer.accept({ credit: 0 });
    await link.give(TASK, 1);
    assert.deepEqual(await link.since(), []);
    link.cut();
    const again = await peer.accept();
    // whoever waited for credit has had its turn once a second answer came
    assert.deepEqual([await again.since(), await again.since()], [[], []]);
  });
});

scenario("a repeated call has one ballot, and a repeated refusal is the same", async (peer) => {
  await serving(worker(echo).vote(async () => ({ choice: "ship" })), peer, async () => {
    const link = await peer.accept();
    const [voted, asked] = [id(), id()];
    for (let round = 0; round < 2; round += 1) {
      link.send("consensus_vote", { call: CALL }, { message: voted });
      link.send("coordination", { ask: { content: 1 } }, { message: asked });
    }
    const kinds = [await link.next(), await link.next(), await link.next(), ...(await link.since())].map((got) => got.kind);
    assert.deepEqual(kinds.sort(), ["consensus_vote", "error", "error"]);
  });
});

scenario("a stale response is dropped, a busy daemon gets it again", async (peer) => {
  await serving(worker(echo), peer, async () => {
    const link = await peer.accept();
    await link.give(TASK, 1);
    const stale = await link.take("task_response");
    link.send("error", { refusal: { code: 110 }, message: raw(stale.message) });
    await link.give(TASK, 2);
    const busy = await link.take("task_response");
    link.send("error", { refusal: { code: 200, retry_after_ms: 1 }, message: raw(busy.message) });
    assert.equal((await link.take("task_response")).message, busy.message);
    link.cut();
    const again = await peer.accept({ resumed: true });
    assert.equal((await again.take("task_response")).message, busy.message);
    assert.deepEqual(await again.since(), []);
  });
});

scenario("an agent that is fenced, dismissed or refused ends, one that is put off comes back", async (peer) => {
  const ends: [string, object, new (...given: never[]) => Error, RegExp][] = [
    ["goodbye", { reason: "fenced", text: "a newer process" }, Fenced, /a newer process.*own id/],
    ["goodbye", { reason: "misbehaved", text: "too many" }, Dismissed, /too many/],
    ["error", { refusal: { code: 103, text: "no such token" } }, Refused, /the connection was refused: no such token \(code 103\); check the token/],
  ];
  for (const [kind, payload, type, text] of ends) {
    const running = run(worker(echo), { url: peer.url, log: silent });
    const ended = assert.rejects(running, (error) => error instanceof type && text.test(error.message));
    const busy = await peer.hello();
    busy.send("error", { refusal: { code: 299, retry_after_ms: 1 } });
    (await peer.accept()).send(kind as "error", payload);
    await ended;
  }
});

scenario("a version that was not offered ends the agent", async (peer) => {
  const running = run(worker(echo), { url: peer.url, log: silent });
  const ended = assert.rejects(running, /version 2 was welcomed, 1 was offered/);
  await peer.accept({ version: 2 });
  await ended;
});

scenario("an agent that stops ends its tasks first", async (peer) => {
  const hold = held();
  const client = new Client(worker(hold.handler), { url: peer.url, log: silent });
  const running = client.run();
  const link = await peer.accept();
  await link.give(TASK, 1);
  client.stop(20_000);
  assert.deepEqual((await link.take("goodbye")).payload, { reason: "stopping", drain_ms: 20_000 });
  link.send("task_request", request(id(), 1), { message: id() });
  assert.equal(((await link.take("error")).payload["refusal"] as { code: number }).code, 301);
  hold.goOn();
  assert.deepEqual(await link.answered(), { completed: { output: "held" } });
  await running;
  await link.closed;
});

scenario("an agent that stops before it is welcomed leaves", async (peer) => {
  const client = new Client(worker(echo), { url: peer.url, log: silent });
  const running = client.run();
  const link = await peer.hello();
  client.stop();
  await running;
  await link.closed;
});

scenario("what does not end within the drain is cancelled", async (peer) => {
  const hold = held();
  const client = new Client(worker(hold.handler), { url: peer.url, log: silent });
  const running = client.run();
  const link = await peer.accept();
  await link.give(TASK, 1);
  await hold.began;
  client.stop(20);
  await link.take("goodbye");
  assert.deepEqual(await link.answered(), { cancelled: { reason: "the agent stops" } });
  await running;
});

scenario("a daemon that stops gets what is in progress", async (peer) => {
  const hold = held();
  const running = new Client(worker(hold.handler), { url: peer.url, log: silent }).run();
  const link = await peer.accept();
  await link.give(TASK, 1);
  link.send("goodbye", { reason: "stopping", drain_ms: 20_000 });
  hold.goOn();
  assert.deepEqual(await link.answered(), { completed: { output: "held" } });
  await running;
});

scenario("an emergency stop needs no credit and is acknowledged", async (peer) => {
  const scopes: [unknown, boolean][] = [
    ["everything", true],
    [{ run: raw(RUN) }, true],
    [{ task: raw(TASK) }, true],
    [{ run: raw(id()) }, false],
    [{ agent: raw(id()) }, false],
  ];
  for (const [scope, hit] of scopes) {
    const hold = held();
    await serving(worker(hold.handler), peer, async () => {
      const link = await peer.accept({ credit: 0 });
      await link.give(TASK, 1);
      await hold.began;
      const message = id();
      link.send("emergency_stop", { scope, reason: "wrong repository", grace_ms: 1000 }, { message });
      assert.deepEqual((await link.take("ack")).payload, { messages: [message] });
      link.send("credit", { messages_total: 1 });
      if (!hit) return assert.deepEqual(await link.since(), []);
      await hold.aborted;
      assert.deepEqual(await link.answered(), { cancelled: { reason: "emergency stop: wrong repository" } });
    });
  }
});

scenario("a vote is answered by a ballot of its form", async (peer) => {
  const ballots: [string, string | string[] | null, unknown][] = [
    ["one", "ship", { one: "ship" }],
    ["set", ["ship"], { set: ["ship"] }],
    ["ranking", ["hold", "ship"], { ranking: ["hold", "ship"] }],
    ["one", null, "abstain"],
  ];
  for (const [form, choice, wanted] of ballots) {
    const made = worker(echo).vote(async () => ({ choice, confidence: 0.9, reasoning: "all tests pass", evidence: [{ title: "ci" }] }));
    await serving(made, peer, async () => {
      const link = await peer.accept();
      const [message, sender, conversation] = [id(), id(), id()];
      for (const sequence of [1, 2]) {
        link.send("consensus_vote", { call: { ...CALL, form } }, { message: sequence === 1 ? message : id(), sender, conversation });
        const got = await link.take("consensus_vote");
        const rest = { confidence: 0.9, reasoning: "all tests pass", evidence: [{ title: "ci" }] };
        assert.deepEqual(got.payload, { cast: { proposal: TASK, voter: made.card.id, epoch: 2, sequence, choice: wanted, ...rest } });
        assert.deepEqual([got.recipient, got.conversation], [sender, conversation]);
      }
    });
  }
});

scenario("a ballot that does not fit, and a voter that is late or not there, are told", async (peer) => {
  const code = async (link: Link): Promise<number> => ((await link.take("error")).payload["refusal"] as { code: number }).code;
  const closed = deferred<unknown>();
  const never = worker(echo)
    .vote(() => new Promise(silent))
    .decided(async (close) => closed.resolve(close));
  await serving(worker(echo).vote(async () => ({ choice: "wait" })), peer, async () => {
    const link = await peer.accept();
    link.send("consensus_vote", { call: CALL }, { message: id() });
    assert.equal(await code(link), 112);
  });
  await serving(never, peer, async () => {
    const link = await peer.accept();
    link.send("consensus_vote", { call: CALL }, { message: id(), leftNs: 50_000_000n });
    assert.equal(await code(link), 106);
    link.send("consensus_vote", { close: { proposal: raw(TASK), outcome: "vetoed" } });
    assert.deepEqual(await closed.promise, { proposal: TASK, outcome: "vetoed" });
  });
  await serving(worker(echo), peer, async () => {
    const link = await peer.accept();
    link.send("consensus_vote", { call: CALL }, { message: id() });
    assert.equal(await code(link), 102);
  });
});

scenario("agents ask, answer, tell, open and publish", async (peer) => {
  const other = id();
  const heard = deferred<unknown>();
  const work: Handler = async (task, cx) => {
    const room = await cx.open([other], { topic: "release", messagesMax: 10, lastsMs: 2000 });
    await cx.tell(other, "hi", { conversation: room });
    const event = await cx.publish("reviewed", { lines: 3 }, { run: task.run });
    const said = await cx.ask(other, "ready?", { timeoutMs: 60_000, performative: "request" });
    const refused = await cx.ask(other, 1, { timeoutMs: 60_000 }).catch((error: unknown) => error instanceof Refused);
    const late = await cx.ask(other, 1, { timeoutMs: 20 }).catch((error: unknown) => error instanceof NoAnswer);
    return [room, event, said.content, refused, late];
  };
  const made = worker(work)
    .asked(async (said) => (said.performative === undefined ? { heard: said.content } : new Reply(1, "propose")))
    .told(async (said) => heard.resolve(said.content));
  await serving(made, peer, async () => {
    const link = await peer.accept();
    const message = id();
    link.send("coordination", { tell: { content: "good morning" } }, { message: id() });
    assert.equal(await heard.promise, "good morning");
    link.send("coordination", { ask: { topic: "plan", content: 7 } }, { message, sender: other });
    const reply = await link.take("coordination");
    assert.deepEqual([reply.payload, reply.answers, reply.recipient], [{ answer: { topic: "plan", content: { heard: 7 } } }, message, other]);
    await link.give(TASK, 1);
    const opened = await link.take("coordination");
    assert.deepEqual(opened.payload, { open: { topic: "release", members: [other], messages_max: 10, lasts_ms: 2000 } });
    const told = await link.take("coordination");
    assert.deepEqual([told.payload, told.recipient, told.conversation], [{ tell: { content: "hi" } }, other, opened.conversation]);
    const { event } = (await link.take("coordination")).payload as { event: { id: string; source: string; run: string } };
    assert.deepEqual([event.source, event.run], ["agent/worker", RUN]);
    const ask = await link.take("coordination");
    assert.ok(ask.tags.has(4) && ask.tags.get(6)?.[0] === 1);
    link.send("coordination", { answer: { content: "yes" } }, { answers: ask.message });
    const refused = await link.take("coordination");
    link.send("error", { refusal: { code: 104 }, message: raw(refused.message) });
    await link.take("coordination");
    assert.deepEqual(await link.answered(), { completed: { output: [opened.conversation, event.id, "yes", true, true] } });
  });
});

scenario("events are subscribed to and handled", async (peer) => {
  const seen: unknown[] = [];
  const both = deferred<void>();
  const made = worker(echo).on(["task_completed", "milestone_reached"], async (event, _cx: Context) => {
    if (seen.push(event.data) === 2) both.resolve();
  });
  await serving(made, peer, async () => {
    const link = await peer.accept();
    assert.deepEqual((await link.take("coordination")).payload, { subscribe: { types: ["task_completed", "milestone_reached"] } });
    for (const [type, data] of [["task_completed", 1], ["other", 2], ["milestone_reached", 3]])
      link.send("coordination", { event: { id: raw(id()), type, source: "bus", data } }, { message: id() });
    await both.promise;
    assert.deepEqual(seen, [1, 3]);
    link.cut();
    assert.deepEqual(await (await peer.accept({ resumed: true })).since(), []);
  });
});

scenario("garbage is refused and the agent goes on", async (peer) => {
  const body = Buffer.from([0xc1]);
  const garbage: (string | Buffer)[] = [Buffer.alloc(0), Buffer.alloc(63), header(0x10, 0, 0, {}, 9), header(0xee, 0, 0), header(0x10, 0, 5)];
  garbage.push(header(0x10, 2, 0), Buffer.concat([header(0x10, 1, 1), body]), Buffer.concat([header(0x10, 0, 1), body]));
  garbage.push("no json", "{}", "[".repeat(100_000), '{"type": [], "payload": 1}', `"${"x".repeat(900_000)}"`);
  const wrong: [unknown, number, RegExp][] = [
    [{ do: { fence: 1 } }, 100, /task_request\.do: the field task is missing/],
    [{ undo: {} }, 102, /the variant undo is not known/],
    [{ cancel: { task: "no-uuid", fence: 1 } }, 100, /8-4-4-4-12/],
    [{ cancel: { task: raw(TASK), fence: -1 } }, 100, /is not in 0 to/],
    [{ cancel: { task: raw(TASK), fence: true } }, 100, /an integer is expected/],
    [{ do: Array.from({ length: 70_000 }, () => "x") }, 101, /values/],
    [{ do: "x".repeat(1_100_000) }, 101, /1048576 are the limit/],
  ];
  await serving(worker(echo), peer, async () => {
    const link = await peer.accept();
    for (const data of garbage) {
      link.socket.send(data);
      assert.deepEqual(await link.since(), []);
    }
    for (const [payload, code, text] of wrong) {
      const message = id();
      link.send("task_request", payload, { message });
      const { refusal, message: named } = (await link.take("error")).payload as { refusal: { code: number; text: string }; message: string };
      assert.deepEqual([refusal.code, named], [code, message], refusal.text);
      assert.match(refusal.text, text);
    }
    await link.give(id(), 1, "well");
    assert.deepEqual(await link.answered(), { completed: { output: "well" } });
  });
});

scenario("text frames and batches are read too", async (peer) => {
  await serving(worker(echo, 3), peer, async () => {
    const link = await peer.accept();
    const task = `{"id": "${TASK}", "run": "${RUN}", "type": "review", "input": 9007199254740993}`;
    link.socket.send(`{"type": "task_request", "payload": {"do": {"fence": 18446744073709551615, "task": ${task}}}}`);
    const got = await link.take("task_response");
    assert.deepEqual(got.payload["outcome"], { completed: { output: 9007199254740992 } });
    const frames = [1, 2, 3].map((number) => frame("task_request", request(id(), 1, number)));
    const size = (length: number): Buffer => Buffer.from([0, 0, length >> 8, length & 255]);
    const body = Buffer.concat([size(3), ...frames.flatMap((one) => [size(one.length), one])]);
    link.socket.send(Buffer.concat([header(0x10, 4, body.length), body]));
    for (const number of [1, 2, 3]) assert.deepEqual(await link.answered(), { completed: { output: number } });
  });
});
