//! Every limit of the words, with its unit.
//!
//! The encoder, the decoder and docs/PROTOCOL.md read them; a peer may announce smaller ones in its Welcome.

/// Largest text of a refusal, in bytes; a longer one is cut at a character.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 1024;
/// Wait before a retry when the refusal names none, in milliseconds.
pub const RETRY_AFTER_DEFAULT_MS: u64 = 1_000;
/// Longest wait that a refusal may ask for, in milliseconds (one hour).
pub const RETRY_AFTER_MAX_MS: u64 = 3_600_000;
