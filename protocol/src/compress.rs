//! Compression of payloads within limits.
//!
//! [`Frame`](crate::Frame) calls both directions. gzip is always there; zstd and lz4 are negotiated in Hello and Welcome.
//!
//! # Invariants
//! - Nothing is compressed up to 1024 bytes, or when the result is not smaller, or when its receiver would refuse it.
//! - Inflating stops at the first byte over a limit; room grows with what has arrived, never by what the sender claims.
//! - Bytes after the end of the compressed data are refused.

use std::io::{self, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::limits::{
    COMPRESS_ABOVE_BYTES, INFLATE_RATIO_MAX, INFLATE_STEP_BYTES_MAX, INFLATED_BYTES_MAX,
};

/// A way to compress payloads; the number goes to bits 8 and 9 of the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u16)]
pub enum Codec {
    /// gzip, one member (RFC 1952); every peer decodes it.
    Gzip = 0,
    /// zstd, one frame with a window of at most 2 MiB (RFC 8878).
    Zstd = 1,
    /// An LZ4 block behind its inflated size as u32, little endian.
    Lz4 = 2,
}

impl Codec {
    /// Every codec, by ascending number.
    pub const EVERY: &'static [Self] = &[Self::Gzip, Self::Zstd, Self::Lz4];

    /// Reads the number of the flags, or nothing for 3.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::Gzip),
            1 => Some(Self::Zstd),
            2 => Some(Self::Lz4),
            _ => None,
        }
    }

    /// Tells whether this build has the codec: all but zstd without the feature `zstd`.
    pub const fn is_built_in(self) -> bool {
        !matches!(self, Self::Zstd) || cfg!(feature = "zstd")
    }
}

/// Tells why compressed bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// The output is over its limit.
    #[error(
        "{codec:?} data inflates to over {INFLATED_BYTES_MAX} bytes; send less, or in several messages"
    )]
    TooLarge {
        /// The codec.
        codec: Codec,
    },
    /// The output is too large for its input.
    #[error(
        "{codec:?} data of {wire_bytes} bytes inflates more than {INFLATE_RATIO_MAX} times; send it without compression"
    )]
    Ratio {
        /// The codec.
        codec: Codec,
        /// Size of the compressed data.
        wire_bytes: usize,
    },
    /// The data is broken or cut off.
    #[error("{codec:?} data is broken; compress it again")]
    Broken {
        /// The codec.
        codec: Codec,
        /// What the codec says.
        #[source]
        source: io::Error,
    },
    /// More bytes follow the end of the data.
    #[error(
        "{left} bytes follow the end of the {codec:?} data; send one member or frame and nothing else"
    )]
    Trailing {
        /// The codec.
        codec: Codec,
        /// Number of bytes left.
        left: usize,
    },
    /// This build lacks the codec.
    #[error("{codec:?} is not built in; use gzip, or a codec that Welcome names")]
    NotSupported {
        /// The codec.
        codec: Codec,
    },
}

/// Compresses a payload, or says by `None` that it goes as it is.
pub fn compress(codec: Codec, plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() <= COMPRESS_ABOVE_BYTES {
        return None;
    }
    let small = deflate(codec, plain).ok()?;
    (small.len() < plain.len() && plain.len() <= output_max(small.len())).then_some(small)
}

/// Inflates a payload within [`INFLATED_BYTES_MAX`] and [`INFLATE_RATIO_MAX`].
///
/// # Errors
/// [`InflateError`] says which limit, or what is broken.
pub fn inflate(codec: Codec, wire: &[u8]) -> Result<Vec<u8>, InflateError> {
    match codec {
        Codec::Gzip => {
            let mut reader = GzDecoder::new(wire);
            let plain = read_bounded(codec, &mut reader, wire.len())?;
            no_trailing(codec, reader.into_inner())?;
            Ok(plain)
        }
        Codec::Zstd => inflate_zstd(wire),
        Codec::Lz4 => inflate_lz4(wire),
    }
}

fn deflate(codec: Codec, plain: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        Codec::Gzip => {
            let mut writer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(plain)?;
            writer.finish()
        }
        Codec::Zstd => deflate_zstd(plain),
        Codec::Lz4 => Ok(lz4_flex::block::compress_prepend_size(plain)),
    }
}

#[cfg(feature = "zstd")]
fn deflate_zstd(plain: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(plain, zstd::DEFAULT_COMPRESSION_LEVEL)
}

#[cfg(not(feature = "zstd"))]
fn deflate_zstd(_plain: &[u8]) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(feature = "zstd")]
fn inflate_zstd(wire: &[u8]) -> Result<Vec<u8>, InflateError> {
    let codec = Codec::Zstd;
    let broken = |source| InflateError::Broken { codec, source };
    let mut reader = zstd::Decoder::with_buffer(wire).map_err(broken)?.single_frame();
    reader.window_log_max(crate::limits::ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
    let plain = read_bounded(codec, &mut reader, wire.len())?;
    no_trailing(codec, reader.finish())?;
    Ok(plain)
}

#[cfg(not(feature = "zstd"))]
fn inflate_zstd(_wire: &[u8]) -> Result<Vec<u8>, InflateError> {
    Err(InflateError::NotSupported { codec: Codec::Zstd })
}

/// The size stands in front, so it is checked before a byte is allocated, and the block must fill it exactly.
fn inflate_lz4(wire: &[u8]) -> Result<Vec<u8>, InflateError> {
    let codec = Codec::Lz4;
    let broken = |text: String| InflateError::Broken { codec, source: io::Error::other(text) };
    let Some((size, block)) = wire.split_first_chunk() else {
        return Err(broken(String::from("the u32 in front, the inflated size, is cut off")));
    };
    let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
    check_size(codec, size, wire.len())?;
    let mut plain = vec![0; size];
    let filled = lz4_flex::block::decompress_into(block, &mut plain)
        .map_err(|problem| broken(problem.to_string()))?;
    if filled != size {
        return Err(broken(format!(
            "the block holds {filled} bytes, the size in front says {size}"
        )));
    }
    Ok(plain)
}

/// Reads to the end into room that doubles up to a step, then takes its bound at once, so that peak memory is known.
fn read_bounded(
    codec: Codec,
    reader: &mut impl Read,
    wire_bytes: usize,
) -> Result<Vec<u8>, InflateError> {
    const CHUNK_BYTES: usize = 16 * 1024;
    let max = output_max(wire_bytes);
    let mut plain = Vec::new();
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(problem) if problem.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(InflateError::Broken { codec, source }),
        };
        check_size(codec, plain.len() + count, wire_bytes)?;
        make_room(&mut plain, count, max);
        plain.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    Ok(plain)
}

fn make_room(plain: &mut Vec<u8>, count: usize, max: usize) {
    let needed = plain.len() + count;
    if needed > plain.capacity() {
        let doubled = needed.max(2 * plain.capacity());
        let room = if doubled <= INFLATE_STEP_BYTES_MAX { doubled } else { max };
        plain.reserve_exact(room.max(needed) - plain.len());
    }
}

fn output_max(wire_bytes: usize) -> usize {
    wire_bytes.saturating_mul(INFLATE_RATIO_MAX).min(INFLATED_BYTES_MAX)
}

fn check_size(codec: Codec, size: usize, wire_bytes: usize) -> Result<(), InflateError> {
    if size > INFLATED_BYTES_MAX {
        Err(InflateError::TooLarge { codec })
    } else if size > output_max(wire_bytes) {
        Err(InflateError::Ratio { codec, wire_bytes })
    } else {
        Ok(())
    }
}

fn no_trailing(codec: Codec, rest: &[u8]) -> Result<(), InflateError> {
    if rest.is_empty() { Ok(()) } else { Err(InflateError::Trailing { codec, left: rest.len() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that compress, but far less than a hundredfold.
    fn text(len: usize) -> Vec<u8> {
        let mut state = 7_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + u8::try_from(state >> 28).unwrap()
        })
        .take(len)
        .collect()
    }

    fn codecs() -> impl Iterator<Item = Codec> {
        Codec::EVERY.iter().copied().filter(|codec| codec.is_built_in())
    }

    #[test]
    fn what_a_codec_compresses_it_inflates_to_the_same() {
        for codec in codecs() {
            for len in [1025, 70_000] {
                let plain = text(len);
                let wire = if codec == Codec::Lz4 {
                    deflate(codec, &plain).ok()
                } else {
                    compress(codec, &plain)
                };
                assert!(inflate(codec, &wire.unwrap()).unwrap() == plain, "{codec:?} {len}");
            }
        }
    }

    #[test]
    fn only_above_1024_bytes_and_only_if_smaller() {
        for codec in codecs() {
            assert!(compress(codec, &b"ab".repeat(512)).is_none(), "1024 bytes go as they are");
            assert!(compress(codec, &b"abc".repeat(342)).is_some(), "1026 bytes are compressed");
        }
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..4096)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect();
        assert!(codecs().all(|codec| compress(codec, &noise).is_none()), "noise goes as it is");
    }

    #[test]
    fn what_the_receiver_would_refuse_is_not_compressed() {
        let zeros = vec![0; 1 << 20];
        assert!(compress(Codec::Gzip, &zeros).is_none());
        let bomb = deflate(Codec::Gzip, &zeros).unwrap();
        assert!(matches!(inflate(Codec::Gzip, &bomb), Err(InflateError::Ratio { .. })));
    }

    #[test]
    fn ten_mebibytes_pass_and_one_byte_more_is_refused() {
        // Mostly one letter, so that it is quickly compressed, yet less than a hundredfold.
        let mut plain = text(INFLATED_BYTES_MAX / 16);
        plain.resize(INFLATED_BYTES_MAX, b'x');
        for codec in codecs() {
            let wire = deflate(codec, &plain).unwrap();
            assert!(inflate(codec, &wire).unwrap() == plain, "{codec:?}");
        }
        plain.push(b'x');
        for codec in codecs() {
            let wire = deflate(codec, &plain).unwrap();
            assert!(
                matches!(inflate(codec, &wire), Err(InflateError::TooLarge { .. })),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn a_claimed_size_allocates_nothing() {
        let claim = [0xff, 0xff, 0xff, 0xff, 0];
        assert!(matches!(inflate(Codec::Lz4, &claim), Err(InflateError::TooLarge { .. })));
        assert!(matches!(
            inflate(Codec::Lz4, &[0, 0, 0x10, 0, 0]),
            Err(InflateError::Ratio { .. })
        ));
    }

    #[test]
    fn cut_off_broken_and_trailing_bytes_are_refused() {
        for codec in codecs() {
            let wire = deflate(codec, &text(5000)).unwrap();
            for len in 0..wire.len() {
                assert!(inflate(codec, &wire[..len]).is_err(), "{codec:?} cut at {len}");
            }
            let longer = [wire.as_slice(), &[0]].concat();
            assert!(inflate(codec, &longer).is_err(), "{codec:?} with a byte behind");
            let twice = [wire.as_slice(), &wire].concat();
            assert!(inflate(codec, &twice).is_err(), "{codec:?} twice");
        }
    }

    #[test]
    #[cfg(feature = "zstd")]
    fn a_zstd_window_over_the_limit_is_refused() {
        let mut writer = zstd::Encoder::new(Vec::new(), 3).unwrap();
        writer.window_log(crate::limits::ZSTD_WINDOW_LOG_MAX + 1).unwrap();
        writer.write_all(&text(100_000)).unwrap();
        let wire = writer.finish().unwrap();
        assert!(matches!(inflate(Codec::Zstd, &wire), Err(InflateError::Broken { .. })));
    }
}
