//! Every bound of the kernel, with its unit; the crate names no other number for one.

/// The largest record of a journal, in bytes.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 1 << 20;
