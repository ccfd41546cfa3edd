//! One frame for each thing that can be said: the source of the golden frames.

use std::collections::BTreeMap;

use synod_protocol::payload::coordination::{Coordination, Speech, Terms};
use synod_protocol::payload::session::{
    Ack, Credit, ErrorReport, Goodbye, GoodbyeReason, Heartbeat, Hello, Limits, Token, Welcome,
};
use synod_protocol::payload::state::{Change, Operation, StateSync, StateUpdate, SyncStep};
use synod_protocol::payload::vote::{
    Ballot, BallotForm, Choice, ConsensusVote, Decision, Evidence, Proposal, VoteOutcome,
};
use synod_protocol::payload::work::{
    Assignment, EmergencyStop, ProgressReport, StopScope, TaskRequest, TaskResponse,
};
use synod_protocol::{
    ActorId, AgentId, Budget, Bytes, Card, Code, Codec, ConversationId, Estimate, Event, EventId,
    Extension, FailedPart, Frame, IdempotencyKey, MessageId, NodeId, Outcome, Payload,
    Performative, Price, Priority, ProposalId, Refusal, RunId, SessionId, Task, TaskId, Tick,
    TraceParent, Usage, Value, event,
};

/// What one golden file holds.
pub(crate) enum Sample {
    One(Box<Frame>),
    Batch(Vec<Frame>),
}

/// Every golden file: its name, what it holds, and the codec that was allowed.
pub(crate) fn all() -> Vec<(String, Sample, Option<Codec>)> {
    let mut all: Vec<_> = payloads()
        .into_iter()
        .map(|(name, payload)| (name.to_owned(), Sample::One(Box::new(frame(payload))), None))
        .collect();
    let small = || vec![frame(heartbeat()), extended(), frame(credit())];
    all.push((String::from("with_extension"), Sample::One(Box::new(extended())), None));
    all.push((String::from("with_flags"), Sample::One(Box::new(flagged())), None));
    all.push((String::from("compressed_gzip"), Sample::One(Box::new(long())), Some(Codec::Gzip)));
    all.push((String::from("batch"), Sample::Batch(small()), Some(Codec::Gzip)));
    all.push((
        String::from("batch_gzip"),
        Sample::Batch(vec![flagged(), long()]),
        Some(Codec::Gzip),
    ));
    all
}

fn frame(payload: Payload) -> Frame {
    Frame {
        sender: ActorId::from_u128(0x0190_1111_1111_7111_8111_1111_1111_1111),
        recipient: ActorId::from_u128(0x0190_2222_2222_7222_8222_2222_2222_2222),
        conversation: ConversationId::from_u128(0x0190_3333_3333_7333_8333_3333_3333_3333),
        timestamp_ns: 1_700_000_000_000_000_000,
        ..Frame::new(payload)
    }
}

fn extended() -> Frame {
    let extension = Extension {
        message_id: Some(message(1)),
        in_reply_to: Some(message(2)),
        traceparent: TraceParent::new(
            0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            0x00f0_67aa_0ba9_02b7,
            1,
        ),
        deadline_ns: Some(1_700_000_060_000_000_000),
        idempotency_key: IdempotencyKey::new("deploy-2023-11-14").ok(),
        performative: Some(Performative::Propose),
    };
    let speech =
        Speech { topic: String::from("price"), content: serde_json::json!({"usd_micros": 1500}) };
    Frame { extension, ..frame(Coordination::Answer(speech).into()) }
}

fn flagged() -> Frame {
    let mut report = frame(progress());
    report.priority = true;
    report.streaming = true;
    report.recipient = ActorId::ALL;
    report
}

fn long() -> Frame {
    let lines: Vec<Value> =
        (0..200).map(|line| Value::from(format!("line {line} of a long text"))).collect();
    frame(
        Coordination::Broadcast(Speech {
            topic: String::from("text"),
            content: Value::from(lines),
        })
        .into(),
    )
}

fn payloads() -> Vec<(&'static str, Payload)> {
    vec![
        ("hello", hello()),
        ("welcome", welcome()),
        ("heartbeat", heartbeat()),
        ("ack", Ack { messages: vec![message(1), message(2)] }.into()),
        ("error", error()),
        ("credit", credit()),
        ("goodbye", goodbye()),
        ("task_request", request()),
        ("task_request_cancel", cancel()),
        ("task_response", response(outcome_completed())),
        (
            "task_response_failed",
            response(Outcome::Failed(Refusal::new(Code::Failed, "2 of 9 tests fail"))),
        ),
        ("task_response_timed_out", response(Outcome::TimedOut)),
        ("task_response_node_lost", response(Outcome::NodeLost { node: NodeId::from_u128(5) })),
        ("state_update", update()),
        (
            "state_sync_read",
            sync(SyncStep::Read { keys: vec![String::from("done")], follow: true, own: false }),
        ),
        ("state_sync_unfollow", sync(SyncStep::Unfollow)),
        ("state_sync_snapshot", sync(snapshot())),
        ("state_sync_conflict", sync(conflict())),
        (
            "state_sync_push",
            sync(SyncStep::Push { from: clock(3), to: clock(5), delta: Bytes(vec![1, 2, 0xff]) }),
        ),
        ("coordination_open", open()),
        (
            "coordination_ask",
            Coordination::Ask(Speech { topic: String::from("plan"), content: 7.into() }).into(),
        ),
        ("coordination_join", Coordination::Join.into()),
        ("coordination_event", Coordination::Event(published()).into()),
        (
            "coordination_subscribe",
            Coordination::Subscribe { types: vec![event::TASK_COMPLETED.to_owned()] }.into(),
        ),
        ("consensus_vote_call", ConsensusVote::Call(proposal()).into()),
        ("consensus_vote", ConsensusVote::Cast(ballot(Choice::One(String::from("ship")))).into()),
        ("consensus_vote_ranking", ranking()),
        ("consensus_vote_abstain", ConsensusVote::Cast(ballot(Choice::Abstain)).into()),
        ("consensus_vote_close", close()),
        ("progress_report", progress()),
        ("emergency_stop", stop()),
    ]
}

fn hello() -> Payload {
    let card = Card {
        version: String::from("1.2.0"),
        role: String::from("worker"),
        specialisation: String::from("rust"),
        capabilities: vec![String::from("review"), String::from("lang:rust")],
        prices: vec![
            Price::Task { usd_micros: 250 },
            Price::MillionTokens { in_usd_micros: 150_000, out_usd_micros: 600_000 },
        ],
        concurrency: 4,
        labels: BTreeMap::from([(String::from("zone"), String::from("eu"))]),
        ..Card::new(agent(1), "reviewer")
    };
    let token = Token(String::from("not-a-real-token"));
    let (resume, unfinished) = (Some(SessionId::from_u128(11)), vec![TaskId::from_u128(12)]);
    Hello {
        versions: vec![1],
        token,
        card,
        incarnation: 3,
        codecs: vec![Codec::Zstd, Codec::Lz4],
        credit: 64,
        resume,
        unfinished,
    }
    .into()
}

fn welcome() -> Payload {
    Welcome {
        version: 1,
        session: SessionId::from_u128(11),
        resumed: true,
        heartbeat_ms: 1000,
        grace_ms: 30_000,
        credit: 256,
        codecs: vec![Codec::Zstd],
        limits: Limits::default(),
    }
    .into()
}

fn heartbeat() -> Payload {
    Heartbeat { sequence: 7, echo: 6, active: 2, queued: 1 }.into()
}

fn credit() -> Payload {
    Credit { messages_total: 512 }.into()
}

fn error() -> Payload {
    let refusal = Refusal::new(Code::Overloaded, "64 tasks wait")
        .after(std::time::Duration::from_millis(250));
    ErrorReport { refusal, message: Some(message(1)), task: Some(TaskId::from_u128(12)) }.into()
}

fn goodbye() -> Payload {
    Goodbye { reason: GoodbyeReason::Restarting, text: String::from("new version"), drain_ms: 5000 }
        .into()
}

fn request() -> Payload {
    let task = Task {
        parent: Some(TaskId::from_u128(10)),
        needs: vec![String::from("lang:rust")],
        priority: Priority::High,
        deadline_ms: Some(1_700_000_060_000),
        budget: Budget { tokens: Some(20_000), usd_micros: Some(500_000), ..Budget::default() },
        estimate: Estimate {
            duration_ms: Some(1500),
            complexity: 2.5,
            data_bytes: 4096,
            cost_sensitive: true,
        },
        labels: BTreeMap::from([(String::from("team"), String::from("core"))]),
        ..Task::new(
            TaskId::from_u128(12),
            RunId::from_u128(13),
            "review",
            serde_json::json!({"files": ["a.rs", "b.rs"]}),
        )
    };
    TaskRequest::Do(Box::new(Assignment { task, fence: 9, attempt: 2, lease_ms: Some(10_000) }))
        .into()
}

fn cancel() -> Payload {
    TaskRequest::Cancel {
        task: TaskId::from_u128(12),
        fence: 9,
        reason: String::from("the run was cancelled"),
    }
    .into()
}

fn outcome_completed() -> Outcome {
    let refusal = Refusal::new(Code::AgentLost, "killed by signal 9");
    Outcome::Completed {
        output: serde_json::json!({"findings": [{"line": 3, "rule": "unwrap"}], "score": 0.25}),
        failed_parts: vec![FailedPart {
            task: TaskId::from_u128(14),
            name: String::from("b.rs"),
            refusal,
        }],
    }
}

fn response(outcome: Outcome) -> Payload {
    let usage = Usage { tokens_in: 1200, tokens_out: 340, usd_micros: 384, wall_ms: 812 };
    TaskResponse { task: TaskId::from_u128(12), fence: 9, outcome, usage }.into()
}

fn update() -> Payload {
    let operations = [
        Operation::Increment { by: 2 },
        Operation::Decrement { by: 1 },
        Operation::Add { element: "a.rs".into() },
        Operation::Remove { element: "b.rs".into() },
        Operation::Set { value: serde_json::json!({"state": "green"}) },
        Operation::Unset,
    ];
    let change = |operation| Change { key: String::from("done"), operation, clock: clock(3) };
    let changes = operations.into_iter().map(change).collect();
    StateUpdate { document: String::from("plan"), changes, expected_version: Some(41) }.into()
}

fn sync(step: SyncStep) -> Payload {
    StateSync { document: String::from("plan"), step }.into()
}

fn snapshot() -> SyncStep {
    SyncStep::Snapshot { value: serde_json::json!({"done": 3}), version: 42, clock: clock(5) }
}

fn conflict() -> SyncStep {
    SyncStep::Conflict {
        version: 42,
        current: "blue".into(),
        refused: "green".into(),
        ticket: Some(6),
    }
}

fn clock(counter: u64) -> Vec<Tick> {
    vec![Tick { slot: 0, epoch: 1, counter }, Tick { slot: 2, epoch: 4, counter: 8 }]
}

fn open() -> Payload {
    Coordination::Open(Terms {
        topic: String::from("release 2"),
        members: vec![ActorId::from(agent(1)), ActorId::from(agent(2))],
        messages_max: Some(1000),
        lasts_ms: Some(600_000),
    })
    .into()
}

fn published() -> Event {
    let mut event = Event::new(EventId::from_u128(15), event::TASK_COMPLETED, "agent/reviewer");
    event.target = Some(event::Target::Actor(ActorId::from(agent(2))));
    event.run = Some(RunId::from_u128(13));
    event.data = serde_json::json!({"task": "b.rs"});
    event.clock = clock(5);
    event.metadata = BTreeMap::from([(String::from("team"), String::from("core"))]);
    event.publish(1_700_000_001_000_000_000, ActorId::from_u128(16));
    event
}

fn proposal() -> Proposal {
    Proposal {
        id: ProposalId::from_u128(17),
        epoch: 1,
        question: String::from("Is release 2 ready?"),
        choices: vec![String::from("ship"), String::from("hold")],
        form: BallotForm::One,
        revisable: true,
        context: serde_json::json!({"failed_tests": 0}),
    }
}

fn ballot(choice: Choice) -> Ballot {
    let evidence = Evidence {
        title: String::from("tests"),
        location: Some(String::from("ci/812")),
        value: serde_json::json!({"passed": 412}),
    };
    Ballot {
        proposal: ProposalId::from_u128(17),
        voter: agent(1),
        epoch: 1,
        sequence: 2,
        choice,
        confidence: 0.9,
        reasoning: String::from("all tests pass"),
        evidence: vec![evidence],
    }
}

fn ranking() -> Payload {
    ConsensusVote::Cast(ballot(Choice::Ranking(vec![String::from("hold"), String::from("ship")])))
        .into()
}

fn close() -> Payload {
    ConsensusVote::Close(Decision {
        proposal: ProposalId::from_u128(17),
        outcome: VoteOutcome::TieBroken,
        choice: Some(String::from("hold")),
        reasoning: String::from("a tie; holding is the safe choice"),
    })
    .into()
}

fn progress() -> Payload {
    ProgressReport {
        task: TaskId::from_u128(12),
        fence: 9,
        sequence: 4,
        fraction: Some(0.5),
        text: String::from("5 of 10 files"),
        milestone: Some(String::from("half")),
        partial: serde_json::json!(["a.rs"]),
        usage: Some(Usage { tokens_in: 600, ..Usage::default() }),
    }
    .into()
}

fn stop() -> Payload {
    let scope = StopScope::Run(RunId::from_u128(13));
    EmergencyStop { scope, reason: String::from("wrong repository"), grace_ms: 2000 }.into()
}

fn message(number: u128) -> MessageId {
    MessageId::from_u128(0x0190_4444_4444_7444_8444_4444_4444_0000 + number)
}

fn agent(number: u128) -> AgentId {
    AgentId::from_u128(0x0190_5555_5555_7555_8555_5555_5555_0000 + number)
}
