//! Every limit of the words, with its unit.
//!
//! The encoder, the decoder and docs/PROTOCOL.md read them; a peer may announce smaller ones in its Welcome.

/// Largest part of a frame after its header, in bytes on the wire: extension block and payload together (1 MiB).
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Largest payload after inflating, in bytes (10 MiB).
pub const INFLATED_BYTES_MAX: usize = 10 << 20;
/// Largest ratio of inflated to compressed bytes.
pub const INFLATE_RATIO_MAX: usize = 100;
/// Payloads up to this size are never compressed, in bytes.
pub const COMPRESS_ABOVE_BYTES: usize = 1024;
/// Room that inflating starts with and doubles up to, in bytes (256 KiB); beyond it takes its whole bound at once.
pub const INFLATE_STEP_BYTES_MAX: usize = 256 << 10;
/// Largest zstd window, as a power of two of bytes (2 MiB).
pub const ZSTD_WINDOW_LOG_MAX: u32 = 21;
/// Deepest nesting of arrays and maps in a payload.
pub const DEPTH_MAX: usize = 64;
/// Most values in a frame, over all messages of a batch together; every array, key and scalar counts one, every map two.
pub const VALUES_MAX: usize = 65_536;
/// Most messages in a batch.
pub const BATCH_MESSAGES_MAX: usize = 1_024;
/// Largest extension block, in bytes with its length field.
pub const EXTENSION_BYTES_MAX: usize = 512;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// Largest JSON text frame, in bytes.
pub const TEXT_FRAME_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;
/// Memory that decoding takes beside the frame and the decoded value, in bytes (16 MiB).
pub const DECODE_BYTES_MAX: usize = 16 << 20;

/// Longest name (of agents, capabilities, choices, documents, keys, event types), in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest text for people (reasons, reasoning, questions), in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most capabilities of an agent, needs of a task, codecs or event types in one list.
pub const NAMES_MAX: usize = 256;
/// Most labels of an agent, task or event.
pub const LABELS_MAX: usize = 64;
/// Most tasks that one agent runs at once.
pub const CONCURRENCY_MAX: u32 = 65_536;
/// Most members of a conversation.
pub const MEMBERS_MAX: usize = 1_024;
/// Most changes in one state update.
pub const CHANGES_MAX: usize = 1_024;
/// Most entries of a vector clock.
pub const TICKS_MAX: usize = 1_024;
/// Most choices of a proposal, and in one ballot.
pub const CHOICES_MAX: usize = 256;
/// Most pieces of evidence in one ballot.
pub const EVIDENCE_MAX: usize = 64;

/// Largest text of a refusal, in bytes; a longer one is cut at a character.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 1024;
/// Wait before a retry when the refusal names none, in milliseconds.
pub const RETRY_AFTER_DEFAULT_MS: u64 = 1_000;
/// Longest wait that a refusal may ask for, in milliseconds (one hour).
pub const RETRY_AFTER_MAX_MS: u64 = 3_600_000;

/// Growing an output copies it once from the last step to its bound; both, and the codec's window, are held then.
const _: () = assert!(
    INFLATE_STEP_BYTES_MAX + INFLATED_BYTES_MAX + (1 << ZSTD_WINDOW_LOG_MAX) + PAYLOAD_BYTES_MAX
        <= DECODE_BYTES_MAX
);
const _: () = assert!(EXTENSION_BYTES_MAX < PAYLOAD_BYTES_MAX);
const _: () = assert!(TEXT_BYTES_MAX < PAYLOAD_BYTES_MAX);
