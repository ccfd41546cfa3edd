//! What a run file may hold at most, each limit with its unit.

use std::time::Duration;

/// The largest run file, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// The longest line of a run file, and the longest `--set`, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// The longest name of an agent, pattern or input, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The most agents of one file.
pub const AGENTS_MAX: usize = 256;
/// The most patterns of one file.
pub const PATTERNS_MAX: usize = 64;
/// Patterns that one may come after: its agents may be given what each of them brought.
pub const AFTER_MAX: usize = 16;
/// The most fallbacks behind one another.
pub const FALLBACKS_MAX: usize = actors::limits::FALLBACKS_MAX;
/// The most inputs of one file.
pub const INPUTS_MAX: usize = 64;
/// The most elements of one list.
pub const LIST_MAX: usize = 256;
/// The most `--set` options of one run.
pub const OVERRIDES_MAX: usize = 256;
/// The most keys of the path of one `--set`.
pub const PATH_KEYS_MAX: usize = 16;
/// The most instances of one agent.
pub const COUNT_MAX: i64 = 1024;
/// The most parts that one instance works on at once.
pub const CONCURRENCY_MAX: i64 = 256;
/// The most instances of all agents of one file together, those that a `process` has for its `concurrency` counted.
pub const INSTANCES_MAX: i64 = 4_096;
/// The most calls of its agents that a run may be limited to.
pub const MESSAGES_MAX: i64 = 1_000_000_000;
/// The most attempts at one part.
pub const ATTEMPTS_MAX: i64 = 100;
/// The most failures in a row that a circuit breaker may wait for.
pub const FAILURES_MAX: i64 = 1_000_000;
/// The most probes that a circuit breaker may wait for.
pub const PROBES_MAX: i64 = CONCURRENCY_MAX;
/// The most calls that a rate limit may allow in its time.
pub const RATE_COUNT_MAX: i64 = 1_000_000_000;
/// The most rounds of one vote.
pub const ROUNDS_MAX: i64 = actors::limits::ROUNDS_MAX as i64;
/// The most documents in one stage of a pipeline at a time.
pub const STAGE_WINDOW_MAX: i64 = actors::limits::STAGE_WINDOW_MAX as i64;
/// The most agents that a swarm begins with.
pub const SWARM_AGENTS_MAX: i64 = 1_000_000;
/// The most ticks of a swarm.
pub const SWARM_TICKS_MAX: i64 = 1_000_000_000;
/// The most stages of a tick of a swarm.
pub const SWARM_STAGES_MAX: i64 = 1_000;
/// The most units of food at one place.
pub const SWARM_FOOD_MAX: i64 = 1_000_000_000;
/// The most workers of one team that work by one agent.
pub const TEAM_WORKERS_MAX: i64 = actors::limits::TEAM_WORKERS_MAX as i64;
/// How often something may be started again within its time.
pub const RESTARTS_MAX: i64 = 1_000_000;
/// The most instances that a rolling rollout moves at a time.
pub const BATCH_MAX: i64 = 1_000;
/// The most files of one part.
pub const PART_FILES_MAX: i64 = 100_000;
/// The most processes, or open files, that a program may be allowed.
pub const PROCESS_RESOURCES_MAX: i64 = 1_000_000;
/// The longest text of one value, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The shortest duration other than none.
pub const DURATION_MIN: Duration = Duration::from_millis(1);
/// The longest duration.
pub const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The smallest size of a part or of an output, in bytes.
pub const BYTES_MIN: u64 = 1;
/// The largest size of a part, of a memory or of an output, in bytes.
pub const BYTES_MAX: u64 = 1 << 50;
/// The most seeds of one test.
pub const SEEDS_MAX: i64 = 1_000_000;
/// The most problems that are shown in full.
pub const PROBLEMS_SHOWN_MAX: usize = 100;

const _: () = assert!(DURATION_MIN.as_nanos() < DURATION_MAX.as_nanos());
const _: () = assert!(BYTES_MIN < BYTES_MAX);
const _: () = assert!(COUNT_MAX <= INSTANCES_MAX);
const _: () = assert!(NAME_BYTES_MAX < TEXT_BYTES_MAX && TEXT_BYTES_MAX < FILE_BYTES_MAX);
