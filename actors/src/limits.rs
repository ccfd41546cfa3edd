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

/// The time that a launcher has to hold still before its program is killed in an emergency.
pub const LAUNCHER_STOP_WAIT: Duration = Duration::from_secs(1);

/// The time between two looks at whether it does.
pub const LAUNCHER_STOP_LOOK: Duration = Duration::from_millis(1);

/// The time between two looks of whoever waits for the end of all programs at which of them live.
pub const LIVING_LOOK: Duration = Duration::from_millis(10);

/// The time that a program which closed its output has to end by itself, so that its end can be named.
pub const CLOSED_OUTPUT_WAIT: Duration = Duration::from_secs(2);

/// The shortest heartbeat that an agent can declare; below it, a busy machine is taken for a hanging agent.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

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

/// Demands that wait at one node's roster.
pub const DEMANDS_MAX: usize = 65_536;

/// Messages that the roster's mailbox holds.
pub const ROSTER_MAILBOX: usize = 65_536;

/// How often the roster is started again within [`ROSTER_RESTART_PERIOD`].
pub const ROSTER_RESTARTS: u32 = 100;

/// The time within which the roster may be started again so often.
pub const ROSTER_RESTART_PERIOD: Duration = Duration::from_secs(60);

/// Direct calls that wait at one slot.
pub const CALLS_QUEUED_MAX: usize = 1_024;

/// Events that wait for an agent that is called for each.
pub const HEARD_EVENTS_MAX: usize = 1_024;

/// Members of one conversation.
pub const CONVERSATION_MEMBERS_MAX: usize = protocol::limits::MEMBERS_MAX;

/// Messages to one member of a conversation that it has not handled yet.
pub const CONVERSATION_UNHEARD_MAX: usize = 256;

/// The last messages of a conversation that it remembers.
pub const CONVERSATION_LINES_MAX: usize = 256;

/// The content of one message of a conversation, in bytes, about.
pub const SPEECH_BYTES_MAX: usize = 64 << 10;

/// How long a conversation lasts, where nothing is said.
pub const CONVERSATION_LASTS_DEFAULT: Duration = Duration::from_secs(3600);

/// The time that a conversation has to take in what a member says, and to give account of itself.
pub const CONVERSATION_WAIT: Duration = Duration::from_secs(5);

/// Messages that a slot's mailbox holds.
pub const SLOT_MAILBOX: usize = 1_024;

/// Keys with a rate limit of one node.
pub const RATE_KEYS_MAX: usize = 1_024;

/// The time after which a run asks for another place for what a circuit breaker held back.
pub const HELD_RETRY_WAIT: Duration = Duration::from_millis(10);

/// Instances of one agent.
pub const AGENT_INSTANCES_MAX: usize = 4_096;

/// Agents that stand behind one another as fallbacks of an agent.
pub const FALLBACKS_MAX: usize = 8;

/// Restarts of one instance that its supervisor allows within [`AGENT_RESTART_PERIOD`].
pub const AGENT_RESTARTS: u32 = 20;

/// The period in which the restarts of an instance are counted.
pub const AGENT_RESTART_PERIOD: Duration = Duration::from_secs(10);

/// Parts of one run.
pub const PARTS_MAX: usize = 1_000_000;

/// Pieces of work (a part with one agent) of one run.
pub const UNITS_MAX: usize = 4_000_000;

/// Attempts at one piece of work that run at the same time.
pub const ATTEMPTS_AT_ONCE: usize = 3;

/// The time that one attempt has, where none is given.
pub const ATTEMPT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);

/// The time that a run has, where none is given.
pub const RUN_DEADLINE_DEFAULT: Duration = Duration::from_secs(3600);

/// The time that cancelled attempts have to end before the run ends without them.
pub const QUIESCENCE_WAIT: Duration = Duration::from_millis(400);

/// The time that the results of a run which ended early have to be put together.
pub const PARTIAL_REDUCE_WAIT: Duration = Duration::from_secs(2);

/// The time that those of a cancelled run have, for which somebody waits.
pub const CANCELLED_REDUCE_WAIT: Duration = Duration::from_millis(900);

/// Retries of one run that wait at the roster at a time; further ones wait in the run.
pub const RETRIES_ASKED_MAX: usize = 64;

/// The largest part, and the largest result of a part, in bytes of their records.
pub const DATUM_BYTES_MAX: usize = runtime::limits::JOURNAL_RECORD_BYTES_MAX - 4_096;

/// The longest text of an error that is kept, in bytes.
pub const ERROR_BYTES_MAX: usize = 16 << 10;

/// Failed parts that the record of a run's end names, in bytes, about; each has a record of its own before.
pub const FAILED_RECORD_BYTES: usize = 512 << 10;

/// Bytes of parts in one record of a split, about; a larger part has a record of its own.
pub const SPLIT_RECORD_BYTES: usize = 256 << 10;

/// Tasks of one graph of tasks.
pub const TASKS_MAX: usize = 4_096;

/// Predecessors that all tasks of one graph name.
pub const TASK_AFTER_MAX: usize = 65_536;

/// The name of a task, in bytes.
pub const TASK_NAME_BYTES_MAX: usize = 64;

/// Mistakes of one graph of tasks that are told at a time, about.
pub const TASK_MISTAKES_TOLD: usize = 64;

/// Tasks that the text of a mistake lists.
pub const TASK_NAMES_SHOWN: usize = 32;

/// Tasks of one plan that run at a time, where it says nothing else.
pub const PLAN_TASKS_AT_ONCE: usize = 16;

/// Teams of one hierarchy.
pub const TEAMS_MAX: usize = 256;

/// The name of a team, in bytes.
pub const TEAM_NAME_BYTES_MAX: usize = 64;

/// Workers of one team.
pub const TEAM_WORKERS_MAX: usize = 1_024;

/// Tasks of one plan of a hierarchy.
pub const HIERARCHY_TASKS_MAX: usize = 65_536;

/// Decisions on one failure, after which the run ends.
pub const DECISIONS_MAX: u32 = 32;

/// How often the workers of one team are started again within [`TEAM_RESTART_PERIOD`], where it says nothing else.
pub const TEAM_RESTARTS: u32 = 3;

/// The time within which they may be started again so often.
pub const TEAM_RESTART_PERIOD: Duration = Duration::from_secs(60);

/// How often the leaders of one run are started again within [`LEADER_RESTART_PERIOD`], where it says nothing else.
pub const LEADER_RESTARTS: u32 = 3;

/// The time within which they may be started again so often.
pub const LEADER_RESTART_PERIOD: Duration = Duration::from_secs(60);

/// Topics of votes that one node's metrics tell apart.
pub const TOPICS_MAX: usize = 64;

/// Stages of one pipeline.
pub const STAGES_MAX: usize = 64;

/// The name of a stage, in bytes.
pub const STAGE_NAME_BYTES_MAX: usize = 64;

/// Documents in one stage at a time, where nothing is said.
pub const STAGE_WINDOW_DEFAULT: usize = 64;

/// Documents in one stage at a time.
pub const STAGE_WINDOW_MAX: usize = 4_096;

/// News of a stage's documents that are told at a time.
pub const NEWS_MAX: usize = 32;

/// How often the actors of one run's stages are started again within [`STAGE_RESTART_PERIOD`].
pub const STAGE_RESTARTS: u32 = 100;

/// The time within which they may be started again so often.
pub const STAGE_RESTART_PERIOD: Duration = Duration::from_secs(60);

/// Documents of one run of a pipeline.
pub const DOCUMENTS_MAX: usize = 1_000_000;

/// Violations of a schema that are told of one value.
pub const SCHEMA_ERRORS_SHOWN: usize = 3;

/// Voters of one electorate.
pub const VOTERS_MAX: usize = 1_024;

/// Choices of one proposal.
pub const CHOICES_MAX: usize = 64;

/// Rounds of one vote.
pub const ROUNDS_MAX: u32 = 64;

/// Valid ballots of one voter in one round.
pub const BALLOTS_PER_VOTER_MAX: usize = 64;

/// Refused ballots of one round that are kept; further ones are counted.
pub const REFUSED_KEPT_MAX: usize = 1_024;

/// The reasoning of one ballot with all names in it, in bytes.
pub const REASONING_BYTES_MAX: usize = 64 << 10;

/// The evidence of one ballot, in bytes of its record.
pub const EVIDENCE_BYTES_MAX: usize = 256 << 10;

/// The name of a voter that is kept of a ballot which is too large, in bytes.
pub const VOTER_BYTES_KEPT: usize = 256;

/// Pieces of evidence of one ballot.
pub const EVIDENCE_MAX: usize = 256;

/// The longest text of a number, in bytes.
pub const NUMBER_BYTES_MAX: usize = 64;

/// The largest power of ten in the text of a number; that of an `f64` is 324.
pub const NUMBER_EXPONENT_MAX: i32 = 330;

/// The shortest time after which an attempt is looked at as a straggler.
pub const STRAGGLER_TIME_MIN: Duration = Duration::from_millis(2);

/// Speculative places that a run asks for at a time.
pub const SPECULATION_PLACES: u32 = 16;

/// The time in which a run's first record has to be durable.
pub const ACCEPT_WAIT: Duration = Duration::from_secs(5);

/// Of the time of a call, the part that a run below it ends before.
pub const BELOW_MARGIN_OF: u32 = 10;

/// The same, at the most.
pub const BELOW_MARGIN_MAX: Duration = Duration::from_millis(50);

/// The time after which a call is tried again whose run below it was not accepted.
pub const BELOW_BUSY_WAIT: Duration = Duration::from_millis(100);

/// How soon an agent's call is ended that whoever asked has given up.
pub const GIVEN_UP_LOOK: Duration = Duration::from_millis(100);

const _: () = assert!(CANCELLED_REDUCE_WAIT.as_millis() <= PARTIAL_REDUCE_WAIT.as_millis());
const _: () = assert!(SPLIT_RECORD_BYTES < DATUM_BYTES_MAX);
const _: () = assert!(REASONING_BYTES_MAX + EVIDENCE_BYTES_MAX < DATUM_BYTES_MAX);
const _: () = assert!(FAILED_RECORD_BYTES + 4 * ERROR_BYTES_MAX < DATUM_BYTES_MAX);

/// Rows of the trace of one swarm; where there would be more, they come half as often.
pub const TRACE_ROWS_MAX: usize = 65_536;

/// Stretches of ticks with a pattern that one swarm reports; behind them the last one of a pattern goes on.
pub const EMERGED_MAX: usize = 256;

/// Cells of one grid, and nodes of one graph.
pub const GRID_CELLS_MAX: usize = 1 << 20;

/// Agents of one swarm that were ever born.
pub const AGENTS_MAX: usize = 1 << 24;

/// Cities of one instance of the travelling salesman problem.
pub const CITIES_MAX: usize = 100_000;

/// Cities whose distances are kept in a table; those of more are measured each time.
pub const DISTANCE_TABLE_CITIES_MAX: usize = 4_096;

/// The time that all agents of a swarm have to act in one tick, where none is given.
pub const TICK_DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

/// Actors of one swarm: where there would be more, the last one hosts the agents that are left.
pub const HOSTS_MAX: usize = 65_536;

/// How often the actors of one swarm's agents are started again within [`HOST_RESTART_PERIOD`].
pub const HOST_RESTARTS: u32 = 1_000;

/// The time within which they may be started again so often.
pub const HOST_RESTART_PERIOD: Duration = Duration::from_secs(60);

/// The time between two snapshots of a swarm, where none is given.
pub const SNAPSHOT_EVERY_DEFAULT: Duration = Duration::from_secs(1);

/// The part of a run's time that lies at least between two snapshots of a swarm.
pub const SNAPSHOT_TIME_PART: u32 = 10;

/// The largest snapshot of a swarm, in bytes; of a larger world there is none.
pub const SNAPSHOT_BYTES_MAX: usize = 4 << 20;

/// Bytes of a snapshot in one record.
pub const SNAPSHOT_RECORD_BYTES: usize = 256 << 10;

/// Rows of a swarm's trace in one record.
pub const TRACE_RECORD_ROWS: usize = 1_024;

/// Spans of agents that missed a move, in one record.
pub const MISSED_RECORD_SPANS: usize = 16_384;

/// Numbers that one row of a swarm's trace measures.
pub const MEASURES_MAX: usize = 64;

/// The tick of a swarm that tells its progress is one of so many in its course.
pub const PROGRESS_PARTS: u64 = 100;

const _: () = assert!(MISSED_RECORD_SPANS * 11 + 128 < DATUM_BYTES_MAX);
const _: () = assert!(SNAPSHOT_RECORD_BYTES < DATUM_BYTES_MAX);
const _: () = assert!(TRACE_RECORD_ROWS * (MEASURES_MAX * 9 + 128) < DATUM_BYTES_MAX);
