//! Opens what a run needs: its journal, its socket and a node, and the right to stop that; [`run`](super::run) calls it.
//!
//! # Invariants
//! - The journal of a new run is made under another name, and gets its own once the run's request is durable in it: a process that
//!   is killed before leaves nothing that looks like a run.

use std::{path::PathBuf, sync::Arc, time::Duration};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use protocol::RunId;
use runtime::{
    clock::{Clock, Random, SystemClock, SystemRandom},
    emergency::{Audit, Privilege},
    engine::{
        journal::Journal,
        local::{OpenJournalError, RedbJournal},
    },
    node::Stopped,
    tasks::on_thread,
    telemetry::metrics::{COMMUNICATION, CONSENSUS, Metrics},
};

use super::{
    control::Control,
    exit::Exit,
    history::{self, HistoryError, Request},
    output::{Failure, clean},
    run::Start,
};
use crate::{
    job::Plan,
    limits::{METRIC_SECONDS, NAMES_SHOWN},
    node::Node,
};

/// A run's node, journal and socket.
pub(super) struct Opened {
    pub(super) run: RunId,
    pub(super) node: Node,
    /// The right of `synod cancel --emergency`.
    pub(super) privilege: Privilege,
    pub(super) control: Control,
    pub(super) journal_path: PathBuf,
    pub(super) metrics: Option<PrometheusHandle>,
}

impl Opened {
    /// Stops the node; says what there is to tell of that.
    ///
    /// # Errors
    /// [`Failure`] when the journal could not make all durable.
    pub(super) async fn stop(&self, within: Duration) -> Result<Option<String>, Failure> {
        let stopped = self.node.kernel().stop(within).await;
        match stopped.map_err(|error| Failure::failed(&error))? {
            Stopped::Clean => Ok(None),
            Stopped::Overrun { alive, tasks } => Ok(Some(overrun(within, &alive, tasks))),
        }
    }

    /// Stops everything at once; says what came of it.
    ///
    /// # Errors
    /// [`Failure`] when it was refused.
    pub(super) async fn halt(&self, by: &str, reason: &str) -> Result<String, Failure> {
        let ordered = self.node.emergency_stop(&self.privilege, by, reason);
        let halted = ordered.map_err(|error| Failure::failed(&error))?.await;
        let run = self.run;
        let mut words = format!(
            "stopped in an emergency by {by}: {reason}; take the run up again: synod resume {run}\n"
        );
        if !halted.is_quiet() {
            let (actors, tasks) = (halted.alive.join(", "), halted.tasks);
            words.push_str(&format!(
                "still busy, and ended with the program: {actors}; {tasks} tasks\n"
            ));
        }
        match halted.audit {
            Audit::Durable => {}
            Audit::Unknown => words.push_str("the journal has not said whether it kept this\n"),
            Audit::Refused(error) => {
                words.push_str(&format!("the journal did not keep this: {error}\n"));
            }
        }
        Ok(words.lines().map(|line| clean(line) + "\n").collect())
    }
}

/// Says who was cut off when the node did not stop in time; what the run has done is kept all the same.
fn overrun(within: Duration, alive: &[Arc<str>], tasks: usize) -> String {
    let within = humantime::format_duration(within);
    let named: Vec<&str> = alive.iter().take(NAMES_SHOWN).map(|name| &**name).collect();
    let more = alive.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let actors = if named.is_empty() { "no actor".to_owned() } else { named.join(", ") + &more };
    let tasks =
        if tasks == 1 { "1 piece of work".to_owned() } else { format!("{tasks} pieces of work") };
    let words = format!(
        "warning: the node did not stop within {within} and was cut off; still alive: {actors}; {tasks}"
    );
    clean(&words) + "\n"
}

/// Opens what the run needs, and tidies the folder of runs before.
///
/// # Errors
/// [`Failure`] when a file cannot be made or opened, or another process runs the run.
pub(super) async fn open(
    start: &Start,
    plan: &Plan,
    clock: Arc<SystemClock>,
) -> Result<Opened, Failure> {
    start.folder.sweep();
    let beginning = start.folder.begin().map_err(|error| Failure::failed(&error))?;
    let (run, journal) = match &start.resumed {
        Some((run, _)) => (*run, open_journal(*run, start.folder.journal(*run)).await?),
        None => begin(start, plan, &clock).await?,
    };
    let socket = start.folder.socket(run);
    let control = Control::open(&socket).map_err(|error| {
        let words =
            format!("cannot open {}, which `synod cancel` needs: {error}", socket.display());
        Failure::words(Exit::Failed, words)
    })?;
    drop(beginning);
    let recorder = PrometheusBuilder::new().set_buckets(&METRIC_SECONDS);
    let recorder = recorder.map_err(|error| Failure::failed(&error))?.build_recorder();
    let metrics = start.view.metrics.then(|| recorder.handle());
    let mut builder = Node::builder().clock(clock).journal(journal);
    if metrics.is_some() {
        builder = builder.metrics(Metrics::new(Arc::new(recorder)));
    }
    let (kernel, privilege) = builder.open_privileged().map_err(|error| Failure::failed(&error))?;
    let node = Node::of(kernel);
    seed_metrics(node.kernel().metrics());
    let journal_path = start.folder.journal(run);
    Ok(Opened { run, node, privilege, control, journal_path, metrics })
}

/// Makes the journal of a new run, with its request.
async fn begin(
    start: &Start,
    plan: &Plan,
    clock: &SystemClock,
) -> Result<(RunId, Arc<dyn Journal>), Failure> {
    start.folder.prune().map_err(|error| Failure::failed(&error))?;
    let at = clock.unix_nanos() / 1_000_000;
    let run = RunId::from_parts(u64::try_from(at).unwrap_or(0), SystemRandom::new().next_u128());
    let journal = open_journal(run, start.folder.unfinished(run)).await?;
    let request = Request {
        run,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at,
        directory: start.directory.clone(),
        request: start.request.clone(),
        cast: plan.cast().clone(),
    };
    history::write(&*journal, &request).await.map_err(|error| Failure::failed(&error))?;
    start.folder.finish(run).map_err(|error| Failure::failed(&error))?;
    Ok((run, journal))
}

async fn open_journal(run: RunId, path: PathBuf) -> Result<Arc<dyn Journal>, Failure> {
    let journal = on_thread(move || RedbJournal::open(&path)).await;
    let journal = journal
        .map_err(|error| Failure::words(Exit::Failed, format!("opening the journal {error}")))?;
    Ok(Arc::new(journal.map_err(|error| not_opened(run, &error.into()))?))
}

/// Says why the journal of a run that is to be run cannot be opened.
pub(super) fn not_opened(run: RunId, error: &HistoryError) -> Failure {
    if !matches!(error, HistoryError::Open(OpenJournalError::Locked { .. })) {
        return Failure::failed(error);
    }
    let words = format!("run {run} is running in another process; `synod show {run}` looks at it");
    Failure::words(Exit::Usage, words)
}

/// Registers the metrics that nothing of this kind of run counts, so that a scrape always finds them.
fn seed_metrics(metrics: &Metrics) {
    drop(metrics.histogram(
        COMMUNICATION,
        &[("source", "coordinator"), ("destination", "agent"), ("message_type", "task")],
    ));
    drop(metrics.histogram(CONSENSUS, &[("topic", "none"), ("participants", "0")]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_another_process_has_open_is_a_run_that_is_running() {
        let run = RunId::from_u128(7);
        let locked = OpenJournalError::Locked { path: "7.redb".into() };
        let failure = not_opened(run, &locked.into());
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("is running in another process"), "{failure:?}");
        let missing = OpenJournalError::Missing { path: "7.redb".into() };
        assert_eq!(not_opened(run, &missing.into()).exit, Exit::Failed);
    }

    #[test]
    fn a_stop_that_overran_its_time_names_who_was_still_alive() {
        let of = |count: usize| (0..count).map(|n| format!("a/{n}").into()).collect::<Vec<_>>();
        let told = overrun(Duration::from_secs(5), &of(2), 1);
        let expected = "warning: the node did not stop within 5s and was cut off; still alive: a/0, a/1; 1 piece of work\n";
        assert_eq!(told, expected);
        assert!(overrun(Duration::ZERO, &of(NAMES_SHOWN + 3), 0).contains(" and 3 more; 0 pieces"));
        assert!(overrun(Duration::ZERO, &[], 2).contains("still alive: no actor; 2 pieces"));
    }
}
