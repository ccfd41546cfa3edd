//! Every bound of the kernel, with its unit; the crate names no other number for one.

/// The largest record of a journal, in bytes.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 1 << 20;

/// The records that one append to a journal may hold.
pub const JOURNAL_APPEND_RECORDS_MAX: usize = 4_096;

/// The bytes that one append to a journal may hold.
pub const JOURNAL_APPEND_BYTES_MAX: usize = 16 << 20;

/// The records that one read of a journal returns at most.
pub const JOURNAL_READ_RECORDS_MAX: usize = 65_536;

/// The bytes after which a read of a journal ends its page; a page holds at least one record.
pub const JOURNAL_READ_BYTES_MAX: usize = 16 << 20;

/// The runs that one listing of a journal returns at most.
pub const JOURNAL_RUNS_MAX: usize = 65_536;

/// The bytes that a journal in memory holds unless told otherwise.
pub const JOURNAL_MEMORY_BYTES_MAX: usize = 1 << 30;

/// The appends that may wait for the disk.
pub const JOURNAL_QUEUE_APPENDS_MAX: usize = 262_144;

/// The bytes of records that may wait for the disk.
pub const JOURNAL_QUEUE_BYTES_MAX: usize = 64 << 20;

/// The bytes of records after which the journal on disk commits, whatever else waits.
pub const JOURNAL_COMMIT_BYTES_MAX: usize = 16 << 20;

/// The runs whose next position the journal on disk remembers; others are looked up.
pub const JOURNAL_TAILS_MAX: usize = 16_384;

/// The memory in which the journal on disk keeps its pages, in bytes.
pub const JOURNAL_CACHE_BYTES: usize = 64 << 20;
