//! Frames: what crosses a connection, as bytes or as JSON text.
//!
//! Gateways, links and clients call [`Frame::encode`] and [`Frame::decode_all`]; a router that only passes frames on reads
//! the [`Header`] alone.
//!
//! # Invariants
//! - The header is written last, from the payload as it goes out: its flags and size are those of the bytes behind it.
//! - Decoding is total: any bytes decode or are refused, without panic and within the bounds of [`limits`](crate::limits).
//! - The order of checks is header, size, extension block, inflating, scan, schema, rules; each is cheaper than the next.

mod batch;
mod error;
mod text;

pub use error::{DecodeError, EncodeError};

use std::borrow::Cow;
use std::time::Duration;

use crate::compress::{Codec, compress, inflate};
use crate::extension::{Extension, Performative};
use crate::header::{Flags, HEADER_LEN, Header};
use crate::id::{ActorId, ConversationId};
use crate::kind::Kind;
use crate::limits::{INFLATED_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::payload::Payload;
use crate::scan::{Allowance, scan_packed};

/// One message with its envelope.
///
/// ```
/// use synod_protocol::payload::session::Heartbeat;
/// use synod_protocol::{ActorId, Codec, Frame};
/// let frame = Frame { sender: ActorId::from_u128(1), ..Frame::new(Heartbeat { sequence: 7, ..Heartbeat::default() }) };
/// let bytes = frame.encode(Some(Codec::Gzip))?;
/// assert_eq!(Frame::decode(&bytes)?, frame);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Who sent it, by its own claim; receivers trust the connection's identity instead.
    pub sender: ActorId,
    /// Whom it is for: `NIL` is the coordinator, `ALL` everyone in the conversation.
    pub recipient: ActorId,
    /// The conversation it belongs to, or `NIL`.
    pub conversation: ConversationId,
    /// Unix nanoseconds by the sender's clock; never used for order.
    pub timestamp_ns: i64,
    /// Whether it goes ahead of others of its lane.
    pub priority: bool,
    /// Whether more messages of its stream follow.
    pub streaming: bool,
    /// Message id, deadline, trace and the like.
    pub extension: Extension,
    /// What it says.
    pub payload: Payload,
}

impl Frame {
    /// Makes a frame to the coordinator, without sender, time or extension.
    pub fn new(payload: impl Into<Payload>) -> Self {
        Self {
            sender: ActorId::NIL,
            recipient: ActorId::NIL,
            conversation: ConversationId::NIL,
            timestamp_ns: 0,
            priority: false,
            streaming: false,
            extension: Extension::default(),
            payload: payload.into(),
        }
    }

    /// Gives the kind of the payload.
    pub const fn kind(&self) -> Kind {
        self.payload.kind()
    }

    /// Gives the time that was left when it was sent: its deadline less its timestamp, both of the sender's clock.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.extension.deadline_ns?.saturating_sub(self.timestamp_ns);
        Some(Duration::from_nanos(u64::try_from(left).unwrap_or(0)))
    }

    /// Gives the act of speech: the extension's, or what a conversation's payload implies.
    pub const fn performative(&self) -> Option<Performative> {
        match (self.extension.performative, &self.payload) {
            (None, Payload::Coordination(act)) => Some(act.default_performative()),
            (performative, _) => performative,
        }
    }

    /// Writes the frame, compressed by the codec where that pays.
    ///
    /// # Errors
    /// [`EncodeError`] where the payload breaks a rule that its receiver would refuse, or is too large.
    pub fn encode(&self, codec: Option<Codec>) -> Result<Vec<u8>, EncodeError> {
        let packed = self.payload.to_packed()?;
        scan_packed(&packed, &mut Allowance::of_a_frame())?;
        assemble(self.header(), &self.extension, &packed, codec)
    }

    /// Reads one frame that fills the bytes.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong, where, and what to do; a batch is refused here, see [`Frame::decode_all`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let parts = Parts::split(bytes)?;
        if parts.header.flags.contains(Flags::BATCH) {
            return Err(DecodeError::Batch {
                offset: 58,
                problem: "is set where one message is expected",
            });
        }
        parts.read(&mut Allowance::of_a_frame())
    }

    /// The header of the frame before its payload is laid out.
    fn header(&self) -> Header {
        Header {
            kind: self.kind(),
            sender: self.sender,
            recipient: self.recipient,
            conversation: self.conversation,
            timestamp_ns: self.timestamp_ns,
            flags: Flags::NONE
                .with_if(self.priority, Flags::PRIORITY)
                .with_if(self.streaming, Flags::STREAMING),
            payload_size: 0,
        }
    }
}

/// Compresses first and writes the header of what came out.
fn assemble(
    mut header: Header,
    extension: &Extension,
    body: &[u8],
    codec: Option<Codec>,
) -> Result<Vec<u8>, EncodeError> {
    if body.len() > INFLATED_BYTES_MAX {
        return Err(EncodeError::TooLarge { bytes: body.len(), max: INFLATED_BYTES_MAX });
    }
    let mut wire = Cow::Borrowed(body);
    if let Some((codec, small)) = codec.and_then(|codec| Some((codec, compress(codec, body)?))) {
        header.flags = header.flags.compressed_by(codec);
        wire = Cow::Owned(small);
    }
    let mut block = Vec::new();
    if !extension.is_empty() {
        header.flags = header.flags.with(Flags::EXTENSION);
        block = extension.encode();
    }
    let size = block.len() + wire.len();
    header.payload_size = u32::try_from(size).unwrap_or(u32::MAX);
    if size > PAYLOAD_BYTES_MAX {
        return Err(EncodeError::TooLarge { bytes: size, max: PAYLOAD_BYTES_MAX });
    }
    Ok([header.encode().as_slice(), &block, &wire].concat())
}

/// A frame whose envelope is read and whose payload is plain MessagePack, or a plain batch.
struct Parts<'a> {
    header: Header,
    extension: Extension,
    body: Cow<'a, [u8]>,
}

impl<'a> Parts<'a> {
    fn split(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, rest) =
            bytes.split_first_chunk().ok_or(DecodeError::Short { have: bytes.len() })?;
        let header = Header::decode(header)?;
        if usize::try_from(header.payload_size) != Ok(rest.len()) {
            return Err(DecodeError::Size { claimed: header.payload_size, have: rest.len() });
        }
        let (extension, body) = if header.flags.contains(Flags::EXTENSION) {
            Extension::decode(rest)?
        } else {
            (Extension::default(), rest)
        };
        let body = match header.flags.codec() {
            Some(codec) => Cow::Owned(inflate(codec, body)?),
            None => Cow::Borrowed(body),
        };
        Ok(Self { header, extension, body })
    }

    fn read(self, allowance: &mut Allowance) -> Result<Frame, DecodeError> {
        scan_packed(&self.body, allowance)?;
        let payload = Payload::from_packed(self.header.kind, &self.body)?;
        Ok(Frame {
            sender: self.header.sender,
            recipient: self.header.recipient,
            conversation: self.header.conversation,
            timestamp_ns: self.header.timestamp_ns,
            priority: self.header.flags.contains(Flags::PRIORITY),
            streaming: self.header.flags.contains(Flags::STREAMING),
            extension: self.extension,
            payload,
        })
    }
}

const _: () = assert!(HEADER_LEN + PAYLOAD_BYTES_MAX <= u32::MAX as usize);

#[cfg(test)]
mod tests;
