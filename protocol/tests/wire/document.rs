//! docs/PROTOCOL.md says what the code does: its tables and its examples are checked here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use synod_protocol::{
    ActorId, Code, ConversationId, Flags, Frame, HEADER_LEN, Header, Kind, Performative, Value,
    limits,
};

use crate::samples::{self, Sample};

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md")).unwrap()
}

/// The rows of the table under a heading, each as its trimmed cells without backticks; the table's head is left out.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = document.split_once(&format!("\n## {heading}\n")).unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.skip(2).map(cells).collect()
}

#[test]
fn the_header_table_gives_the_offset_and_length_of_every_field() {
    let mut header = Header {
        kind: Kind::Hello,
        sender: ActorId::NIL,
        recipient: ActorId::NIL,
        conversation: ConversationId::NIL,
        timestamp_ns: 0,
        flags: Flags::NONE,
        payload_size: 0,
    };
    let zero = header.encode();
    header.kind = Kind::EmergencyStop;
    header.sender = ActorId::ALL;
    header.recipient = ActorId::ALL;
    header.conversation = ConversationId::ALL;
    header.timestamp_ns = -1;
    header.flags = Flags::from_bits(0b11_1101 | 2 << 8).unwrap();
    header.payload_size = u32::from_be_bytes([0, 0x0f, 0xff, 0xff]);
    let full = header.encode();
    let mut end = 0;
    for row in table(&document(), "Header") {
        let (offset, length): (usize, usize) = (row[0].parse().unwrap(), row[1].parse().unwrap());
        assert_eq!(offset, end, "{row:?} follows the field before it");
        end = offset + length;
        if row[2] == "version" {
            assert_eq!(zero[offset], 1);
        } else {
            let last = end - 1;
            assert_ne!(zero[last], full[last], "{row:?} ends where the code writes it");
        }
    }
    assert_eq!(end, HEADER_LEN);
    let names: Vec<_> =
        table(&document(), "Header").into_iter().map(|mut row| row.remove(2)).collect();
    let fields = [
        "version",
        "type",
        "sender",
        "recipient",
        "conversation",
        "timestamp_ns",
        "flags",
        "payload_size",
    ];
    assert_eq!(names, fields);
}

#[test]
fn the_golden_vector_of_the_document_decodes() {
    let document = document();
    let hex = document
        .lines()
        .find(|line| line.len() == 2 * HEADER_LEN && line.starts_with("0131"))
        .unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    let header = Header::decode(&std::array::from_fn(byte)).unwrap();
    assert_eq!(
        (header.kind, header.sender, header.payload_size),
        (Kind::ConsensusVote, ActorId::from_u128(1), 5)
    );
}

#[test]
fn the_table_of_kinds_is_the_codes() {
    let rows = table(&document(), "Kinds");
    let documented: Vec<_> =
        rows.iter().map(|row| (row[0].clone(), row[1].clone(), row[3].clone())).collect();
    let credit = |kind: &Kind| if kind.takes_credit() { "yes" } else { "no" }.to_owned();
    let coded: Vec<_> = Kind::EVERY
        .iter()
        .map(|kind| (format!("0x{:02x}", kind.byte()), kind.to_string(), credit(kind)))
        .collect();
    assert_eq!(documented, coded);
}

#[test]
fn the_table_of_refusals_is_the_codes() {
    let documented: Vec<_> = table(&document(), "Refusals")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let coded: Vec<_> =
        Code::EVERY.iter().map(|code| (code.number().to_string(), code.to_string())).collect();
    assert_eq!(documented, coded);
}

#[test]
fn the_table_of_performatives_is_the_codes() {
    let documented: Vec<_> = table(&document(), "Performatives")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let word = |act: &Performative| serde_json::to_value(act).unwrap().as_str().unwrap().to_owned();
    let coded: Vec<_> =
        Performative::EVERY.iter().map(|act| ((*act as u8).to_string(), word(act))).collect();
    assert_eq!(documented, coded);
}

#[test]
fn the_table_of_limits_is_the_codes() {
    let documented: Vec<_> = table(&document(), "Limits")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].replace(',', "")))
        .collect();
    let coded = [
        ("payload_size", limits::PAYLOAD_BYTES_MAX),
        ("payload after inflating", limits::INFLATED_BYTES_MAX),
        ("inflated / compressed", limits::INFLATE_RATIO_MAX),
        ("compressed only above", limits::COMPRESS_ABOVE_BYTES),
        ("text frame", limits::TEXT_FRAME_BYTES_MAX),
        ("depth", limits::DEPTH_MAX),
        ("values", limits::VALUES_MAX),
        ("messages in a batch", limits::BATCH_MESSAGES_MAX),
        ("extension block", limits::EXTENSION_BYTES_MAX),
        ("idempotency key", limits::IDEMPOTENCY_KEY_BYTES_MAX),
        ("name", limits::NAME_BYTES_MAX),
        ("text", limits::TEXT_BYTES_MAX),
        ("names in a list", limits::NAMES_MAX),
        ("labels", limits::LABELS_MAX),
        ("concurrency", limits::CONCURRENCY_MAX as usize),
        ("members of a conversation", limits::MEMBERS_MAX),
        ("changes in an update", limits::CHANGES_MAX),
        ("entries of a vector clock", limits::TICKS_MAX),
        ("choices", limits::CHOICES_MAX),
        ("evidence", limits::EVIDENCE_MAX),
        ("text of a refusal", limits::REFUSAL_TEXT_BYTES_MAX),
    ];
    let coded: Vec<_> = coded.map(|(name, limit)| (name.to_owned(), limit.to_string())).to_vec();
    assert_eq!(documented, coded);
}

#[test]
fn every_kind_has_an_example_and_every_example_is_a_frame() {
    let document = document();
    let examples =
        document.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut kinds = BTreeSet::new();
    for example in examples {
        let frame = Frame::from_text(example)
            .unwrap_or_else(|problem| panic!("{}\n{example}", problem.refusal()));
        assert_eq!(Frame::decode(&frame.encode(None).unwrap()).unwrap(), frame);
        kinds.insert(frame.kind());
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Kind::EVERY);
}

#[test]
fn every_field_that_is_ever_written_is_described() {
    let document = document();
    let mut undescribed = BTreeSet::new();
    for (_, sample, _) in samples::all() {
        if let Sample::One(frame) = sample {
            let text = serde_json::from_str(&frame.to_text().unwrap()).unwrap();
            for_each_key(&text, &mut |key| {
                if !document.contains(&format!("`{key}`")) {
                    undescribed.insert(key.to_owned());
                }
            });
        }
    }
    assert_eq!(undescribed, BTreeSet::new());
}

/// Visits the keys of the schema, not those of values that belong to the user.
fn for_each_key(value: &Value, visit: &mut impl FnMut(&str)) {
    const FREE: [&str; 12] = [
        "input", "output", "content", "value", "element", "current", "refused", "context",
        "partial", "data", "labels", "metadata",
    ];
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                visit(key);
                if !FREE.contains(&key.as_str()) {
                    for_each_key(inner, visit);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| for_each_key(inner, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
