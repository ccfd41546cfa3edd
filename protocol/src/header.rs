//! The header: the first 64 bytes of every frame, big endian.
//!
//! [`Frame`](crate::Frame) encodes and decodes it; a router reads it alone and passes the frame on as it is.
//!
//! # Invariants
//! - A header that decodes holds version 1, a known kind, no refused flag and a size within its limit.
//! - The table of docs/PROTOCOL.md is checked against the offsets below.

use std::fmt;

use crate::compress::Codec;
use crate::id::{ActorId, ConversationId};
use crate::kind::Kind;
use crate::limits::PAYLOAD_BYTES_MAX;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 1 + 1 + 16 * 3 + 8 + 2 + 4;
const _: () = assert!(HEADER_LEN == 64);

/// The version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type of the frame.
    pub kind: Kind,
    /// Who sent it, by its own claim; receivers trust the connection's identity instead.
    pub sender: ActorId,
    /// Whom it is for: `NIL` is the coordinator, `ALL` everyone in the conversation.
    pub recipient: ActorId,
    /// The conversation it belongs to, or `NIL`.
    pub conversation: ConversationId,
    /// Unix nanoseconds by the sender's clock; never used for order.
    pub timestamp_ns: i64,
    /// How the rest of the frame is laid out.
    pub flags: Flags,
    /// Bytes on the wire after the header.
    pub payload_size: u32,
}

/// Tells why 64 bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The version byte is not one that this crate speaks.
    #[error("version {found} at byte 0 is not spoken here; write {VERSION}")]
    Version {
        /// The byte.
        found: u8,
    },
    /// The type byte names no kind.
    #[error("type {found:#04x} at byte 1 names no kind; use one of the protocol's table of kinds")]
    Kind {
        /// The byte.
        found: u8,
    },
    /// A flag is refused.
    #[error("flags {found:#06x} at byte 58: {problem}")]
    Flags {
        /// The flags as found.
        found: u16,
        /// Which bit, and what to do.
        problem: &'static str,
    },
    /// The size is over the limit.
    #[error(
        "payload_size {found} at byte 60 is over {PAYLOAD_BYTES_MAX} bytes; send less, or in several messages"
    )]
    TooLarge {
        /// The size as found.
        found: u32,
    },
}

impl Header {
    /// Lays the header out in its 64 bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, [VERSION]);
        put(&mut rest, [self.kind.byte()]);
        put(&mut rest, self.sender.to_bytes());
        put(&mut rest, self.recipient.to_bytes());
        put(&mut rest, self.conversation.to_bytes());
        put(&mut rest, self.timestamp_ns.to_be_bytes());
        put(&mut rest, self.flags.bits().to_be_bytes());
        put(&mut rest, self.payload_size.to_be_bytes());
        bytes
    }

    /// Reads 64 bytes.
    ///
    /// # Errors
    /// [`HeaderError`] names the first field that is wrong; unknown bits in the high byte of the flags are dropped.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let mut rest = bytes.as_slice();
        let [version] = take(&mut rest);
        if version != VERSION {
            return Err(HeaderError::Version { found: version });
        }
        let [kind] = take(&mut rest);
        let header = Self {
            kind: Kind::from_byte(kind).ok_or(HeaderError::Kind { found: kind })?,
            sender: ActorId::from_bytes(take(&mut rest)),
            recipient: ActorId::from_bytes(take(&mut rest)),
            conversation: ConversationId::from_bytes(take(&mut rest)),
            timestamp_ns: i64::from_be_bytes(take(&mut rest)),
            flags: Flags::from_bits(u16::from_be_bytes(take(&mut rest)))?,
            payload_size: u32::from_be_bytes(take(&mut rest)),
        };
        if usize::try_from(header.payload_size).map_or(true, |size| size > PAYLOAD_BYTES_MAX) {
            return Err(HeaderError::TooLarge { found: header.payload_size });
        }
        Ok(header)
    }
}

/// Writes one field at the front of the rest; the fields add up to `HEADER_LEN`, which the golden vector checks.
fn put<const N: usize>(rest: &mut &mut [u8], field: [u8; N]) {
    if let Some((front, back)) = std::mem::take(rest).split_first_chunk_mut() {
        *front = field;
        *rest = back;
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let Some((front, back)) = rest.split_first_chunk() else { return [0; N] };
    *rest = back;
    *front
}

/// The flags of a header: a set of bits that this crate knows and does not refuse.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Bit 0: the payload is compressed by the codec of bits 8 and 9.
    pub const COMPRESSED: Self = Self(1);
    /// Bit 2: the payload is a batch of messages.
    pub const BATCH: Self = Self(1 << 2);
    /// Bit 3: the message goes ahead of others of its lane.
    pub const PRIORITY: Self = Self(1 << 3);
    /// Bit 4: more messages of this stream follow; the last one of it lacks the flag.
    pub const STREAMING: Self = Self(1 << 4);
    /// Bit 5: an extension block precedes the payload.
    pub const EXTENSION: Self = Self(1 << 5);

    const ENCRYPTED: u16 = 1 << 1;
    const LOW_UNKNOWN: u16 = 1 << 6 | 1 << 7;
    const CODEC: u16 = 3 << 8;
    const KNOWN: u16 = Self::COMPRESSED.0
        | Self::BATCH.0
        | Self::PRIORITY.0
        | Self::STREAMING.0
        | Self::EXTENSION.0
        | Self::CODEC;

    /// Reads the two bytes; drops unknown bits of the high byte, and the codec where nothing is compressed.
    ///
    /// # Errors
    /// [`HeaderError::Flags`] for encryption (reserved), unknown bits of the low byte, and codec 3.
    pub const fn from_bits(bits: u16) -> Result<Self, HeaderError> {
        let problem = if bits & Self::ENCRYPTED != 0 {
            "bit 1 (encrypted) is reserved; send plain frames over an encrypted connection"
        } else if bits & Self::LOW_UNKNOWN != 0 {
            "bits 6 and 7 are unknown; clear them"
        } else if bits & Self::COMPRESSED.0 == 0 {
            return Ok(Self(bits & Self::KNOWN & !Self::CODEC));
        } else if bits & Self::CODEC == Self::CODEC {
            "codec 3 is unknown; use gzip (0), zstd (1) or lz4 (2)"
        } else {
            return Ok(Self(bits & Self::KNOWN));
        };
        Err(HeaderError::Flags { found: bits, problem })
    }

    /// Gives the two bytes.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Tells whether every bit of the other is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds the bits of the other.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Adds the bits of the other where the condition holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Marks the payload as compressed by the codec.
    #[must_use]
    pub const fn compressed_by(self, codec: Codec) -> Self {
        Self((self.0 & !Self::CODEC) | Self::COMPRESSED.0 | ((codec as u16) << 8))
    }

    /// Gives the codec of a compressed payload.
    pub const fn codec(self) -> Option<Codec> {
        if self.contains(Self::COMPRESSED) { Codec::from_number(self.0 >> 8 & 3) } else { None }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Flags({:#06x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that every implementation of the protocol must produce.
    const GOLDEN: &str = "013100000000000000000000000000000001000000000000000000000000000000020000000000000000000000000000000317979cfe362a0000000100000005";

    fn golden() -> Header {
        Header {
            kind: Kind::ConsensusVote,
            sender: ActorId::from_u128(1),
            recipient: ActorId::from_u128(2),
            conversation: ConversationId::from_u128(3),
            timestamp_ns: 1_700_000_000_000_000_000,
            flags: Flags::COMPRESSED,
            payload_size: 5,
        }
    }

    fn with(change: impl FnOnce(&mut [u8; HEADER_LEN])) -> Result<Header, HeaderError> {
        let mut bytes = golden().encode();
        change(&mut bytes);
        Header::decode(&bytes)
    }

    #[test]
    fn the_golden_vector_is_encoded_and_decoded() {
        let bytes = golden().encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        assert_eq!(Header::decode(&bytes), Ok(golden()));
    }

    #[test]
    fn a_wrong_version_kind_or_size_is_refused_with_its_place() {
        assert_eq!(with(|bytes| bytes[0] = 2), Err(HeaderError::Version { found: 2 }));
        assert_eq!(with(|bytes| bytes[1] = 0), Err(HeaderError::Kind { found: 0 }));
        assert_eq!(with(|bytes| bytes[60] = 1), Err(HeaderError::TooLarge { found: 0x0100_0005 }));
        assert!(
            with(|bytes| bytes[60..].copy_from_slice(&[0, 0x10, 0, 0])).is_ok(),
            "1 MiB is allowed"
        );
        assert!(
            with(|bytes| bytes[60..].copy_from_slice(&[0, 0x10, 0, 1])).is_err(),
            "one byte more is not"
        );
    }

    #[test]
    fn unknown_low_flags_are_refused_and_unknown_high_ones_are_dropped() {
        for bit in [1, 6, 7] {
            let refused = Flags::from_bits(1 << bit).unwrap_err();
            assert!(refused.to_string().contains("bit"), "{refused}");
        }
        assert_eq!(Flags::from_bits(0xfc00 | Flags::PRIORITY.bits()), Ok(Flags::PRIORITY));
        assert_eq!(
            Flags::from_bits(0x0200),
            Ok(Flags::NONE),
            "a codec without compression says nothing"
        );
        assert!(Flags::from_bits(0x0301).is_err(), "codec 3 is unknown");
    }

    #[test]
    fn the_codec_lives_in_bits_8_and_9() {
        let flags = Flags::STREAMING.compressed_by(Codec::Lz4);
        assert_eq!(flags.bits(), 0x0211);
        assert_eq!(flags.codec(), Some(Codec::Lz4));
        assert_eq!(flags.compressed_by(Codec::Gzip).bits(), 0x0011);
        assert_eq!(Flags::STREAMING.codec(), None);
    }
}
