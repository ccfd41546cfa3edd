//! Every rule that a schema cannot express, broken once: the refusal names the field.

use serde_json::json;

use synod_protocol::{Code, Frame, Value};

const ID: &str = "00000000-0000-0000-0000-000000000001";

/// Reads a golden frame's text, replaces the value at a JSON pointer, and gives the refusal's text.
fn refused(golden: &str, pointer: &str, wrong: Value) -> String {
    let path = format!("{}/../tests/golden/{golden}.json", env!("CARGO_MANIFEST_DIR"));
    let mut text: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    *text.pointer_mut(&format!("/payload{pointer}")).unwrap() = wrong;
    let refusal = Frame::from_text(&text.to_string()).unwrap_err().refusal();
    assert_eq!(refusal.code, Code::Invalid);
    refusal.text
}

fn long_name() -> Value {
    "x".repeat(257).into()
}

fn long_text() -> Value {
    "x".repeat(65_537).into()
}

fn many(count: usize, entry: &Value) -> Value {
    vec![entry.clone(); count].into()
}

fn numbered(count: usize) -> Value {
    (0..count).map(|number| Value::from(number.to_string())).collect()
}

#[test]
fn rules_of_a_session_are_kept() {
    let card = |field: &str, wrong| refused("hello", &format!("/card{field}"), wrong);
    let named =
        |text: String, field: &str| assert!(text.contains(&format!("field {field} ")), "{text}");
    named(refused("hello", "/versions", many(257, &json!(1))), "versions");
    named(refused("hello", "/token", json!("a\u{7}b")), "token");
    named(refused("hello", "/codecs", many(4, &json!("zstd"))), "codecs");
    named(card("/id", json!("00000000-0000-0000-0000-000000000000")), "card.id");
    named(card("/name", json!("")), "card.name");
    named(card("/version", long_name()), "card.version");
    named(card("/role", json!("a\nb")), "card.role");
    named(card("/specialisation", long_name()), "card.specialisation");
    named(card("/capabilities", numbered(257)), "card.capabilities");
    named(card("/capabilities", json!([""])), "card.capabilities");
    named(card("/prices", many(4, &json!({"task": {"usd_micros": 1}}))), "card.prices");
    named(card("/concurrency", json!(65_537)), "card.concurrency");
    named(card("/labels", json!({"zone": "a\u{1b}[31m"})), "card.labels");
    let labels: serde_json::Map<_, _> =
        (0..65).map(|number| (number.to_string(), json!(""))).collect();
    named(card("/labels", labels.into()), "card.labels");
    named(refused("welcome", "/heartbeat_ms", json!(0)), "heartbeat_ms");
    named(refused("welcome", "/codecs", many(4, &json!("lz4"))), "codecs");
    named(refused("ack", "/messages", many(1025, &json!(ID))), "messages");
    named(refused("error", "/refusal/text", long_text()), "refusal.text");
    named(refused("goodbye", "/text", long_text()), "text");
}

#[test]
fn rules_of_work_are_kept() {
    let named =
        |text: String, field: &str| assert!(text.contains(&format!("field {field} ")), "{text}");
    let task = |field: &str, wrong| refused("task_request", &format!("/do/task{field}"), wrong);
    named(refused("task_request", "/do/attempt", json!(0)), "attempt");
    named(task("/type", json!("")), "type");
    named(task("/needs", numbered(257)), "needs");
    named(task("/labels", json!({"": "x"})), "labels");
    named(task("/estimate/complexity", json!(-1)), "estimate.complexity");
    named(refused("task_request_cancel", "/cancel/reason", long_text()), "reason");
    let response = |wrong| refused("task_response", "/outcome", wrong);
    named(response(json!({"cancelled": {"reason": long_text()}})), "outcome.reason");
    named(response(json!({"failed": {"code": 112, "text": long_text()}})), "outcome.text");
    named(response(json!({"rejected": {"code": 200, "text": long_text()}})), "outcome.text");
    let part = json!({"task": ID, "name": long_name(), "refusal": {"code": 112}});
    named(response(json!({"completed": {"failed_parts": [part]}})), "outcome.failed_parts.name");
    named(refused("progress_report", "/fraction", json!(1.01)), "fraction");
    named(refused("progress_report", "/milestone", json!("")), "milestone");
    named(refused("progress_report", "/text", long_text()), "text");
    named(refused("emergency_stop", "/reason", json!("")), "reason");
    named(refused("emergency_stop", "/reason", long_text()), "reason");
}

#[test]
fn rules_of_shared_state_are_kept() {
    let named =
        |text: String, field: &str| assert!(text.contains(&format!("field {field} ")), "{text}");
    let tick = |slot: u32, epoch: u32, counter: u64| json!({"slot": slot, "epoch": epoch, "counter": counter});
    let change = json!({"key": "k", "operation": "unset"});
    named(refused("state_update", "/document", json!("")), "document");
    named(refused("state_update", "/changes", json!([])), "changes");
    named(refused("state_update", "/changes", many(1025, &change)), "changes");
    named(refused("state_update", "/changes/0/key", json!("")), "changes.key");
    named(refused("state_update", "/changes/0/clock", json!([tick(1, 1, 0)])), "changes.clock");
    named(refused("state_sync_read", "/document", long_name()), "document");
    named(refused("state_sync_read", "/step/read/keys", numbered(257)), "step.keys");
    let disordered = json!([tick(2, 1, 1), tick(1, 9, 1)]);
    named(refused("state_sync_snapshot", "/step/snapshot/clock", disordered.clone()), "step.clock");
    let clocks: Value = (0..1025).map(|slot| tick(slot, 1, 1)).collect();
    for step in ["applied", "digest", "pull", "full"] {
        let fields = json!({step: {"version": 1, "hash": 1, "state": "", "clock": clocks}});
        named(refused("state_sync_read", "/step", fields), "step.clock");
    }
    named(refused("state_sync_push", "/step/push/from", disordered.clone()), "step.from");
    named(refused("state_sync_push", "/step/push/to", disordered), "step.to");
}

#[test]
fn rules_of_conversations_and_events_are_kept() {
    let named =
        |text: String, field: &str| assert!(text.contains(&format!("field {field} ")), "{text}");
    let act = |wrong| refused("coordination_join", "", wrong);
    for speech in ["tell", "ask", "answer", "broadcast"] {
        named(act(json!({speech: {"topic": long_name()}})), "topic");
    }
    named(act(json!({"open": {"topic": "a\rb", "members": []}})), "topic");
    named(act(json!({"open": {"members": [ID, ID]}})), "members");
    let crowd =
        (0..1025).map(|number| Value::from(format!("00000000-0000-0000-0000-{number:012}")));
    named(act(json!({"open": {"members": crowd.collect::<Value>()}})), "members");
    named(act(json!({"end": {"reason": long_text()}})), "reason");
    named(act(json!({"subscribe": {"types": []}})), "types");
    named(act(json!({"unsubscribe": {"types": [""]}})), "types");
    let event =
        |field: &str, wrong| refused("coordination_event", &format!("/event/{field}"), wrong);
    named(event("type", json!("")), "type");
    named(event("source", json!("")), "source");
    named(event("clock", json!([{"slot": 1, "epoch": 1, "counter": 0}])), "clock");
    named(event("metadata", json!({"": ""})), "metadata");
}

#[test]
fn rules_of_votes_are_kept() {
    let named =
        |text: String, field: &str| assert!(text.contains(&format!("field {field} ")), "{text}");
    let call =
        |field: &str, wrong| refused("consensus_vote_call", &format!("/call/{field}"), wrong);
    named(call("question", long_text()), "question");
    named(call("choices", json!([])), "choices");
    named(call("choices", json!(["a", "a"])), "choices");
    named(call("choices", numbered(257)), "choices");
    let cast = |field: &str, wrong| refused("consensus_vote", &format!("/cast/{field}"), wrong);
    named(cast("confidence", json!(-0.1)), "confidence");
    named(cast("reasoning", long_text()), "reasoning");
    named(cast("evidence", many(65, &json!({"title": "x"}))), "evidence");
    named(cast("evidence/0/title", long_text()), "evidence.title");
    named(cast("choice", json!({"one": ""})), "choice.one");
    named(cast("choice", json!({"set": ["a", "a"]})), "choice.set");
    named(cast("choice", json!({"ranking": [long_name()]})), "choice.ranking");
    named(refused("consensus_vote_close", "/close/reasoning", long_text()), "reasoning");
}

#[test]
fn unknown_variants_are_refused_and_unknown_fields_are_not() {
    for (golden, pointer, wrong) in [
        ("task_request", "", json!({"steal": {}})),
        ("task_response", "/outcome", json!("vanished")),
        ("state_update", "/changes/0/operation", json!({"multiply": {"by": 2}})),
        ("state_sync_read", "/step", json!("guess")),
        ("coordination_join", "", json!("shout")),
        ("consensus_vote", "/cast/choice", json!("maybe")),
        ("goodbye", "/reason", json!("bored")),
        ("emergency_stop", "/scope", json!("universe")),
    ] {
        assert!(refused(golden, pointer, wrong).contains("unknown variant"), "{golden}");
    }
    let newer = r#"{"type":"credit","payload":{"messages_total":1,"bytes_total":{"deep":[1,2]}}}"#;
    assert!(Frame::from_text(newer).is_ok());
}
