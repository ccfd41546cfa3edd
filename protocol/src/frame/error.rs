//! Why a frame cannot be read or written.

use crate::compress::InflateError;
use crate::extension::ExtensionError;
use crate::header::{HEADER_LEN, HeaderError};
use crate::limits::TEXT_FRAME_BYTES_MAX;
use crate::payload::PayloadError;
use crate::refusal::{Code, Refusal};
use crate::scan::ScanError;

/// Tells why bytes or text are no frame: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// There is not even a header.
    #[error("the frame has {have} bytes, its header alone has {HEADER_LEN}; send whole frames")]
    Short {
        /// Bytes that arrived.
        have: usize,
    },
    /// The header is wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The size in the header is not the size of the rest.
    #[error(
        "payload_size {claimed} at byte 60, but {have} bytes follow the header; write it after compressing"
    )]
    Size {
        /// What the header says.
        claimed: u32,
        /// What is there.
        have: usize,
    },
    /// The extension block is wrong.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// The compressed payload is wrong or too large.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// The payload is broken, too deep, or holds too many values.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The payload does not fit its schema.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A batch breaks its layout, or came where none may be.
    #[error("the batch at byte {offset} {problem}")]
    Batch {
        /// Where, from the start of the payload after inflating; 58 is the header's flag.
        offset: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The text is over its limit.
    #[error(
        "the text frame has {bytes} bytes, at most {TEXT_FRAME_BYTES_MAX} are allowed; send a binary frame"
    )]
    LongText {
        /// Bytes of the text.
        bytes: usize,
    },
    /// The text is no JSON, or no frame.
    #[error("the text is no frame; write an object with `type` and `payload`")]
    Text(#[source] serde_json::Error),
}

/// Tells why a frame cannot be written, because its receiver would refuse it.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The payload does not fit.
    #[error(
        "the message has {bytes} bytes, at most {max} are allowed; send less, or in several messages"
    )]
    TooLarge {
        /// Bytes of the message.
        bytes: usize,
        /// The limit that it breaks.
        max: usize,
    },
    /// The payload is too deep or holds too many values.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The payload breaks a rule of its schema.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The number of messages is not allowed in a batch.
    #[error("a batch of {count} messages is refused; use 1 to {max}")]
    BatchCount {
        /// The number of messages.
        count: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// The value cannot be written as JSON.
    #[error("the frame cannot be written as text")]
    Text(#[source] serde_json::Error),
}

impl DecodeError {
    /// Gives what to answer the sender: a code, and the error with its causes as the text.
    pub fn refusal(&self) -> Refusal {
        let code = match self {
            Self::Header(HeaderError::Version { .. })
            | Self::Inflate(InflateError::NotSupported { .. }) => Code::NotSupported,
            Self::Header(HeaderError::TooLarge { .. })
            | Self::Extension(ExtensionError::TooLarge { .. })
            | Self::Inflate(InflateError::TooLarge { .. } | InflateError::Ratio { .. })
            | Self::LongText { .. } => Code::TooLarge,
            Self::Scan(problem) if problem.is_limit() => Code::TooLarge,
            Self::Short { .. }
            | Self::Header(_)
            | Self::Size { .. }
            | Self::Extension(_)
            | Self::Inflate(_)
            | Self::Scan(_)
            | Self::Payload(_)
            | Self::Batch { .. }
            | Self::Text(_) => Code::Invalid,
        };
        Refusal::from_error(code, self)
    }
}
