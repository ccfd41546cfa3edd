//! `synod run` and `synod resume`: a job, one journal, one run, its report.
//!
//! # Invariants
//! - Nothing is started, and no file is made, when the run file, its inputs or its programs are wrong.
//! - Ctrl-C cancels the run, which then ends with what it has within [`CANCEL_WAIT`](crate::limits::CANCEL_WAIT); SIGTERM does so once the run has had its
//!   time to end by itself. A second signal ends the program. `synod cancel --emergency` ends everything before it is answered.
//! - No program of an agent is left when this one ends: see [`Leaving`].
//! - A node that does not stop in its time is told of, and is never an exit of 0.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
};

use actors::{
    agent::Launcher,
    pattern::{FailureKind, Outcome, RunError, Tally, consensus::recount, plan},
};
use metrics_exporter_prometheus::PrometheusHandle;
use protocol::RunId;
use runtime::{clock::SystemClock, engine::journal::Journal, tasks::on_thread};

use super::{
    args::{ReportFormat, Resume, Run, View},
    ballots::Voted,
    brought::{Brought, Kind},
    conducting::{Ended, conduct},
    exit::Exit,
    folder::Folder,
    history,
    leaving::Leaving,
    logs::Screen,
    opening::{Opened, not_opened, open},
    output::{Failure, clean, tell},
    patterns::Patterns,
    picture,
    progress::Waiting,
    result::Finished,
};
use crate::{
    job::{Cast, Plan, Product, Tasks, Work, catalogue},
    limits::{DRAW_EVERY, SAY_WAIT},
    node::Node,
    runfile::{Problems, Resolved, RunRequest, limits::FILE_BYTES_MAX},
    signals::{Part, Signals},
};

/// What a run is started from.
pub(super) struct Start {
    pub(super) request: RunRequest,
    resolved: Resolved,
    /// The working directory, which paths are relative to.
    pub(super) directory: PathBuf,
    /// The run that is taken up again, and who took part in it.
    pub(super) resumed: Option<(RunId, Cast)>,
    pub(super) folder: Folder,
    pub(super) view: View,
    launcher: Launcher,
    pub(super) screen: Screen,
}

/// Runs a run file.
///
/// # Errors
/// [`Failure`] when the run could not begin, or its report could not be written.
pub fn run(options: Run, launcher: &Launcher, screen: &Screen) -> Result<Exit, Failure> {
    let directory = working_directory()?;
    let request = RunRequest {
        name: options.file.display().to_string(),
        text: read_file("run file", &options.file)?,
        overrides: options.overrides,
        inputs: options.inputs,
    };
    let resolved = resolve(&request)?;
    let folder =
        Folder::open(options.data.folder.as_deref()).map_err(|error| Failure::failed(&error))?;
    let start = Start {
        request,
        resolved,
        directory,
        resumed: None,
        folder,
        view: options.view,
        launcher: launcher.clone(),
        screen: screen.clone(),
    };
    block_on(start)
}

/// Takes a run up again.
///
/// # Errors
/// [`Failure`] when there is no such run, it is running, or it cannot go on as it began.
pub fn resume(options: Resume, launcher: &Launcher, screen: &Screen) -> Result<Exit, Failure> {
    let data = options.data.folder.as_deref();
    let kept = Folder::look(data).map_err(|error| Failure::failed(&error))?;
    let run = kept.find(&options.run).map_err(|error| Failure::usage(&error))?;
    let folder = Folder::open(data).map_err(|error| Failure::failed(&error))?;
    let journal = history::open(&folder.journal(run)).map_err(|error| not_opened(run, &error))?;
    let request = history::request(&journal, run).map_err(|error| Failure::failed(&error))?;
    drop(journal);
    let mut view = options.view;
    if let Some(report) = &mut view.report {
        report.path = std::path::absolute(&report.path).unwrap_or_else(|_| report.path.clone());
    }
    std::env::set_current_dir(&request.directory).map_err(|error| {
        let words =
            format!("cannot go to {}, where the run began: {error}", request.directory.display());
        Failure::words(Exit::Failed, words)
    })?;
    let mut limited = request.request.clone();
    limited.overrides.extend(options.limits);
    let resolved = resolve(&limited)?;
    let start = Start {
        request: request.request,
        resolved,
        directory: request.directory,
        resumed: Some((run, request.cast)),
        folder,
        view,
        launcher: launcher.clone(),
        screen: screen.clone(),
    };
    block_on(start)
}

/// The working directory, if the request of a run can hold it.
fn working_directory() -> Result<PathBuf, Failure> {
    let directory = std::env::current_dir();
    let directory = directory.map_err(|error| {
        Failure::words(Exit::Usage, format!("cannot tell the working directory: {error}"))
    })?;
    if directory.to_str().is_none() {
        let words = format!(
            "the name of the working directory {} is not UTF-8, so the run could not be taken up again in it; run it from another",
            directory.display()
        );
        return Err(Failure::words(Exit::Usage, words));
    }
    Ok(directory)
}

/// Reads a run file.
///
/// # Errors
/// [`Failure`] when there is none, it is too large or no text.
pub fn read_file(what: &str, path: &Path) -> Result<String, Failure> {
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let too_large = |size: &str| {
        let words = format!("it has {size} bytes, a {what} has at most {limit}");
        std::io::Error::new(std::io::ErrorKind::FileTooLarge, words)
    };
    let read = || -> std::io::Result<String> {
        let file = std::fs::File::open(path)?;
        let known = file.metadata()?.len();
        if known > limit {
            return Err(too_large(&known.to_string()));
        }
        let mut bytes = Vec::new();
        // A pipe does not say how much it holds, and a file may grow meanwhile.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(too_large(&format!("more than {limit}")));
        }
        let not_text = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8");
        String::from_utf8(bytes).map_err(not_text)
    };
    read().map_err(|error| {
        Failure::words(Exit::Usage, format!("cannot read the {what} {}: {error}", path.display()))
    })
}

/// Renders what is wrong with a run file.
pub fn wrong(problems: &Problems) -> Failure {
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    Failure { exit: Exit::Usage, message: problems.render(colour) }
}

fn resolve(request: &RunRequest) -> Result<Resolved, Failure> {
    let env = |name: &str| std::env::var(name).ok();
    request.resolve(&catalogue(), &env).map_err(|problems| wrong(&problems))
}

fn block_on(start: Start) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(&error))?;
    let ended = runtime.block_on(Box::pin(drive(start)));
    // A reviewer that is in the middle of a file is not waited for.
    runtime.shutdown_background();
    ended
}

async fn drive(start: Start) -> Result<Exit, Failure> {
    let signals = Signals::begin(Part::Decides);
    let mut signals = signals.map_err(|error| Failure::failed(&error))?;
    let mut leaving = Leaving::new(&start.launcher);
    let exit = Box::pin(perform(&start, &mut signals, &mut leaving)).await;
    leaving.end(&mut signals).await;
    // How the program ends is decided; until it has, no signal decides otherwise.
    std::mem::forget(signals);
    exit
}

async fn perform(
    start: &Start,
    signals: &mut Signals,
    leaving: &mut Leaving,
) -> Result<Exit, Failure> {
    let clock = Arc::new(SystemClock::new());
    let plan = prepare(start, signals).await?;
    start.view.suits(&plan)?;
    for skipped in &plan.cast().skipped {
        start.screen.tell(&format!("skipped: {}: {}", skipped.agent, skipped.reason));
    }
    let mut opened = open(start, &plan, clock).await?;
    let mut finished = opened.finished(start, &plan);
    let exit = match conduct(start, &plan, &mut opened, signals, leaving).await? {
        Ended::Outcome(outcome, signal) => {
            finished.take(*outcome, signal);
            finished.millis = opened.node.kernel().now().as_nanos() / 1_000_000;
            finished.metrics = opened.metrics.as_ref().map(PrometheusHandle::render);
            show(finished, (&plan, &start.view), &opened.node, signals).await
        }
        Ended::Halted(words) => {
            leaving.at_once();
            say(words).await;
            return Ok(Exit::Halted);
        }
        Ended::Abandoned(exit, known) => {
            leaving.at_once();
            say(abandoned(opened.run, &known)).await;
            return Ok(exit);
        }
    };
    let stopped = tokio::select! {
        biased;
        stopped = opened.stop(leaving.stop_wait()) => stopped?,
        signalled = signals.next() => {
            leaving.at_once();
            return exit.and(Ok(signalled.into()));
        }
    };
    let Some(words) = stopped else { return exit };
    say(words).await;
    exit.map(Exit::cut_off)
}

/// Lists the files and finds the programs, on a thread of its own; shows that something happens.
async fn prepare(start: &Start, signals: &mut Signals) -> Result<Plan, Failure> {
    let (resolved, launcher) = (start.resolved.clone(), start.launcher.clone());
    let before = start.resumed.as_ref().map(|(_, cast)| cast.clone());
    let listing = on_thread(move || Plan::prepare(&resolved, &launcher, before.as_ref()));
    let mut listing = pin!(listing);
    let mut draw = tokio::time::interval(DRAW_EVERY);
    let waiting = Waiting::new(&start.screen, "listing the files");
    let prepared = loop {
        tokio::select! {
            prepared = &mut listing => break prepared,
            told = signals.next() => {
                return Err(Failure::words(told.into(), "cancelled before anything was started"));
            }
            _ = draw.tick() => waiting.draw(),
        }
    };
    drop(waiting);
    let prepared = prepared
        .map_err(|error| Failure::words(Exit::Failed, format!("listing the files {error}")))?;
    prepared.map_err(|error| Failure::usage(&error))
}

impl View {
    /// Whether what is asked for can be made of this kind of run.
    fn suits(&self, plan: &Plan) -> Result<(), Failure> {
        let is_sarif = self.report.as_ref().is_some_and(|file| file.format == ReportFormat::Sarif);
        let Some(what) = Kind::of(plan).without_findings() else { return Ok(()) };
        if is_sarif {
            let words =
                format!("{what} has no findings for a SARIF report; write it as .html or .md");
            return Err(Failure::words(Exit::Usage, words));
        }
        Ok(())
    }
}

impl Opened {
    fn finished(&self, start: &Start, plan: &Plan) -> Finished {
        let (range, files) = match plan.main() {
            Work::Review(job) => (job.range().map(str::to_owned), job.files.list().len()),
            Work::Vote(_) | Work::Hierarchy(_) => (None, 0),
            Work::Pipeline(pipeline) => (None, pipeline.cast.documents.len()),
            Work::Swarm(_) => (None, 0),
        };
        let of_main = match plan {
            Plan::One(_) => None,
            Plan::Several(tasks) => tasks.runs(self.run).pop(),
        };
        Finished {
            run: self.run,
            main: of_main.map_or(self.run, |(run, _)| run),
            name: plan.name().to_owned(),
            file: start.request.name.clone(),
            root: plan.root().to_owned(),
            range,
            files,
            journal: self.journal_path.clone(),
            skipped_agents: plan.cast().skipped.clone(),
            failure: None,
            exit: Exit::Done,
            report: None,
            kind: Kind::of(plan),
            mission: plan.main().mission().map(str::to_owned),
            planned: None,
            patterns: None,
            decision: None,
            brought: None,
            failed: Vec::new(),
            tally: Tally::default(),
            millis: 0,
            picture: None,
            metrics: None,
        }
    }
}

/// Shows the result on a thread of its own, since whoever reads it may be slow; a signal ends that.
async fn show(
    mut finished: Finished,
    (plan, view): (&Plan, &View),
    node: &Node,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let (view, run) = (view.clone(), finished.run);
    let journal = Arc::clone(node.kernel().journal());
    let main = plan.main().clone();
    let tasks = match plan {
        Plan::One(_) => None,
        Plan::Several(tasks) => Some(Arc::clone(tasks)),
    };
    let shown = on_thread(move || {
        finished.picture = picture(&view, &*journal, run);
        let has_begun = tasks.is_none_or(|tasks| finished.plan(&tasks, &*journal));
        if has_begun {
            finished.read(&main, &*journal);
        }
        finished.show(&view)
    });
    tokio::select! {
        biased;
        shown = shown => shown
            .map_err(|error| Failure::words(Exit::Failed, format!("showing the result {error}")))?,
        told = signals.next() => {
            let words = "not all of the result was read; the run is kept: synod show";
            say(format!("{words} {run}\n")).await;
            Ok(told.into())
        }
    }
}

/// Tells something at the end of the program, which whoever does not read it must not hold up.
async fn say(words: String) {
    let told = on_thread(move || tell(&words));
    if let Ok(Err(error)) = tokio::time::timeout(SAY_WAIT, told).await {
        tracing::debug!(%error, "not told");
    }
}

/// What is known of a run that did not end in time.
fn abandoned(run: RunId, known: &[String]) -> String {
    let known: String = known.iter().map(|line| clean(line) + "\n").collect();
    format!("the run did not end in time; take it up again: synod resume {run}\n{known}")
}

/// Draws the run, if its report can show that.
fn picture(view: &View, journal: &dyn Journal, run: RunId) -> Option<String> {
    view.report.as_ref().filter(|report| report.format == ReportFormat::Html)?;
    match history::read(journal, run) {
        Ok(history) => picture::svg(&history.work),
        Err(error) => {
            tracing::warn!(%error, "the run cannot be drawn");
            None
        }
    }
}

impl Finished {
    fn keep(&mut self, product: Option<Product>) {
        match product {
            Some(Product::Review(report)) => self.report = Some(report),
            Some(Product::Vote(decision)) => self.decision = Some(*decision),
            Some(Product::Pipeline(passages)) => self.brought = Some(Brought::Pipeline(passages)),
            Some(Product::Swarm(swarm)) => self.brought = Some(Brought::Swarm(swarm)),
            Some(Product::Hierarchy(account)) => self.brought = Some(Brought::Hierarchy(account)),
            Some(Product::Several(planned)) => self.planned = Some(*planned),
            None => {}
        }
    }

    /// Takes what each of several patterns has brought, and what `main` has as the run's own; false where that never began.
    fn plan(&mut self, tasks: &Tasks, journal: &dyn Journal) -> bool {
        let told = self.planned.take().map(|planned| Ok(planned.report));
        let told = told.unwrap_or_else(|| plan::recount(journal, self.run));
        let report = match told {
            Ok(report) => report,
            Err(error) => {
                tracing::warn!(%error, "what became of the patterns cannot be shown");
                return false;
            }
        };
        match Patterns::of(journal, report.clone()) {
            Ok(patterns) => self.patterns = Some(patterns),
            Err(error) => tracing::warn!(%error, "what became of the patterns cannot be shown"),
        }
        let mut planned = match tasks.planned(journal, report) {
            Ok(planned) => planned,
            Err(error) => {
                tracing::warn!(%error, "what the patterns have brought cannot be shown");
                return false;
            }
        };
        self.failed.append(&mut planned.failed);
        let own = planned.products.last_mut().and_then(Option::take);
        self.planned = Some(planned);
        let has_begun = own.is_some();
        self.keep(own);
        has_begun
    }

    /// Takes what `main` has brought from the journal, where nobody was told all of it.
    fn read(&mut self, main: &Work, journal: &dyn Journal) {
        let read = match main {
            Work::Review(_) => return,
            Work::Vote(_) => recount(journal, self.main).map(|(vote, again)| {
                let decision = self.decision.take().or(again.map(|again| *again));
                self.brought = Some(Brought::Vote(Box::new(Voted::of(&vote, decision))));
            }),
            Work::Pipeline(_) | Work::Swarm(_) | Work::Hierarchy(_) if self.brought.is_some() => {
                return;
            }
            Work::Pipeline(_) | Work::Swarm(_) | Work::Hierarchy(_) => {
                main.brought(journal, self.main).map(|product| self.keep(product))
            }
        };
        if let Err(error) = read {
            tracing::warn!(%error, "what the run has brought cannot be shown");
        }
    }

    fn take(&mut self, outcome: Outcome<Product>, signal: Option<Exit>) {
        match outcome {
            Ok(completed) => {
                let is_whole = completed.value.is_whole(&completed.failed);
                self.exit = if is_whole { Exit::Done } else { Exit::Incomplete };
                self.keep(Some(completed.value));
                self.failed = completed.failed;
                self.tally = completed.tally;
            }
            Err(error) => {
                let RunError { kind, partial, failed, tally, .. } = *error;
                self.exit = match (&kind, signal) {
                    (FailureKind::Cancelled { .. }, Some(exit)) => exit,
                    (kind, _) => Exit::of(kind),
                };
                self.failure = Some(kind);
                self.keep(partial);
                self.failed = failed;
                self.tally = tally;
            }
        }
    }
}
