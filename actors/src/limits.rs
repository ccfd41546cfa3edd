//! Every bound of the work, with its unit; the crate names no other number for one.

use std::time::Duration;

/// The time that an agent has for one answer, where none is given.
pub const AGENT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

/// The bytes that a program may print for one answer, where no limit is given.
pub const OUTPUT_BYTES_DEFAULT: usize = 16 << 20;

/// The longest command line of a program, in bytes, with 8 for each argument; the system's own limit is about 2 MiB.
pub const COMMAND_LINE_BYTES_MAX: usize = 1 << 20;

/// The longest single argument of a program, in bytes; the system's own limit is 128 KiB.
pub const ARGUMENT_BYTES_MAX: usize = (128 << 10) - 1;

/// The end of a program's standard error that is kept, in bytes.
pub const STDERR_TAIL_BYTES: usize = 8 << 10;

/// The part of it that an error's text shows, in characters.
pub const STDERR_SHOWN_CHARS_MAX: usize = 1_000;

/// The beginning of unreadable output that an error's text shows, in characters.
pub const EXCERPT_CHARS_MAX: usize = 200;

/// The longest reason that a launcher reports, in bytes.
pub const REPORT_REASON_BYTES_MAX: usize = 512;

/// The time, beyond its grace, that a program's processes have to be gone after they were killed.
pub const STOP_WAIT: Duration = Duration::from_secs(5);

/// The time that a program which closed its output has to end by itself, so that its end can be named.
pub const CLOSED_OUTPUT_WAIT: Duration = Duration::from_secs(2);

/// The time between asking a program to end and killing it, where none is given.
pub const PROGRAM_GRACE_DEFAULT: Duration = Duration::from_millis(500);

/// The private writable memory of each process of a program, in bytes, where no limit is given.
pub const PROGRAM_MEMORY_BYTES_DEFAULT: u64 = 4 << 30;

/// The processor time of each process of a program, in seconds, where no limit is given.
pub const PROGRAM_CPU_SECONDS_DEFAULT: u64 = 600;

/// The open files of each process of a program, where no limit is given.
pub const PROGRAM_OPEN_FILES_DEFAULT: u64 = 1_024;

/// The largest file that a program may write, in bytes, where no limit is given.
pub const PROGRAM_FILE_BYTES_DEFAULT: u64 = 1 << 30;

const _: () = assert!(REPORT_REASON_BYTES_MAX * 8 <= STDERR_TAIL_BYTES, "a report fits the tail");
const _: () = assert!(ARGUMENT_BYTES_MAX < COMMAND_LINE_BYTES_MAX);
