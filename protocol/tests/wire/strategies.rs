//! Arbitrary frames within the rules of their schemas.

mod shared;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use synod_protocol::payload::session::{
    Ack, Credit, ErrorReport, Goodbye, GoodbyeReason, Heartbeat, Hello, Limits, Token, Welcome,
};
use synod_protocol::payload::state::StateSync;
use synod_protocol::payload::work::{EmergencyStop, TaskResponse};
use synod_protocol::{
    ActorId, AgentId, Card, Code, Codec, ConversationId, Extension, Flags, Frame, Header,
    IdempotencyKey, Kind, MessageId, Payload, Performative, Price, Refusal, SessionId, TaskId,
    Tick, TraceParent, Value,
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
        work::request().prop_map(Payload::from),
        (id(), any::<u64>(), work::outcome(), work::usage()).prop_map(
            |(task, fence, outcome, usage)| {
                TaskResponse { task: TaskId::from_u128(task), fence, outcome, usage }.into()
            }
        ),
        work::progress().prop_map(Payload::from),
        (work::scope(), name(), any::<u32>()).prop_map(|(scope, reason, grace_ms)| {
            EmergencyStop { scope, reason, grace_ms }.into()
        }),
    ];
    let rest = prop_oneof![
        shared::update().prop_map(Payload::from),
        (name(), shared::step()).prop_map(|(document, step)| StateSync { document, step }.into()),
        shared::coordination().prop_map(Payload::from),
        shared::vote().prop_map(Payload::from),
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
