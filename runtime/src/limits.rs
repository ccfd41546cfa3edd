//! Every bound of the kernel, with its unit; the crate names no other number for one.

use std::time::Duration;

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

/// Frames that one node may be sent by another before it has read one.
pub const LINK_CREDIT: usize = 1_024;

/// The largest frame of a link, in bytes: header, extension block and payload.
pub const LINK_FRAME_BYTES_MAX: usize = protocol::HEADER_LEN + protocol::limits::PAYLOAD_BYTES_MAX;

/// The nodes of one network, those that left included.
pub const LINK_PEERS_MAX: usize = 1_024;

/// The groups that one node may have joined.
pub const LINK_GROUPS_MAX: usize = 1_024;

/// Messages that a mailbox holds when its actor says nothing else.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// Messages that an actor handles before it lets others run, at the most.
pub const BATCH_MESSAGES: usize = 256;

/// Messages whose room an idle queue keeps; what a burst needed beyond is given back.
pub const QUEUE_SHRINK_ABOVE: usize = 256;

/// Control entries (answers, timers, notices, own messages) beyond which a message to oneself is refused.
pub const FOLLOW_UPS_MAX: usize = 16_384;

/// Messages that one actor may set aside in its stash, beside those of its mailbox.
pub const STASH_MESSAGES_MAX: usize = 1_024;

/// Targets of one call.
pub const CALL_TARGETS_MAX: usize = 4_096;

/// Parts of a node's wait-for graph, each with a lock of its own.
pub const WAIT_PARTS: usize = 64;

/// Waits, each for the next, along which somebody who waits for nothing is looked for before a new wait is reduced.
pub const WAIT_STEPS_MAX: usize = 16;

/// Effects that wait for the journal or a full mailbox before an actor takes no more data.
pub const OUTBOX_EFFECTS_MAX: usize = 8_192;

/// Children, tasks, timers or watches of an actor below which it does not look for ended ones.
pub const BELONGINGS_UNPRUNED: usize = 16;

/// How long a node that stops waits for its journal, after its own deadline.
pub const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// Messages that nobody took, of which note is kept.
pub const DEAD_LETTERS_MAX: usize = 1_024;

/// Bytes of what an actor keeps as the text of a message that crashed it.
pub const DEAD_LETTER_TEXT_BYTES_MAX: usize = 4_096;

/// Bytes of an actor's own part of its name.
pub const ACTOR_NAME_BYTES_MAX: usize = 128;

/// Records given back to an actor at a time when it is replayed.
pub const REPLAY_RECORDS: usize = 1_024;

/// How long an actor's end may take unless it says otherwise; OTP's default for workers.
pub const SHUTDOWN_DEFAULT: Duration = Duration::from_secs(5);

/// How long a killed actor may take to come out of its step before whoever ends it goes on without it.
pub const KILL_WAIT: Duration = Duration::from_secs(1);

/// Restarts that a supervisor allows within [`RESTART_PERIOD_DEFAULT`]; OTP's default.
pub const RESTARTS_DEFAULT: u32 = 1;

/// The period in which restarts are counted; OTP's default.
pub const RESTART_PERIOD_DEFAULT: Duration = Duration::from_secs(5);

/// Children of one supervisor.
pub const SUPERVISOR_CHILDREN_MAX: usize = 65_536;

const _: () = assert!(BATCH_MESSAGES <= MAILBOX_CAPACITY / 2);

/// Keys of one router that live at a time, unless told otherwise.
pub const KEYED_ACTORS: usize = 65_536;

/// How long an idle keyed actor lives, unless told otherwise; Akka's default for sharded entities.
pub const KEYED_IDLE: Duration = Duration::from_secs(120);

/// How often a message is sent to the actor of its key when that ends at that very moment.
pub const KEYED_ATTEMPTS_MAX: u32 = 8;

/// How long a message waits until its router has found or started the actor of its key.
pub const KEYED_FIND_WAIT: Duration = Duration::from_secs(5);

/// Messages by a router that wait in line for a full mailbox of one key; one more is refused.
pub const KEYED_LINE_MAX: usize = 16_384;

/// How finely the timer wheel divides time: a timer goes off at most this much late, plus the driver's own delay.
pub const WHEEL_TICK: Duration = Duration::from_millis(5);

/// The slots for entries that an emptied timer wheel keeps allocated.
pub const WHEEL_IDLE_ENTRIES: usize = 4_096;

/// What one poll of a task costs in a simulation, in virtual time.
pub const SIM_POLL_COST: Duration = Duration::from_micros(1);

/// The steps of a simulated run that are compared one by one with its second run; behind them only the last hash is.
pub const SIM_TRACE_STEPS_MAX: usize = 1 << 22;

/// The last steps that the report of a failed simulation shows.
pub const SIM_TRACE_LINES_SHOWN: usize = 24;

/// The steps of one simulated run; one that takes more does not come to rest.
pub const SIM_STEPS_MAX: u64 = 50_000_000;

/// The steps for which a simulation that does not come to rest goes on, to name who is at work.
pub const SIM_UNREST_STEPS: usize = 1_000;

/// Those at work who are named when a simulation does not come to rest.
pub const SIM_UNREST_NAMES: usize = 5;

/// How long a simulated disk takes to make a write durable, at the most.
pub const SIM_SYNC_MAX: Duration = Duration::from_millis(8);

/// How long a simulated node stays down after a crash, at the most.
pub const SIM_DOWN_MAX: Duration = Duration::from_secs(2);

/// How long a simulated message is held up, at the most.
pub const SIM_DELAY_MAX: Duration = Duration::from_millis(500);

/// How long an actor or a task hangs in a simulation, at the most.
pub const SIM_HANG_MAX: Duration = Duration::from_secs(10);

/// The requests that one admission lets be active at a time, unless told otherwise.
pub const ADMISSION_CREDITS: usize = 1_024;

/// How long a caller that found no credit is told to wait.
pub const ADMISSION_RETRY_AFTER: Duration = Duration::from_millis(100);

/// The accepted message ids that one admission remembers; the oldest are forgotten first.
pub const DEDUP_IDS_MAX: usize = 65_536;

/// How long an accepted message id is remembered.
pub const DEDUP_WINDOW: Duration = Duration::from_secs(600);

/// The deadline of a request that names none, counted from its admission.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(600);

/// The farthest deadline that a request may name, counted from its admission.
pub const DEADLINE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The subscriptions of one event bus.
pub const EVENT_SUBSCRIPTIONS_MAX: usize = 1_024;

/// The events that wait for one subscriber unless it asks for another number; the oldest are dropped first.
pub const EVENT_QUEUE: usize = 1_024;

/// The events that may wait for one subscriber at the most.
pub const EVENT_QUEUE_MAX: usize = 65_536;

/// The published event ids that a bus remembers, to drop the second event of an id.
pub const EVENT_IDS_MAX: usize = 4_096;

/// The data of one event, in bytes, about.
pub const EVENT_DATA_BYTES_MAX: usize = 64 << 10;

/// How long an emergency stop waits for quiet before it tells what still lives.
pub const EMERGENCY_WAIT: Duration = Duration::from_secs(3);

/// Bytes of who ordered an emergency stop, and of why; what is longer is cut.
pub const EMERGENCY_TEXT_BYTES_MAX: usize = 4_096;

/// How long a cancelled actor waits for those below it before it leaves them behind.
pub const QUIESCENCE_WAIT: Duration = Duration::from_secs(1);

/// The wait after the first failure, where none is given.
pub const BACKOFF_FIRST_DEFAULT: Duration = Duration::from_millis(100);

/// The longest wait after a failure, where none is given.
pub const BACKOFF_MAX_DEFAULT: Duration = Duration::from_secs(5);

/// Attempts at one thing, the first one counted.
pub const ATTEMPTS_MAX: u32 = 100;

/// The longest wait that another side may ask for before an attempt is given up.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Failures in a row that open a circuit breaker, where none is given.
pub const BREAKER_FAILURES: u32 = 5;

/// How long a circuit breaker stays open at first, where none is given.
pub const BREAKER_OPEN_FIRST: Duration = Duration::from_secs(1);

/// How long a circuit breaker stays open at the most, where none is given.
pub const BREAKER_OPEN_MAX: Duration = Duration::from_secs(60);

/// How long a probe through a half-open circuit breaker holds its place, where none is given.
pub const BREAKER_PATIENCE: Duration = Duration::from_secs(120);

/// The intervals between heartbeats that a detector remembers; Akka's `max-sample-size`.
pub const PHI_SAMPLES_MAX: usize = 1_000;

/// The least deviation of intervals between heartbeats; Akka's `min-std-deviation`.
pub const PHI_DEVIATION_MIN: Duration = Duration::from_millis(100);

/// A pause between heartbeats that is no ground for suspicion; Akka's `acceptable-heartbeat-pause`.
pub const PHI_PAUSE: Duration = Duration::from_secs(3);

/// The interval between heartbeats that is expected at first; Akka's `heartbeat-interval`.
pub const PHI_FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// Actors that one snapshot of a node's graph holds; the youngest are left out first, and counted.
pub const GRAPH_ACTORS_MAX: usize = 131_072;

/// Observers of one actor that wait for it to show its state; one more is refused.
pub const OBSERVERS_MAX: usize = 16;

/// Bytes of the state that an actor shows to observers, written as `MessagePack`.
pub const OBSERVED_BYTES_MAX: usize = 64 << 10;

/// Characters of a crash's reason that the drawing of a graph shows.
pub const GRAPH_REASON_CHARS_MAX: usize = 100;

/// Levels of a tree that its drawing moves to the right; deeper ones stand below one another.
pub const GRAPH_LEVELS_SHOWN: usize = 32;

// Those who do not come out of a step are left behind by those above them before the emergency stop gives them up.
const _: () = assert!(QUIESCENCE_WAIT.as_millis() < EMERGENCY_WAIT.as_millis());
