//! Batches: several messages in one frame.
//!
//! # Invariants
//! - A message of a batch is a whole frame, neither batched nor compressed itself, so that limits hold for the sum.
//! - The values of all messages count together.

use super::{DecodeError, EncodeError, Frame, Parts, assemble};
use crate::compress::Codec;
use crate::extension::Extension;
use crate::header::{Flags, HEADER_LEN};
use crate::limits::{BATCH_MESSAGES_MAX, PAYLOAD_BYTES_MAX};
use crate::scan::{Allowance, scan_packed};

const LENGTH_LEN: usize = 4;

impl Frame {
    /// Writes several messages as one frame, which repeats the header of the first; compresses them together where that pays.
    ///
    /// # Errors
    /// [`EncodeError`] for no message, for over [`BATCH_MESSAGES_MAX`], and for what a single frame may not be.
    pub fn encode_batch(frames: &[Self], codec: Option<Codec>) -> Result<Vec<u8>, EncodeError> {
        let count_error = EncodeError::BatchCount { count: frames.len(), max: BATCH_MESSAGES_MAX };
        let first = match frames.first() {
            Some(first) if frames.len() <= BATCH_MESSAGES_MAX => first,
            _ => return Err(count_error),
        };
        let mut allowance = Allowance::of_a_frame();
        let mut body = length_field(frames.len()).to_vec();
        for frame in frames {
            let packed = frame.payload.to_packed()?;
            scan_packed(&packed, &mut allowance)?;
            let message = assemble(frame.header(), &frame.extension, &packed, None)?;
            body.extend(length_field(message.len()));
            body.extend(message);
        }
        let mut header = first.header();
        header.flags = header.flags.with(Flags::BATCH);
        assemble(header, &Extension::default(), &body, codec)
    }

    /// Reads a frame that fills the bytes, be it one message or a batch.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong, where, and what to do; one wrong message refuses its whole batch.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let parts = Parts::split(bytes)?;
        let mut allowance = Allowance::of_a_frame();
        if !parts.header.flags.contains(Flags::BATCH) {
            return Ok(vec![parts.read(&mut allowance)?]);
        }
        if parts.header.flags.contains(Flags::EXTENSION) {
            let problem = "has an extension block; each message carries its own";
            return Err(DecodeError::Batch { offset: 58, problem });
        }
        read_messages(&parts.body, &mut allowance)
    }
}

fn length_field(length: usize) -> [u8; LENGTH_LEN] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn read_messages(body: &[u8], allowance: &mut Allowance) -> Result<Vec<Frame>, DecodeError> {
    let mut rest = body;
    let error =
        |rest: &[u8], problem| DecodeError::Batch { offset: body.len() - rest.len(), problem };
    let count = take_length(&mut rest).ok_or_else(|| error(rest, "lacks its u32 count"))?;
    if count == 0 || count > BATCH_MESSAGES_MAX {
        return Err(error(body, "holds no message, or over 1024"));
    }
    let mut frames = Vec::new();
    for _ in 0..count {
        let message = take_message(&mut rest).ok_or_else(|| {
            error(
                rest,
                "is cut off: the u32 length is missing, over 1 MiB and a header, or too long",
            )
        })?;
        let parts = Parts::split_inner(message).unwrap_or_else(|| {
            Err(error(
                message,
                "holds a message that is batched or compressed itself; send it plain",
            ))
        })?;
        frames.push(parts.read(allowance)?);
    }
    if rest.is_empty() { Ok(frames) } else { Err(error(rest, "goes on after its last message")) }
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

fn take_message<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest).filter(|length| *length <= HEADER_LEN + PAYLOAD_BYTES_MAX)?;
    let (message, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(message)
}

impl<'a> Parts<'a> {
    /// Splits a message of a batch, or gives nothing where its flags are not allowed there.
    fn split_inner(message: &'a [u8]) -> Option<Result<Self, DecodeError>> {
        const FLAGS_LOW: usize = 59;
        let forbidden = Flags::BATCH.with(Flags::COMPRESSED).bits();
        let is_forbidden =
            message.get(FLAGS_LOW).is_some_and(|low| u16::from(*low) & forbidden != 0);
        (!is_forbidden).then(|| Self::split(message))
    }
}
