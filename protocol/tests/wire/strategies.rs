//! Arbitrary frames within the rules of their schemas.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

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
    Extension, FailedPart, Flags, Frame, Header, IdempotencyKey, Kind, MessageId, NodeId, Outcome,
    Payload, Performative, Price, Priority, ProposalId, Refusal, RunId, SessionId, Task, TaskId,
    Tick, TraceParent, Usage, Value,
};

pub(crate) fn header() -> impl Strategy<Value = Header> {
    let flags = any::<u16>().prop_filter_map("refused flags", |bits| Flags::from_bits(bits).ok());
    (select(Kind::EVERY), any::<[u128; 3]>(), any::<i64>(), flags, 0..=(1_u32 << 20)).prop_map(
        |(kind, [sender, recipient, conversation], timestamp_ns, flags, payload_size)| Header {
            kind,
            sender: ActorId::from_u128(sender),
            recipient: ActorId::from_u128(recipient),
            conversation: ConversationId::from_u128(conversation),
            timestamp_ns,
            flags,
            payload_size,
        },
    )
}

pub(crate) fn extension() -> impl Strategy<Value = Extension> {
    let trace = (1..=u128::MAX, 1..=u64::MAX, any::<u8>())
        .prop_map(|(trace, span, flags)| TraceParent::new(trace, span, flags));
    let key = "[a-zA-Z0-9:/é -]{1,60}".prop_map(|text| IdempotencyKey::new(text).unwrap());
    let message = || of(any::<u128>().prop_map(MessageId::from_u128));
    (
        message(),
        message(),
        of(trace),
        any::<Option<i64>>(),
        of(key),
        of(select(Performative::EVERY)),
    )
        .prop_map(
            |(message_id, in_reply_to, trace, deadline_ns, idempotency_key, performative)| {
                Extension {
                    message_id,
                    in_reply_to,
                    traceparent: trace.flatten(),
                    deadline_ns,
                    idempotency_key,
                    performative,
                }
            },
        )
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    (any::<[u128; 3]>(), any::<i64>(), any::<[bool; 2]>(), extension(), payload()).prop_map(
        |(
            [sender, recipient, conversation],
            timestamp_ns,
            [priority, streaming],
            extension,
            payload,
        )| Frame {
            sender: ActorId::from_u128(sender),
            recipient: ActorId::from_u128(recipient),
            conversation: ConversationId::from_u128(conversation),
            timestamp_ns,
            priority,
            streaming,
            extension,
            payload,
        },
    )
}

pub(crate) fn codec() -> impl Strategy<Value = Option<Codec>> {
    of(select(Codec::EVERY))
}

/// Every kind with equal chance.
pub(crate) fn payload() -> impl Strategy<Value = Payload> {
    let session = prop_oneof![
        hello().prop_map(Payload::from),
        welcome().prop_map(Payload::from),
        any::<(u64, u64, u32, u32)>().prop_map(|(sequence, echo, active, queued)| Heartbeat {
            sequence,
            echo,
            active,
            queued
        }
        .into()),
        vec(id().prop_map(MessageId::from_u128), 0..5).prop_map(|messages| Ack { messages }.into()),
        (refusal(), of(id()), of(id())).prop_map(|(refusal, message, task)| {
            ErrorReport {
                refusal,
                message: message.map(MessageId::from_u128),
                task: task.map(TaskId::from_u128),
            }
            .into()
        }),
        any::<u64>().prop_map(|messages_total| Credit { messages_total }.into()),
        (goodbye_reason(), text(), any::<u32>()).prop_map(|(reason, text, drain_ms)| Goodbye {
            reason,
            text,
            drain_ms
        }
        .into()),
    ];
    let work = prop_oneof![
        request().prop_map(Payload::from),
        (id(), any::<u64>(), outcome(), usage()).prop_map(|(task, fence, outcome, usage)| {
            TaskResponse { task: TaskId::from_u128(task), fence, outcome, usage }.into()
        }),
        progress().prop_map(Payload::from),
        (scope(), name(), any::<u32>()).prop_map(|(scope, reason, grace_ms)| EmergencyStop {
            scope,
            reason,
            grace_ms
        }
        .into()),
    ];
    let rest = prop_oneof![
        update().prop_map(Payload::from),
        (name(), step()).prop_map(|(document, step)| StateSync { document, step }.into()),
        coordination().prop_map(Payload::from),
        vote().prop_map(Payload::from),
    ];
    prop_oneof![7 => session, 4 => work, 4 => rest]
}

fn id() -> impl Strategy<Value = u128> {
    1..u128::MAX
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ._:äλ-]{1,12}"
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,24}|[\\n\"\\\\]{0,4}"
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec(name(), 0..4)
}

fn distinct_names(least: usize) -> impl Strategy<Value = Vec<String>> {
    btree_set(name(), least..4).prop_map(|set: BTreeSet<String>| set.into_iter().collect())
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(name(), name(), 0..3)
}

fn share() -> impl Strategy<Value = f64> {
    0.0..=1.0_f64
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has finite numbers only", |number| number.is_finite())
            .prop_map(Value::from),
        text().prop_map(Value::from),
        "[ab]{900,2000}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    (select(Code::EVERY), text(), any::<Option<u64>>())
        .prop_map(|(code, text, retry_after_ms)| Refusal { code, text, retry_after_ms })
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    btree_map(any::<(u32, u32)>(), 1..=u64::MAX, 0..4).prop_map(|map| {
        map.into_iter().map(|((slot, epoch), counter)| Tick { slot, epoch, counter }).collect()
    })
}

fn codecs() -> impl Strategy<Value = Vec<Codec>> {
    vec(select(Codec::EVERY), 0..3)
}

fn card() -> impl Strategy<Value = Card> {
    let price = prop_oneof![
        any::<u64>().prop_map(|usd_micros| Price::Task { usd_micros }),
        any::<u64>().prop_map(|usd_micros| Price::Hour { usd_micros }),
        any::<(u64, u64)>().prop_map(|(in_usd_micros, out_usd_micros)| Price::MillionTokens {
            in_usd_micros,
            out_usd_micros
        }),
    ];
    (id(), vec(name(), 4), names(), vec(price, 0..3), 1..=65_536_u32, labels()).prop_map(
        |(id, words, capabilities, prices, concurrency, labels)| Card {
            version: words[1].clone(),
            role: words[2].clone(),
            specialisation: words[3].clone(),
            capabilities,
            prices,
            concurrency,
            labels,
            ..Card::new(AgentId::from_u128(id), words[0].clone())
        },
    )
}

fn hello() -> impl Strategy<Value = Hello> {
    (
        vec(any::<u8>(), 0..4),
        name(),
        card(),
        any::<u64>(),
        codecs(),
        any::<u64>(),
        of(id()),
        vec(id(), 0..3),
    )
        .prop_map(
            |(versions, token, card, incarnation, codecs, credit, resume, unfinished)| Hello {
                versions,
                token: Token(token),
                card,
                incarnation,
                codecs,
                credit,
                resume: resume.map(SessionId::from_u128),
                unfinished: unfinished.into_iter().map(TaskId::from_u128).collect(),
            },
        )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    (
        any::<u8>(),
        id(),
        any::<bool>(),
        1..=u32::MAX,
        any::<u32>(),
        any::<u64>(),
        codecs(),
        any::<[u64; 5]>(),
    )
        .prop_map(
            |(version, session, resumed, heartbeat_ms, grace_ms, credit, codecs, limits)| {
                let [payload_bytes, inflated_bytes, text_bytes, values, depth] = limits;
                Welcome {
                    version,
                    session: SessionId::from_u128(session),
                    resumed,
                    heartbeat_ms,
                    grace_ms,
                    credit,
                    codecs,
                    limits: Limits { payload_bytes, inflated_bytes, text_bytes, values, depth },
                }
            },
        )
}

fn goodbye_reason() -> impl Strategy<Value = GoodbyeReason> {
    use GoodbyeReason::{Done, Fenced, Misbehaved, Restarting, Silent, Stopping};
    select(vec![Done, Stopping, Restarting, Fenced, Silent, Misbehaved])
}

fn task() -> impl Strategy<Value = Task> {
    use Priority::{Critical, High, Low, Normal};
    let budget =
        any::<[Option<u64>; 5]>().prop_map(|[tokens, usd_micros, wall_ms, messages, children]| {
            Budget { tokens, usd_micros, wall_ms, messages, children }
        });
    let estimate = (any::<Option<u64>>(), 0.0..1e9_f64, any::<u64>(), any::<bool>()).prop_map(
        |(duration_ms, complexity, data_bytes, cost_sensitive)| Estimate {
            duration_ms,
            complexity,
            data_bytes,
            cost_sensitive,
        },
    );
    let ids = (id(), id(), of(id()));
    let priority = select(vec![Low, Normal, High, Critical]);
    (ids, name(), value(), names(), priority, any::<Option<u64>>(), budget, estimate, labels())
        .prop_map(
            |(
                (id, run, parent),
                kind,
                input,
                needs,
                priority,
                deadline_ms,
                budget,
                estimate,
                labels,
            )| Task {
                parent: parent.map(TaskId::from_u128),
                needs,
                priority,
                deadline_ms,
                budget,
                estimate,
                labels,
                ..Task::new(TaskId::from_u128(id), RunId::from_u128(run), kind, input)
            },
        )
}

fn request() -> impl Strategy<Value = TaskRequest> {
    prop_oneof![
        (task(), any::<u64>(), 1..=u32::MAX, any::<Option<u64>>()).prop_map(
            |(task, fence, attempt, lease_ms)| {
                TaskRequest::Do(Box::new(Assignment { task, fence, attempt, lease_ms }))
            }
        ),
        (id(), any::<u64>(), text()).prop_map(|(task, fence, reason)| TaskRequest::Cancel {
            task: TaskId::from_u128(task),
            fence,
            reason
        }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let part = (id(), name(), refusal()).prop_map(|(task, name, refusal)| FailedPart {
        task: TaskId::from_u128(task),
        name,
        refusal,
    });
    prop_oneof![
        (value(), vec(part, 0..3))
            .prop_map(|(output, failed_parts)| Outcome::Completed { output, failed_parts }),
        refusal().prop_map(Outcome::Failed),
        Just(Outcome::TimedOut),
        text().prop_map(|reason| Outcome::Cancelled { reason }),
        refusal().prop_map(Outcome::Rejected),
        id().prop_map(|node| Outcome::NodeLost { node: NodeId::from_u128(node) }),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<[u64; 4]>().prop_map(|[tokens_in, tokens_out, usd_micros, wall_ms]| Usage {
        tokens_in,
        tokens_out,
        usd_micros,
        wall_ms,
    })
}

fn progress() -> impl Strategy<Value = ProgressReport> {
    (id(), any::<(u64, u64)>(), of(share()), text(), of(name()), value(), of(usage())).prop_map(
        |(task, (fence, sequence), fraction, text, milestone, partial, usage)| ProgressReport {
            task: TaskId::from_u128(task),
            fence,
            sequence,
            fraction,
            text,
            milestone,
            partial,
            usage,
        },
    )
}

fn scope() -> impl Strategy<Value = StopScope> {
    prop_oneof![
        Just(StopScope::Everything),
        id().prop_map(|run| StopScope::Run(RunId::from_u128(run))),
        id().prop_map(|task| StopScope::Task(TaskId::from_u128(task))),
        id().prop_map(|agent| StopScope::Agent(AgentId::from_u128(agent))),
        id().prop_map(|conversation| StopScope::Conversation(ConversationId::from_u128(
            conversation
        ))),
    ]
}

fn update() -> impl Strategy<Value = StateUpdate> {
    let operation = prop_oneof![
        any::<u64>().prop_map(|by| Operation::Increment { by }),
        any::<u64>().prop_map(|by| Operation::Decrement { by }),
        value().prop_map(|element| Operation::Add { element }),
        value().prop_map(|element| Operation::Remove { element }),
        value().prop_map(|value| Operation::Set { value }),
        Just(Operation::Unset),
    ];
    let change = (name(), operation, ticks()).prop_map(|(key, operation, clock)| Change {
        key,
        operation,
        clock,
    });
    (name(), vec(change, 1..4), any::<Option<u64>>()).prop_map(
        |(document, changes, expected_version)| StateUpdate { document, changes, expected_version },
    )
}

fn step() -> impl Strategy<Value = SyncStep> {
    let bytes = || vec(any::<u8>(), 0..40).prop_map(Bytes);
    prop_oneof![
        (names(), any::<[bool; 2]>()).prop_map(|(keys, [follow, own])| SyncStep::Read {
            keys,
            follow,
            own
        }),
        Just(SyncStep::Unfollow),
        (value(), any::<u64>(), ticks()).prop_map(|(value, version, clock)| SyncStep::Snapshot {
            value,
            version,
            clock
        }),
        (any::<u64>(), ticks()).prop_map(|(version, clock)| SyncStep::Applied { version, clock }),
        (any::<u64>(), value(), value(), any::<Option<u64>>()).prop_map(
            |(version, current, refused, ticket)| {
                SyncStep::Conflict { version, current, refused, ticket }
            }
        ),
        (ticks(), any::<u64>()).prop_map(|(clock, hash)| SyncStep::Digest { clock, hash }),
        ticks().prop_map(|clock| SyncStep::Pull { clock }),
        (ticks(), ticks(), bytes()).prop_map(|(from, to, delta)| SyncStep::Push {
            from,
            to,
            delta
        }),
        (ticks(), bytes()).prop_map(|(clock, state)| SyncStep::Full { clock, state }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let stamps = (any::<Option<i64>>(), of(id()));
    (id(), name(), name(), of(id()), of(id()), value(), stamps, ticks(), labels()).prop_map(
        |(id, kind, source, target, run, data, (published_at, coordinator), clock, metadata)| {
            Event {
                target: target.map(ActorId::from_u128),
                run: run.map(RunId::from_u128),
                data,
                published_at,
                coordinator_id: coordinator.map(ActorId::from_u128),
                clock,
                metadata,
                ..Event::new(EventId::from_u128(id), kind, source)
            }
        },
    )
}

fn coordination() -> impl Strategy<Value = Coordination> {
    let speech = || (name(), value()).prop_map(|(topic, content)| Speech { topic, content });
    let terms = (name(), btree_set(id(), 0..4), any::<Option<u64>>(), any::<Option<u64>>())
        .prop_map(|(topic, members, messages_max, lasts_ms)| Terms {
            topic,
            members: members.into_iter().map(ActorId::from_u128).collect(),
            messages_max,
            lasts_ms,
        });
    prop_oneof![
        speech().prop_map(Coordination::Tell),
        speech().prop_map(Coordination::Ask),
        speech().prop_map(Coordination::Answer),
        speech().prop_map(Coordination::Broadcast),
        terms.prop_map(Coordination::Open),
        Just(Coordination::Join),
        Just(Coordination::Leave),
        text().prop_map(|reason| Coordination::End { reason }),
        event().prop_map(Coordination::Event),
        distinct_names(1).prop_map(|types| Coordination::Subscribe { types }),
        distinct_names(1).prop_map(|types| Coordination::Unsubscribe { types }),
    ]
}

fn vote() -> impl Strategy<Value = ConsensusVote> {
    use VoteOutcome::{Consensus, InsufficientParticipation, NoDecision, TieBroken, Vetoed};
    let form = select(vec![BallotForm::One, BallotForm::Set, BallotForm::Ranking]);
    let proposal = (id(), any::<u32>(), text(), distinct_names(1), form, any::<bool>(), value())
        .prop_map(|(id, epoch, question, choices, form, revisable, context)| Proposal {
            id: ProposalId::from_u128(id),
            epoch,
            question,
            choices,
            form,
            revisable,
            context,
        });
    let choice = prop_oneof![
        name().prop_map(Choice::One),
        distinct_names(0).prop_map(Choice::Set),
        distinct_names(0).prop_map(Choice::Ranking),
        Just(Choice::Abstain),
    ];
    let evidence = (text(), of(text()), value()).prop_map(|(title, location, value)| Evidence {
        title,
        location,
        value,
    });
    let ballot =
        (id(), id(), any::<u32>(), any::<u64>(), choice, share(), text(), vec(evidence, 0..3))
            .prop_map(
                |(proposal, voter, epoch, sequence, choice, confidence, reasoning, evidence)| {
                    Ballot {
                        proposal: ProposalId::from_u128(proposal),
                        voter: AgentId::from_u128(voter),
                        epoch,
                        sequence,
                        choice,
                        confidence,
                        reasoning,
                        evidence,
                    }
                },
            );
    let outcome = select(vec![Consensus, TieBroken, NoDecision, InsufficientParticipation, Vetoed]);
    let decision =
        (id(), outcome, of(name()), text()).prop_map(|(proposal, outcome, choice, reasoning)| {
            Decision { proposal: ProposalId::from_u128(proposal), outcome, choice, reasoning }
        });
    prop_oneof![
        proposal.prop_map(ConsensusVote::Call),
        ballot.prop_map(ConsensusVote::Cast),
        decision.prop_map(ConsensusVote::Close),
    ]
}
