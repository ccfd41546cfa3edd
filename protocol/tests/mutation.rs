//! Random and mutated frames decode or are refused, without panic and within 16 MiB.
//!
//! `cargo test` tries 20,000 of them; `SYNOD_FRAMES=1000000 cargo test --release -p synod-protocol --test mutation` a million.
//! This test has a binary of its own, because it measures the peak memory of its process.
#![cfg(test)]

use std::io::Write;
use std::path::PathBuf;
use std::{env, fs};

use flate2::write::GzEncoder;
use synod_protocol::{
    Codec, DecodeError, Extension, Flags, Frame, HEADER_LEN, Header, compress, inflate,
};

const FRAMES_DEFAULT: u64 = 20_000;
const GROWTH_KIB_MAX: u64 = 16 * 1024;

#[test]
fn random_and_mutated_frames_decode_or_are_refused_within_16_mib() {
    let count = env::var("SYNOD_FRAMES").map_or(FRAMES_DEFAULT, |count| count.parse().unwrap());
    let seeds = golden_frames();
    let bombs = bombs();
    let before = peak_kib();
    let tally = try_frames(&seeds, &bombs, count);
    let growth = peak_kib() - before;
    println!("{count} frames: {tally:?}, peak memory grew by {growth} KiB");
    assert!(growth <= GROWTH_KIB_MAX, "peak memory grew by {growth} KiB");
    assert_eq!(tally.accepted + tally.refused, count);
    assert!(tally.accepted > count / 100, "mutations reach what is accepted: {tally:?}");
    assert!(tally.refused > count / 10, "mutations reach what is refused: {tally:?}");
}

#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    refused: u64,
}

fn try_frames(seeds: &[Vec<u8>], bombs: &[Vec<u8>], count: u64) -> Tally {
    let mut dice = Dice(0x5eed);
    let mut tally = Tally::default();
    for number in 0..count {
        // A bomb is only decoded, for what the test itself would make of it is no concern of the decoder's.
        if let Some(bomb) = usize::try_from(number).ok().and_then(|number| bombs.get(number)) {
            tally.count(&Frame::decode_all(bomb));
            continue;
        }
        let bytes = arbitrary_frame(&mut dice, seeds);
        let decoded = Frame::decode_all(&bytes);
        tally.count(&decoded);
        // Whatever was accepted can be passed on, and means the same afterwards.
        for frame in decoded.unwrap_or_default() {
            assert_eq!(Frame::decode(&frame.encode(None).unwrap()).unwrap(), frame);
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = (Extension::decode(&bytes).is_ok(), Frame::from_text(&text).is_ok());
    }
    tally
}

impl Tally {
    fn count(&mut self, decoded: &Result<Vec<Frame>, DecodeError>) {
        match decoded {
            Ok(_) => self.accepted += 1,
            Err(problem) => {
                self.refused += 1;
                assert!(!problem.refusal().text.is_empty());
            }
        }
    }
}

fn arbitrary_frame(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    match dice.below(8) {
        0 => return dice.bytes(300),
        1 => {
            bytes.truncate(HEADER_LEN);
            bytes.extend(dice.bytes(200));
        }
        2 => inflate_in_place(&mut bytes),
        3 => {
            let other = &seeds[dice.below(seeds.len())];
            let (cut, from) = (dice.below(bytes.len()), dice.below(other.len()));
            bytes.truncate(cut);
            bytes.extend(&other[from..]);
        }
        _ => {}
    }
    for _ in 0..dice.below(4) {
        mutate(dice, &mut bytes);
    }
    if dice.below(4) == 0 {
        compress_in_place(dice, &mut bytes);
    }
    if dice.below(8) != 0 {
        write_size(&mut bytes);
    }
    bytes
}

fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(5) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 if at < bytes.len() => bytes[at] = dice.byte(),
        2 => bytes.truncate(at),
        3 => bytes.insert(at, dice.byte()),
        _ => {
            let filling = dice.bytes(20);
            bytes.splice(at..at, filling);
        }
    }
}

/// Makes the header's size that of what follows, so that the decoder goes deeper.
fn write_size(bytes: &mut [u8]) {
    let size = u32::try_from(bytes.len().saturating_sub(HEADER_LEN)).unwrap();
    if bytes.len() >= HEADER_LEN {
        bytes[60..HEADER_LEN].copy_from_slice(&size.to_be_bytes());
    }
}

fn inflate_in_place(bytes: &mut Vec<u8>) {
    let Ok(header) = Header::decode(bytes.first_chunk().unwrap()) else { return };
    if let Some(codec) = header.flags.codec() {
        let plain = inflate(codec, &bytes[HEADER_LEN..]).unwrap();
        bytes.truncate(HEADER_LEN);
        bytes.extend(plain);
        bytes[59] &= !1;
    }
}

/// Compresses a mutated payload, so that mutations behind the codec's checksum are met too.
fn compress_in_place(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let codec = Codec::EVERY[dice.below(Codec::EVERY.len())];
    let Some((header, body)) = bytes.split_at_checked(HEADER_LEN) else { return };
    if let Some(small) = compress(codec, body) {
        let flags = Flags::NONE.compressed_by(codec).bits() | u16::from(header[59] & !0b10_0000);
        let mut header = header.to_vec();
        header[58..60].copy_from_slice(&flags.to_be_bytes());
        *bytes = [header, small].concat();
    }
}

/// Frames that try to unfold: compressed far beyond the limits, or deep, or claiming what is not there.
fn bombs() -> Vec<Vec<u8>> {
    let frame = |flags: u16, body: &[u8]| {
        let mut bytes = vec![1, 0x30];
        bytes.resize(58, 0);
        bytes.extend(flags.to_be_bytes());
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        [bytes.as_slice(), body].concat()
    };
    let text = |bytes: usize| {
        (0_u64..)
            .flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string().into_bytes())
            .take(bytes)
    };
    let mut bombs = vec![
        frame(0, &[0x91; 1 << 20]),
        frame(0, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        frame(0, &tell(&[[0xdc, 0xff, 0xf0].as_slice(), &[0xc0; 0xfff0]].concat())),
        frame(
            0,
            &tell(&[[0xdc, 0x3f, 0xf0].as_slice(), &[0x81, 0xa0, 0xc0].repeat(0x3ff0)].concat()),
        ),
        frame(0, &tell(&[[0xdc, 0x01, 0x60].as_slice(), &chain_of_maps().repeat(0x160)].concat())),
        frame(4, &[0xff; 64]),
        frame(0x0201, &[0xff, 0xff, 0xff, 0x7f, 0, 0, 0]),
    ];
    // Digits compress by half, so a frame of under 1 MiB inflates to 2 MiB that are no MessagePack.
    let large: Vec<u8> = text(2 << 20).collect();
    for codec in
        Codec::EVERY.iter().copied().filter(|codec| *codec != Codec::Lz4 && codec.is_built_in())
    {
        let small = compress(codec, &large).unwrap();
        bombs.push(frame(Flags::NONE.compressed_by(codec).bits(), &small));
    }
    bombs.push(frame(1, &gzip(16 << 20, &[0; 64])));
    bombs.push(frame(1, &gzip(11 << 20, &[[7].as_slice(), &[0; 31]].concat())));
    bombs
}

/// The payload of a tell with the given MessagePack as its content.
fn tell(content: &[u8]) -> Vec<u8> {
    [b"\x81\xa4tell\x81\xa7content".as_slice(), content].concat()
}

/// Sixty maps of one entry within each other: the shape whose tables take the most memory for its values.
fn chain_of_maps() -> Vec<u8> {
    [[0x81, 0xa0].repeat(60), vec![0xc0]].concat()
}

/// A gzip member of a unit repeated up to a size, the first byte of each repetition being another: written piece by piece.
fn gzip(bytes: usize, unit: &[u8]) -> Vec<u8> {
    let mut dice = Dice(7);
    let mut writer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut unit = unit.to_vec();
    for _ in 0..bytes / unit.len() {
        if unit[0] != 0 {
            unit[0] = dice.byte() | 1;
        }
        writer.write_all(&unit).unwrap();
    }
    writer.finish().unwrap()
}

fn golden_frames() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let frames =
        paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "bin"));
    frames.map(|path| fs::read(path).unwrap()).collect()
}

/// Peak resident memory of this process.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Splitmix: small, and the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        let count = self.below(limit);
        (0..count).map(|_| self.byte()).collect()
    }
}
