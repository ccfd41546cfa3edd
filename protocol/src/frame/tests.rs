//! Tests of frames: layout, limits, the seed's fault.

use super::*;
use crate::payload::coordination::{Coordination, Speech};
use crate::payload::session::{Ack, Heartbeat};
use crate::refusal::Code;
use crate::{MessageId, Value};

fn heartbeat() -> Frame {
    Frame {
        sender: ActorId::from_u128(1),
        timestamp_ns: 2,
        ..Frame::new(Heartbeat { sequence: 3, ..Heartbeat::default() })
    }
}

/// A message whose content is a text of words that compress well, but not a hundredfold.
fn speech(bytes: usize) -> Frame {
    let words = (0_u32..).map(|word| format!("{:x} ", word.wrapping_mul(2_654_435_761) >> 20));
    let mut content = String::new();
    for word in words {
        if content.len() + word.len() > bytes {
            break;
        }
        content.push_str(&word);
    }
    Frame::new(Coordination::Tell(Speech { topic: String::new(), content: Value::String(content) }))
}

/// The rule that the seed's sketch broke: the header says what follows it.
fn header_tells_the_truth(bytes: &[u8]) -> bool {
    let header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
    let body = &bytes[HEADER_LEN..];
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    header.payload_size as usize == body.len()
        && header.flags.contains(Flags::COMPRESSED) == is_gzip
}

#[test]
fn the_seeds_encode_fault_is_caught_the_header_is_written_after_compressing() {
    let frame = speech(5000);
    // The naive form: header first, then compression, whose flag and size the header never learns.
    let naive = || {
        let packed = frame.payload.to_packed().unwrap();
        let mut header = frame.header();
        header.payload_size = u32::try_from(packed.len()).unwrap();
        let mut bytes = header.encode().to_vec();
        bytes.extend(compress(Codec::Gzip, &packed).unwrap_or(packed));
        bytes
    };
    assert!(!header_tells_the_truth(&naive()));
    assert!(matches!(Frame::decode(&naive()), Err(DecodeError::Size { .. })));

    let right = frame.encode(Some(Codec::Gzip)).unwrap();
    assert!(header_tells_the_truth(&right));
    assert_eq!(Frame::decode(&right).unwrap(), frame);
}

#[test]
fn a_small_frame_is_the_header_and_plain_messagepack() {
    let bytes = heartbeat().encode(Some(Codec::Gzip)).unwrap();
    let packed =
        rmp_serde::to_vec_named(&Heartbeat { sequence: 3, ..Heartbeat::default() }).unwrap();
    assert_eq!(&bytes[HEADER_LEN..], packed);
    assert_eq!(bytes[1], 0x03);
    assert_eq!(Frame::decode(&bytes).unwrap(), heartbeat());
}

#[test]
fn every_codec_carries_a_frame_and_the_extension_stays_plain() {
    for codec in Codec::EVERY.iter().copied().filter(|codec| codec.is_built_in()) {
        let mut frame = Frame::new(Ack { messages: vec![MessageId::from_u128(9); 200] });
        frame.extension.message_id = Some(MessageId::from_u128(0x0102_0304));
        let bytes = frame.encode(Some(codec)).unwrap();
        let header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(header.flags.codec(), Some(codec));
        assert!(bytes[HEADER_LEN..].starts_with(&frame.extension.encode()));
        assert_eq!(Frame::decode(&bytes).unwrap(), frame);
    }
}

#[test]
fn bytes_too_few_or_too_many_are_refused() {
    let bytes = heartbeat().encode(None).unwrap();
    for len in 0..bytes.len() {
        assert!(Frame::decode(&bytes[..len]).is_err(), "{len}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Frame::decode(&longer), Err(DecodeError::Size { .. })));
}

#[test]
fn a_payload_of_one_mebibyte_passes_and_a_larger_one_only_compressed() {
    let fits = |bytes: usize, codec| {
        let content = Value::String("x".repeat(bytes));
        Frame::new(Coordination::Tell(Speech { topic: String::new(), content })).encode(codec)
    };
    let overhead = fits(70_000, None).unwrap().len() - HEADER_LEN - 70_000;
    let most = PAYLOAD_BYTES_MAX - overhead;
    assert!(Frame::decode(&fits(most, None).unwrap()).is_ok());
    assert!(matches!(fits(most + 1, None), Err(EncodeError::TooLarge { .. })));
    let over = fits(INFLATED_BYTES_MAX + 1, Some(Codec::Gzip));
    assert!(matches!(over, Err(EncodeError::TooLarge { max: INFLATED_BYTES_MAX, .. })));
    let large = speech(3 * PAYLOAD_BYTES_MAX / 2);
    assert!(large.encode(None).is_err());
    assert_eq!(Frame::decode(&large.encode(Some(Codec::Gzip)).unwrap()).unwrap(), large);
}

#[test]
fn a_batch_round_trips_plain_and_compressed_and_holds_no_batch() {
    let frames = vec![heartbeat(), speech(3000), heartbeat()];
    for codec in [None, Some(Codec::Gzip)] {
        let bytes = Frame::encode_batch(&frames, codec).unwrap();
        assert_eq!(Frame::decode_all(&bytes).unwrap(), frames);
        assert!(matches!(Frame::decode(&bytes), Err(DecodeError::Batch { offset: 58, .. })));
    }
    assert_eq!(Frame::decode_all(&heartbeat().encode(None).unwrap()).unwrap(), [heartbeat()]);

    let wrap = |inner: &[u8]| {
        let body = [
            &1_u32.to_be_bytes(),
            u32::try_from(inner.len()).unwrap().to_be_bytes().as_slice(),
            inner,
        ]
        .concat();
        let mut header = heartbeat().header();
        header.flags = Flags::BATCH;
        assemble(header, &Extension::default(), &body, None).unwrap()
    };
    assert_eq!(
        Frame::decode_all(&wrap(&heartbeat().encode(None).unwrap())).unwrap(),
        [heartbeat()]
    );
    let nested = wrap(&Frame::encode_batch(&frames, None).unwrap());
    let compressed = wrap(&speech(3000).encode(Some(Codec::Gzip)).unwrap());
    for refused in [nested, compressed] {
        let problem = Frame::decode_all(&refused).unwrap_err();
        assert!(problem.to_string().contains("batched or compressed"), "{problem}");
    }
}

#[test]
fn a_batch_of_none_of_too_many_or_cut_off_is_refused() {
    assert!(matches!(Frame::encode_batch(&[], None), Err(EncodeError::BatchCount { .. })));
    let many = vec![heartbeat(); crate::limits::BATCH_MESSAGES_MAX + 1];
    assert!(matches!(Frame::encode_batch(&many, None), Err(EncodeError::BatchCount { .. })));
    assert!(Frame::encode_batch(&many[1..], None).is_ok());

    let bytes = Frame::encode_batch(&[heartbeat(), heartbeat()], None).unwrap();
    let with_size = |body: &[u8]| {
        let mut header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
        header.payload_size = u32::try_from(body.len()).unwrap();
        [header.encode().as_slice(), body].concat()
    };
    for len in HEADER_LEN..bytes.len() {
        assert!(Frame::decode_all(&with_size(&bytes[HEADER_LEN..len])).is_err(), "{len}");
    }
    let longer = [&bytes[HEADER_LEN..], &[0]].concat();
    assert!(Frame::decode_all(&with_size(&longer)).is_err());
}

#[test]
fn a_batch_that_claims_too_many_messages_or_has_an_extension_is_refused() {
    let mut bytes = Frame::encode_batch(&[heartbeat()], None).unwrap();
    bytes[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&1025_u32.to_be_bytes());
    assert!(matches!(Frame::decode_all(&bytes), Err(DecodeError::Batch { offset: 0, .. })));

    let header = Header { flags: Flags::BATCH, ..heartbeat().header() };
    let extension = Extension { message_id: Some(MessageId::from_u128(1)), ..Extension::default() };
    let refused = assemble(header, &extension, &[0, 0, 0, 0], None).unwrap();
    let problem = Frame::decode_all(&refused).unwrap_err();
    assert!(problem.to_string().contains("has an extension block"), "{problem}");
}

#[test]
fn the_values_of_a_batch_count_together() {
    let half = Value::Array(vec![Value::Null; 40_000]);
    let frame = Frame::new(Coordination::Tell(Speech { topic: String::new(), content: half }));
    assert!(frame.encode(None).is_ok());
    assert!(matches!(
        Frame::encode_batch(&[frame.clone(), frame.clone()], None),
        Err(EncodeError::Scan(_))
    ));
    let message = frame.encode(None).unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&2_u32.to_be_bytes(), &length, message.as_slice(), &length, &message].concat();
    let header = Header { flags: Flags::BATCH, ..frame.header() };
    let bytes = assemble(header, &Extension::default(), &body, None).unwrap();
    assert_eq!(Frame::decode_all(&bytes).unwrap_err().refusal().code, Code::TooLarge);
}

#[test]
fn binary_data_does_not_unfold_past_the_count_of_values() {
    let bomb = rmp_serde::to_vec(&serde_json::json!("x".repeat(1000))).unwrap();
    assert_eq!(bomb[..3], [0xda, 0x03, 0xe8]);
    let as_binary = [[0xc5, 0x03, 0xe8].as_slice(), &bomb[3..]].concat();
    let field = |name: &str| {
        [&[0x81, 0xa0 | u8::try_from(name.len()).unwrap()], name.as_bytes(), &as_binary].concat()
    };
    for kind in Kind::EVERY {
        for name in
            ["messages", "changes", "content", "input", "tell", "do", "card", "versions", "value"]
        {
            assert!(
                Payload::from_packed(*kind, &field(name)).is_err() || *kind == Kind::Heartbeat,
                "{kind} {name}"
            );
        }
    }
}

#[test]
fn the_text_form_holds_the_same_frame() {
    let mut frame = heartbeat();
    frame.priority = true;
    frame.extension.deadline_ns = Some(1_000_000_002);
    assert_eq!(frame.time_left(), Some(Duration::from_secs(1)));
    let text = frame.to_text().unwrap();
    assert!(
        text.starts_with(r#"{"type":"heartbeat","sender":"00000000-0000-0000-0000-000000000001""#),
        "{text}"
    );
    assert_eq!(Frame::from_text(&text).unwrap(), frame);
    let shortest = r#"{"type":"ack","payload":{"messages":[]},"colour":"red"}"#;
    assert_eq!(Frame::from_text(shortest).unwrap(), Frame::new(Ack::default()));
}

#[test]
fn the_extension_decides_the_performative_before_the_payload_does() {
    let mut ask = Frame::new(Coordination::Ask(Speech::default()));
    assert_eq!(ask.performative(), Some(Performative::Request));
    ask.extension.performative = Some(Performative::Cfp);
    assert_eq!(ask.performative(), Some(Performative::Cfp));
    assert_eq!(heartbeat().performative(), None);
}

#[test]
fn text_that_is_no_frame_says_where() {
    let where_of = |text: &str| Frame::from_text(text).unwrap_err().refusal().text;
    assert!(where_of("{").contains("line 1 column 1"), "{}", where_of("{"));
    assert!(where_of(r#"{"type":"task","payload":{}}"#).contains("names no kind"));
    assert!(where_of(r#"{"type":"ack","payload":{"messages":[7]}}"#).contains("column"));
    let long = format!("\"{}\"", "x".repeat(crate::limits::TEXT_FRAME_BYTES_MAX));
    assert_eq!(Frame::from_text(&long).unwrap_err().refusal().code, Code::TooLarge);
}

#[test]
fn a_refusal_tells_the_sender_the_whole_chain() {
    let vote = r#"{"type":"progress_report","payload":{"task":"00000000-0000-0000-0000-000000000001","fence":1,"fraction":2}}"#;
    let refusal = Frame::from_text(vote).unwrap_err().refusal();
    assert_eq!(refusal.code, Code::Invalid);
    assert_eq!(
        refusal.text,
        "the payload is no valid progress_report: field fraction is no number from 0 to 1"
    );
}

#[test]
fn a_payload_of_another_shape_is_refused_with_its_place() {
    let packed = rmp_serde::to_vec_named(&serde_json::json!({"messages": ["no id"]})).unwrap();
    let problem = Payload::from_packed(Kind::Ack, &packed).unwrap_err();
    assert!(problem.to_string().contains("no ack from byte 17 on"), "{problem}");
}

#[test]
fn what_the_receiver_would_refuse_is_not_written() {
    let nameless =
        Frame::new(crate::payload::coordination::Coordination::Subscribe { types: Vec::new() });
    assert!(matches!(nameless.encode(None), Err(EncodeError::Payload(_))));
    assert!(nameless.to_text().is_err());
    let deep = (0..70).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let deep = Frame::new(Coordination::Tell(Speech { topic: String::new(), content: deep }));
    assert!(matches!(deep.encode(None), Err(EncodeError::Scan(_))));
    assert!(matches!(deep.to_text(), Err(EncodeError::Scan(_))));
}
