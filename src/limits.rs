//! Every bound of the product, with its unit; what a run file may hold is in [`runfile::limits`](crate::runfile::limits).

use std::time::Duration;

use crate::runfile::limits::AFTER_MAX;
use actors::limits::{CANCELLED_REDUCE_WAIT, QUIESCENCE_WAIT};
use runtime::limits::{EMERGENCY_TEXT_BYTES_MAX, JOURNAL_RECORD_BYTES_MAX};

/// The JSON of one agent's review of one part, in bytes; findings beyond it are counted, not kept.
pub const ANSWER_BYTES_MAX: usize = 768 << 10;

/// Documents of one run of a run file's pipeline: their names are kept with the run.
pub const DOCUMENTS_MAX: usize = 100_000;

/// Folders that are looked at for them.
pub const DOCUMENT_FOLDERS_MAX: usize = 100_000;

/// What a pattern has brought as those after it are told, in bytes of JSON, about.
pub const PRODUCT_BYTES_MAX: usize = 32 << 10;

/// Documents that the picture of a pipeline shows.
pub const PICTURE_DOCUMENTS: usize = 200;

/// Characters of what came of a document that one line shows.
pub const OUTPUT_CHARS: usize = 300;

/// One request to `synod agent`, in bytes.
pub const AGENT_REQUEST_BYTES_MAX: u64 = 16 << 20;

/// One record of a run's request, in bytes.
pub const REQUEST_RECORD_BYTES: usize = 512 << 10;

/// Ended runs whose files are kept; the oldest go when another begins.
pub const RUNS_KEPT: usize = 200;

/// Runs that one listing shows.
pub const RUNS_LISTED_MAX: usize = 1_000;

/// Events of a run that may wait for its display.
pub const DISPLAY_EVENTS: usize = 65_536;

/// The time between two drawings of the progress bars.
pub const DRAW_EVERY: Duration = Duration::from_millis(100);

/// The time between two lines of progress where there is no terminal.
pub const LINE_EVERY: Duration = Duration::from_secs(5);

/// Failed parts that are told while the run goes on; the report has all.
pub const FAILURES_TOLD: usize = 10;

/// Findings that the summary shows.
pub const FINDINGS_SHOWN: usize = 20;

/// Failed parts, and skipped files a reason, that the summary shows; skipped files that an error names.
pub const NAMES_SHOWN: usize = 10;

/// The time that a run has to end by itself after SIGTERM, where none is given.
pub const DRAIN_WAIT: &str = "10s";

/// The time that a cancelled run has to end before the program ends without it.
pub const CANCEL_WAIT: Duration = Duration::from_millis(1_350);

/// The time within which the program ends after Ctrl-C, as it is promised.
pub const CANCELLED_WAIT: Duration = Duration::from_secs(2);

/// What of that is left for the result, if whoever reads it keeps up.
pub const SHOW_WAIT: Duration = Duration::from_millis(250);

/// The time that the last words of a program have where nobody reads them.
pub const SAY_WAIT: Duration = Duration::from_millis(100);

/// The time that `synod cancel` waits for the end of a run.
pub const CANCEL_ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The time that a client of a run's socket has to say what it wants.
pub const SOCKET_WORD_WAIT: Duration = Duration::from_secs(1);

/// The longest word on a run's socket, in bytes: an emergency stop with its reason.
pub const SOCKET_WORD_BYTES_MAX: usize = EMERGENCY_TEXT_BYTES_MAX + 64;

/// The time that a node has to stop when its run has ended.
pub const STOP_WAIT: Duration = Duration::from_secs(5);

/// The time that a node has to stop when its run was cancelled, and the program has promised to end soon.
pub const CANCELLED_STOP_WAIT: Duration = Duration::from_millis(250);

/// The time that the programs of agents have to be gone, beyond their grace, before the program that ends kills them.
pub const PROGRAMS_WAIT: Duration = Duration::from_millis(500);

/// The time that killed programs have to be gone.
pub const KILLED_WAIT: Duration = Duration::from_millis(150);

/// The upper bounds of the buckets of every histogram of the metrics, in seconds.
pub const METRIC_SECONDS: [f64; 12] =
    [0.000_1, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1_800.0];

/// The longest attempts of an agent that the picture of a run draws.
pub const PICTURE_BARS: usize = 500;

/// Rules that the summary counts by name.
pub const RULES_SHOWN: usize = 10;

/// Columns of the waterfall's time axis.
pub const WATERFALL_COLUMNS: usize = 60;

/// The slowest attempts that the waterfall names for each agent.
pub const WATERFALL_PARTS: usize = 5;

/// Instances of the stand-in of a built-in agent that has one a core; the same on every machine, so that a seed is one run.
pub const STAND_INS: usize = 2;

/// Times that the caller of a simulated run takes it up again after its loss.
pub const TRIAL_RESUMES_MAX: u32 = 1_000;

/// The time that the caller of a simulated run waits before it takes it up again.
pub const TRIAL_RESUME_WAIT: Duration = Duration::from_millis(200);

/// The time that a simulated run has to end beyond its deadline, counted from the last fault.
pub const TRIAL_HEALING: Duration = Duration::from_secs(60);

/// The steps of actors at which faults strike a simulated run that does not end even without faults.
pub const TRIAL_STEPS: u64 = 1_000;

/// Findings, and failed pieces of work, that are named when a test fails.
pub const TRIAL_NAMES_SHOWN: usize = 5;

/// A cassette, in bytes.
pub const CASSETTE_BYTES_MAX: usize = 64 << 20;

/// The recorded answers of a cassette.
pub const CASSETTE_ANSWERS_MAX: usize = 100_000;

/// Points of a line of a chart.
pub const CHART_POINTS: usize = 600;

/// Trails of a swarm that a picture draws; where there are more, maps are drawn in blocks of cells, and the strongest roads.
pub const PICTURE_TRAILS: usize = 16_384;

/// Stretches of obstacles that a picture draws; where there are more, they are drawn in blocks.
pub const PICTURE_RUNS: usize = 60_000;

/// Birds that a picture draws.
pub const PICTURE_BIRDS: usize = 5_000;

/// Cells of a way, or cities of a round, that are named in a line.
pub const SWARM_CELLS_SHOWN: usize = 40;

/// The file of a swarm: a map or cities, in bytes.
pub const SWARM_FILE_BYTES_MAX: usize = 64 << 20;

/// The time between two drawings of the live graph.
pub const WATCH_EVERY: Duration = Duration::from_millis(200);

/// The time that the actors on a drawing have to show their states.
pub const LOOK_WAIT: Duration = Duration::from_millis(100);

/// Lines of the live graph beside its actors: the head of the table and the summary.
pub const WATCH_LINES_BESIDE: usize = 2;

/// Lines that the live graph shows of what is told meanwhile.
pub const WATCH_FOOT_LINES: usize = 4;

/// Lines told while the graph is drawn that are kept to be told when it is not any more; the oldest go first.
pub const WATCH_LINES_KEPT: usize = 1_000;

/// Characters of a terminal's line that are drawn on.
pub const TERMINAL_COLUMNS_MAX: usize = 1_000;

/// Lines of a terminal that are drawn on.
pub const TERMINAL_ROWS_MAX: usize = 1_000;

const _: () = assert!(
    QUIESCENCE_WAIT.as_millis() + CANCELLED_REDUCE_WAIT.as_millis() < CANCEL_WAIT.as_millis()
);
const _: () = assert!(
    CANCEL_WAIT.as_millis()
        + SHOW_WAIT.as_millis()
        + CANCELLED_STOP_WAIT.as_millis()
        + KILLED_WAIT.as_millis()
        <= CANCELLED_WAIT.as_millis()
);
const _: () = assert!(LOOK_WAIT.as_millis() < WATCH_EVERY.as_millis());
const _: () = assert!(SAY_WAIT.as_millis() <= SHOW_WAIT.as_millis());
const _: () = assert!(ANSWER_BYTES_MAX < JOURNAL_RECORD_BYTES_MAX);
const _: () = assert!(2 * AFTER_MAX * PRODUCT_BYTES_MAX <= JOURNAL_RECORD_BYTES_MAX);
const _: () = assert!(REQUEST_RECORD_BYTES < JOURNAL_RECORD_BYTES_MAX);
