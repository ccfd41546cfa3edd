//! The golden frames of `tests/golden`: bytes in `.bin`, their meaning as JSON in `.json`.
//!
//! `SYNOD_BLESS=1 cargo test -p synod-protocol golden` writes them anew; review the difference as a change of protocol.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

use synod_protocol::{Codec, Frame, HEADER_LEN, Header, Kind, Value, inflate};

use crate::samples::{self, Sample};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn encode(sample: &Sample, codec: Option<Codec>) -> Vec<u8> {
    match sample {
        Sample::One(frame) => frame.encode(codec).unwrap(),
        Sample::Batch(frames) => Frame::encode_batch(frames, codec).unwrap(),
    }
}

/// A frame's JSON text, with what its header says on the wire.
fn meaning(frame: &Frame, bytes: &[u8]) -> Value {
    let mut meaning: Value = serde_json::from_str(&frame.to_text().unwrap()).unwrap();
    add_header(&mut meaning, bytes);
    meaning
}

fn add_header(meaning: &mut Value, bytes: &[u8]) {
    let header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
    meaning["flags"] = header.flags.bits().into();
    meaning["payload_size"] = header.payload_size.into();
}

fn expected(sample: &Sample, bytes: &[u8]) -> Value {
    match sample {
        Sample::One(frame) => meaning(frame, bytes),
        Sample::Batch(frames) => {
            let messages = frames.iter().map(|frame| meaning(frame, &frame.encode(None).unwrap()));
            let mut batch = serde_json::json!({ "batch": messages.collect::<Vec<_>>() });
            add_header(&mut batch, bytes);
            batch
        }
    }
}

/// The frame as it would be without compression: two versions of a codec may write one payload differently.
fn uncompressed(bytes: &[u8]) -> Vec<u8> {
    let (header, body) = bytes.split_first_chunk().unwrap();
    let mut header = Header::decode(header).unwrap();
    let Some(codec) = header.flags.codec() else { return bytes.to_vec() };
    header.payload_size = 0;
    [header.encode().as_slice(), &inflate(codec, body).unwrap()].concat()
}

fn is_blessed() -> bool {
    env::var_os("SYNOD_BLESS").is_some_and(|value| value == "1")
}

fn bless(all: &[(String, Sample, Option<Codec>)]) {
    fs::remove_dir_all(folder()).unwrap();
    fs::create_dir(folder()).unwrap();
    for (name, sample, codec) in all {
        let bytes = encode(sample, *codec);
        let json = serde_json::to_string_pretty(&expected(sample, &bytes)).unwrap();
        fs::write(folder().join(format!("{name}.bin")), &bytes).unwrap();
        fs::write(folder().join(format!("{name}.json")), json + "\n").unwrap();
    }
}

#[test]
fn golden_frames_are_what_the_code_writes_and_reads() {
    let all = samples::all();
    if is_blessed() {
        bless(&all);
    }
    for (name, sample, codec) in &all {
        let golden = fs::read(folder().join(format!("{name}.bin"))).unwrap();
        let written = encode(sample, *codec);
        assert!(
            uncompressed(&written) == uncompressed(&golden),
            "{name}.bin is not what the code writes"
        );
        let json: Value =
            serde_json::from_slice(&fs::read(folder().join(format!("{name}.json"))).unwrap())
                .unwrap();
        assert_eq!(json, expected(sample, &golden), "{name}.json");
        match sample {
            Sample::One(frame) => {
                assert_eq!(Frame::decode(&golden).unwrap(), **frame, "{name}");
                assert_eq!(Frame::from_text(&json.to_string()).unwrap(), **frame, "{name} as text");
            }
            Sample::Batch(frames) => {
                assert_eq!(Frame::decode_all(&golden).unwrap(), *frames, "{name}");
            }
        }
    }
    assert_no_file_is_left_over(&all);
}

fn assert_no_file_is_left_over(all: &[(String, Sample, Option<Codec>)]) {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        files.insert(entry.unwrap().file_name().into_string().unwrap());
    }
    let named = |(name, _, _): &(String, _, _)| [format!("{name}.bin"), format!("{name}.json")];
    assert_eq!(files, all.iter().flat_map(named).collect());
}

#[test]
fn golden_frames_cover_every_kind() {
    let all = samples::all();
    let kinds: BTreeSet<Kind> = all
        .iter()
        .filter_map(|(_, sample, _)| match sample {
            Sample::One(frame) => Some(frame.kind()),
            Sample::Batch(_) => None,
        })
        .collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Kind::EVERY);
}

#[test]
fn golden_compressed_frames_are_compressed_and_the_others_are_not() {
    for (name, sample, codec) in samples::all() {
        let bytes = encode(&sample, codec);
        let header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(header.flags.codec().is_some(), name.ends_with("gzip"), "{name}");
        assert_eq!(bytes.len(), HEADER_LEN + header.payload_size as usize, "{name}");
    }
}
