//! The limits of code review, each with its unit.

/// Bytes of a file that are read; a larger one is skipped unread.
pub const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Files of one source.
pub const FILES_MAX: usize = 200_000;
/// Bytes of all files of one source.
pub const SOURCE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of all files of a commit that are written for the programs that look at a diff.
pub const CHECKOUT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Directory levels below the root of a source.
pub const DIRECTORY_DEPTH_MAX: usize = 128;
/// Bytes at the start of a file in which a NUL byte tells that it is binary.
pub const BINARY_PROBE_BYTES: usize = 8 * 1024;
/// Imports of one file that are followed to other files of the source.
pub const IMPORTS_MAX: usize = 512;

/// Bytes that one `git` command may print.
pub const GIT_OUTPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Seconds that one `git` command may take.
pub const GIT_SECONDS_MAX: u64 = 120;
/// Bytes of the error text of a `git` command that are kept.
pub const GIT_ERROR_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a revision range.
pub const REVISION_BYTES_MAX: usize = 512;

/// Levels of Rust syntax that are parsed on the caller's stack.
pub const SYNTAX_DEPTH_INLINE: usize = 12;
/// Levels of Rust syntax that are parsed at all, on a stack of their own.
pub const SYNTAX_DEPTH_MAX: usize = 1_024;
/// Bytes of the stack on which deep syntax is parsed.
pub const SYNTAX_STACK_BYTES: usize = SYNTAX_DEPTH_MAX * 96 * 1024;
/// Steps (progress reports of the parser, about a hundred operations each) of one tree-sitter parse.
pub const PARSE_STEPS_MAX: u32 = 200_000;

/// Cognitive complexity of a function above which it is a finding.
pub const COMPLEXITY_MAX: u32 = 25;
/// Lines of code of a function, without blank lines and comments, above which it is a finding.
pub const FUNCTION_LINES_MAX: u32 = 100;

/// Bytes of a line above which it is data, not text: not spell-checked and not searched for assignments.
pub const LINE_BYTES_MAX: usize = 1_000;
/// Letters of the shortest word that is spell-checked.
pub const TYPO_LETTERS_MIN: usize = 6;
/// Occurrences in one file above which a word is a name, not a slip.
pub const TYPO_OCCURRENCES_MAX: usize = 5;
/// Bytes of the shortest value that can be a secret by its entropy.
pub const SECRET_BYTES_MIN: usize = 16;
/// Bytes of the longest value that can be a secret by its entropy.
pub const SECRET_BYTES_MAX: usize = 256;

/// Findings of one reviewer in one file; the rest is counted in a skip.
pub const FINDINGS_PER_FILE_MAX: usize = 2_000;
/// Bytes of a finding's message or suggestion.
pub const MESSAGE_BYTES_MAX: usize = 2 * 1024;
/// Findings that are read from the output of one program.
pub const CONVERTED_MAX: usize = 100_000;
/// Places that are kept of one suggestion.
pub const PLACES_MAX: usize = 20;
/// Functions that are named as the most complex of a review.
pub const COMPLEX_FILES_MAX: usize = 10;
/// Findings that a Markdown or HTML report shows; the rest is counted.
pub const REPORT_FINDINGS_MAX: usize = 5_000;
/// Lines that a Markdown report names for one message in one file; the rest is counted.
pub const REPORT_LINES_MAX: usize = 8;
/// Findings of a SARIF log: code hosts refuse more of one run.
pub const SARIF_RESULTS_MAX: usize = 25_000;

const _: () = assert!(SYNTAX_DEPTH_INLINE < SYNTAX_DEPTH_MAX);
const _: () = assert!(SECRET_BYTES_MIN < SECRET_BYTES_MAX && SECRET_BYTES_MAX < LINE_BYTES_MAX);
const _: () = assert!(REPORT_FINDINGS_MAX <= SARIF_RESULTS_MAX);
const _: () = assert!((BINARY_PROBE_BYTES as u64) < FILE_BYTES_MAX);
