//! The extension block: what a message may carry beside its payload.
//!
//! [`Frame`](crate::Frame) puts it between header and payload, never compressed, so that routers read it cheaply.
//!
//! # Invariants
//! - Fields stand in ascending order of their tags, each once; unknown tags are skipped, so newer peers may add some.
//! - An empty block is not written at all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::MessageId;
use crate::limits::{EXTENSION_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX};

/// What a message may carry beside its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extension {
    /// Names the message; receivers drop the second message of one id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// The message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageId>,
    /// The trace that the message belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// Unix nanoseconds by the sender's clock; less the header's timestamp it is the time left, whatever the clocks say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ns: Option<i64>,
    /// Names the effect, so that a repeated request has it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// The act of speech.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performative: Option<Performative>,
}

/// Tells why a block is refused; offsets count from the start of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The block, or a field in it, is cut off.
    #[error(
        "the extension block is cut off at byte {offset}; its u16 length and each field's length must fit"
    )]
    Short {
        /// Where bytes are missing.
        offset: usize,
    },
    /// The block is over its limit.
    #[error("the extension block claims {found} bytes, at most {EXTENSION_BYTES_MAX} are allowed")]
    TooLarge {
        /// The claimed length, with the length field.
        found: usize,
    },
    /// A tag is repeated or out of order.
    #[error(
        "tag {tag} at byte {offset} of the extension block is out of order; write ascending tags, each once"
    )]
    Order {
        /// The tag.
        tag: u8,
        /// Where it stands.
        offset: usize,
    },
    /// A field's value is wrong.
    #[error("field {field} at byte {offset} of the extension block {problem}")]
    Field {
        /// The field, by its name in JSON.
        field: &'static str,
        /// Where its tag stands.
        offset: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

const MESSAGE_ID: u8 = 1;
const IN_REPLY_TO: u8 = 2;
const TRACEPARENT: u8 = 3;
const DEADLINE: u8 = 4;
const IDEMPOTENCY_KEY: u8 = 5;
const PERFORMATIVE: u8 = 6;
const LENGTH_LEN: usize = 2;

impl Extension {
    /// Tells whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lays the block out: u16 length of what follows, then tag, length and value of each field.
    pub fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; LENGTH_LEN];
        put(&mut block, MESSAGE_ID, self.message_id.map(MessageId::to_bytes));
        put(&mut block, IN_REPLY_TO, self.in_reply_to.map(MessageId::to_bytes));
        put(&mut block, TRACEPARENT, self.traceparent.map(TraceParent::to_bytes));
        put(&mut block, DEADLINE, self.deadline_ns.map(i64::to_be_bytes));
        put(&mut block, IDEMPOTENCY_KEY, self.idempotency_key.as_ref().map(IdempotencyKey::as_str));
        put(&mut block, PERFORMATIVE, self.performative.map(|act| [act as u8]));
        let length = u16::try_from(block.len() - LENGTH_LEN).unwrap_or(u16::MAX);
        if let Some(front) = block.first_chunk_mut() {
            *front = length.to_be_bytes();
        }
        block
    }

    /// Reads the block at the front of the bytes, and gives what follows it.
    ///
    /// # Errors
    /// [`ExtensionError`] says what is wrong at which byte.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), ExtensionError> {
        let (length, rest) =
            bytes.split_first_chunk().ok_or(ExtensionError::Short { offset: 0 })?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length + LENGTH_LEN > EXTENSION_BYTES_MAX {
            return Err(ExtensionError::TooLarge { found: length + LENGTH_LEN });
        }
        let (mut fields, rest) =
            rest.split_at_checked(length).ok_or(ExtensionError::Short { offset: LENGTH_LEN })?;
        let mut extension = Self::default();
        let mut last_tag = 0;
        while let Some((&tag, after)) = fields.split_first() {
            let offset = LENGTH_LEN + length - fields.len();
            let value;
            (value, fields) = split_value(after).ok_or(ExtensionError::Short { offset })?;
            if tag <= last_tag {
                return Err(ExtensionError::Order { tag, offset });
            }
            last_tag = tag;
            extension.set(tag, value).map_err(|(field, problem)| ExtensionError::Field {
                field,
                offset,
                problem,
            })?;
        }
        Ok((extension, rest))
    }

    fn set(&mut self, tag: u8, value: &[u8]) -> Result<(), (&'static str, &'static str)> {
        const ID_PROBLEM: &str = "is not 16 bytes";
        let id =
            |field| value.try_into().map(MessageId::from_bytes).map_err(|_| (field, ID_PROBLEM));
        match tag {
            MESSAGE_ID => self.message_id = Some(id("message_id")?),
            IN_REPLY_TO => self.in_reply_to = Some(id("in_reply_to")?),
            TRACEPARENT => {
                let trace = value.try_into().ok().and_then(TraceParent::from_bytes);
                self.traceparent =
                    Some(trace.ok_or(("traceparent", "is not 25 bytes, or holds a zero id"))?);
            }
            DEADLINE => {
                let deadline = value.try_into().map(i64::from_be_bytes);
                self.deadline_ns = Some(deadline.map_err(|_| ("deadline_ns", "is not 8 bytes"))?);
            }
            IDEMPOTENCY_KEY => {
                let key =
                    std::str::from_utf8(value).ok().and_then(|text| IdempotencyKey::new(text).ok());
                self.idempotency_key =
                    Some(key.ok_or(("idempotency_key", "is not UTF-8 of 1 to 128 bytes"))?);
            }
            PERFORMATIVE => {
                let act = value
                    .try_into()
                    .ok()
                    .and_then(|[number]: [u8; 1]| Performative::from_number(number));
                self.performative =
                    Some(act.ok_or(("performative", "is not one byte from 1 to 11"))?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn put(block: &mut Vec<u8>, tag: u8, value: Option<impl AsRef<[u8]>>) {
    if let Some(value) = value {
        let value = value.as_ref();
        block.extend([tag, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
        block.extend_from_slice(value);
    }
}

fn split_value(after_tag: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = after_tag.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// A W3C trace context, version 00: the trace, the calling span, and its flags.
///
/// ```
/// use synod_protocol::TraceParent;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let trace: TraceParent = text.parse()?;
/// assert_eq!((trace.span_id(), trace.is_sampled()), (0x00f0_67aa_0ba9_02b7, true));
/// assert_eq!(trace.to_string(), text);
/// # Ok::<(), synod_protocol::ParseTraceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// Tells that a text is no trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the traceparent is not 00-<32 hexadecimal digits>-<16>-<2> in lower case with ids that are not zero"
)]
pub struct ParseTraceError;

impl TraceParent {
    /// Makes a trace context, or nothing where an id is zero.
    pub const fn new(trace_id: u128, span_id: u64, flags: u8) -> Option<Self> {
        if trace_id == 0 || span_id == 0 { None } else { Some(Self { trace_id, span_id, flags }) }
    }

    /// Gives the id of the trace, never zero.
    pub const fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// Gives the id of the calling span, never zero.
    pub const fn span_id(self) -> u64 {
        self.span_id
    }

    /// Tells whether the caller records the trace.
    pub const fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    fn to_bytes(self) -> [u8; 25] {
        let mut bytes = [0; 25];
        let fields = self
            .trace_id
            .to_be_bytes()
            .into_iter()
            .chain(self.span_id.to_be_bytes())
            .chain([self.flags]);
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    fn from_bytes(bytes: [u8; 25]) -> Option<Self> {
        let (trace_id, rest) = bytes.split_first_chunk()?;
        let (span_id, rest) = rest.split_first_chunk()?;
        Self::new(u128::from_be_bytes(*trace_id), u64::from_be_bytes(*span_id), *rest.first()?)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, ParseTraceError> {
        let mut parts = text.split('-');
        let mut digits = |len| {
            let lower_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
            parts
                .next()
                .filter(|part| part.len() == len && part.as_bytes().iter().all(lower_hex))
                .ok_or(ParseTraceError)
        };
        let (version, trace, span, flags) = (digits(2)?, digits(32)?, digits(16)?, digits(2)?);
        if version != "00" || parts.next().is_some() {
            return Err(ParseTraceError);
        }
        let trace = u128::from_str_radix(trace, 16).map_err(|_| ParseTraceError)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| ParseTraceError)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| ParseTraceError)?;
        Self::new(trace, span, flags).ok_or(ParseTraceError)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Names an effect: 1 to 128 bytes of text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

/// Tells that a text is no idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key of {bytes} bytes is refused; use 1 to {IDEMPOTENCY_KEY_BYTES_MAX}")]
pub struct KeyError {
    /// Length of the text in bytes.
    pub bytes: usize,
}

impl IdempotencyKey {
    /// Takes a text of 1 to 128 bytes.
    ///
    /// # Errors
    /// [`KeyError`] for any other length.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len());
        if fits { Ok(Self(text)) } else { Err(KeyError { bytes: text.len() }) }
    }

    /// Gives the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0
    }
}

/// An act of speech, after FIPA's communicative acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Performative {
    /// Asks for something to be done.
    Request = 1,
    /// Says that it will be done.
    Agree = 2,
    /// Says that it will not be done.
    Refuse = 3,
    /// Says that something is so.
    Inform = 4,
    /// Says that it was tried and failed.
    Failure = 5,
    /// Calls for proposals.
    Cfp = 6,
    /// Offers to do it, on terms.
    Propose = 7,
    /// Takes an offer.
    AcceptProposal = 8,
    /// Declines an offer.
    RejectProposal = 9,
    /// Takes a request back.
    Cancel = 10,
    /// Says that a message made no sense.
    NotUnderstood = 11,
}

impl Performative {
    /// Every act, by ascending number.
    pub const EVERY: &'static [Self] = &[
        Self::Request,
        Self::Agree,
        Self::Refuse,
        Self::Inform,
        Self::Failure,
        Self::Cfp,
        Self::Propose,
        Self::AcceptProposal,
        Self::RejectProposal,
        Self::Cancel,
        Self::NotUnderstood,
    ];

    /// Reads the number of the extension block.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::EVERY.iter().copied().find(|act| *act as u8 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Extension {
        Extension {
            message_id: Some(MessageId::from_u128(1)),
            in_reply_to: Some(MessageId::from_u128(2)),
            traceparent: TraceParent::new(3, 4, 1),
            deadline_ns: Some(-5),
            idempotency_key: Some(
                IdempotencyKey::new("k".repeat(IDEMPOTENCY_KEY_BYTES_MAX)).unwrap(),
            ),
            performative: Some(Performative::Cfp),
        }
    }

    #[test]
    fn a_full_block_round_trips_and_leaves_the_rest_alone() {
        let mut bytes = full().encode();
        assert!(bytes.len() <= EXTENSION_BYTES_MAX);
        bytes.extend(b"payload");
        assert_eq!(Extension::decode(&bytes), Ok((full(), b"payload".as_slice())));
    }

    #[test]
    fn a_block_cut_off_anywhere_is_refused() {
        let bytes = full().encode();
        for len in 0..bytes.len() {
            assert!(
                matches!(Extension::decode(&bytes[..len]), Err(ExtensionError::Short { .. })),
                "{len}"
            );
        }
    }

    #[test]
    fn unknown_tags_are_skipped_and_disorder_is_refused() {
        let unknown = [0, 6, 6, 1, 4, 200, 1, 9];
        assert_eq!(Extension::decode(&unknown).unwrap().0.performative, Some(Performative::Inform));
        let twice = [0, 6, 6, 1, 4, 6, 1, 4];
        assert_eq!(Extension::decode(&twice), Err(ExtensionError::Order { tag: 6, offset: 5 }));
        assert_eq!(
            Extension::decode(&[0, 2, 0, 0]),
            Err(ExtensionError::Order { tag: 0, offset: 2 })
        );
        assert_eq!(Extension::decode(&[2, 0]), Err(ExtensionError::TooLarge { found: 514 }));
    }

    #[test]
    fn a_field_of_the_wrong_length_or_range_is_named() {
        for (tag, field) in
            [(1, "message_id"), (3, "traceparent"), (4, "deadline_ns"), (6, "performative")]
        {
            let refused = Extension::decode(&[0, 4, tag, 2, 0, 0]).unwrap_err();
            assert!(
                matches!(refused, ExtensionError::Field { field: found, offset: 2, .. } if found == field)
            );
        }
        assert!(Extension::decode(&[0, 3, 6, 1, 12]).is_err(), "performative 12");
        assert!(Extension::decode(&[0, 2, 5, 0]).is_err(), "an empty key");
        assert!(Extension::decode(&[0, 3, 5, 1, 0xff]).is_err(), "a key that is not UTF-8");
        let zero_trace = [[0, 27, 3, 25].as_slice(), &[0; 25]].concat();
        assert!(Extension::decode(&zero_trace).is_err(), "a trace id of zero");
    }

    #[test]
    fn only_the_canonical_text_of_a_trace_is_read() {
        let text = TraceParent::new(1, 2, 3).unwrap().to_string();
        assert_eq!(text, "00-00000000000000000000000000000001-0000000000000002-03");
        assert_eq!(text.parse(), Ok(TraceParent::new(1, 2, 3).unwrap()));
        for wrong in [
            text.to_uppercase().replace('0', "A"),
            text.replacen("00", "01", 1),
            format!("{text}-00"),
            text.replace('-', "+"),
        ] {
            assert!(wrong.parse::<TraceParent>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn performatives_keep_their_numbers_and_their_words() {
        for (index, act) in Performative::EVERY.iter().enumerate() {
            assert_eq!(usize::from(*act as u8), index + 1);
            assert_eq!(Performative::from_number(*act as u8), Some(*act));
        }
        assert_eq!(
            serde_json::to_string(&Performative::AcceptProposal).unwrap(),
            "\"accept_proposal\""
        );
    }
}
