//! Children added, ended and removed while their supervisor runs, under OTP's names and with its answers.
//!
//! Sent by [`Supervised`](super::Supervised) and by actors that ask a supervisor's address; handled by the supervisor's actor.

use std::{fmt, mem, time::Duration};

use super::{
    ChildSpec, Command, Order, Supervised,
    supervising::Supervising,
    table::{State, Table, ToEnd, ToStart},
};
use crate::{
    actor::ExitReason,
    ask::{AskError, Reply},
    child::ChildRef,
    context::Cx,
    limits::SUPERVISOR_CHILDREN_MAX,
};

/// Why a supervisor did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChildError {
    /// A child of this name runs or is being restarted: here it is.
    #[error("a child {:?} has been started already", .0.name())]
    AlreadyStarted(ChildRef),
    /// A specification of this name exists; its child does not run: restart it, or delete it first.
    #[error("a child {0:?} is specified already and does not run: restart it or delete it first")]
    AlreadyPresent(String),
    /// There is no child of this name.
    #[error("no child is called {0:?}")]
    NotFound(String),
    /// The child runs: terminate it first.
    #[error("the child {0:?} runs: terminate it first")]
    Running(String),
    /// The child is about to start or to end: try again later.
    #[error("the child {0:?} is about to start or to end: try again later")]
    Restarting(String),
    /// The supervisor has as many children as it may have.
    #[error("the supervisor has {SUPERVISOR_CHILDREN_MAX} children already")]
    TooMany,
    /// The child ended before it had started, for this reason.
    #[error("the child did not start: {0}")]
    Failed(ExitReason),
    /// The supervisor did not answer; what it did is not known unless it had ended.
    #[error("the supervisor did not answer: {0}")]
    Unanswered(#[from] AskError),
}

/// One child, as a list shows it.
#[derive(Clone, Debug)]
pub struct ChildInfo {
    /// Its own part of its name.
    pub name: String,
    /// Its present address, if it has one.
    pub child: Option<ChildRef>,
    /// Whether it runs.
    pub status: ChildStatus,
    /// When it is started again.
    pub restart: super::Restart,
    /// What it is.
    pub kind: super::ChildKind,
}

/// Whether a child runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildStatus {
    /// It has started.
    Running,
    /// Its first step is not done yet; of a supervisor: its children's are not.
    Starting,
    /// It has an address and no incarnation, or the present one was told to end.
    Restarting,
    /// It has ended, and is started again only on request or together with its siblings (OTP's `undefined`).
    Stopped,
}

/// How many children a supervisor has, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// Specifications.
    pub specs: usize,
    /// Children that run or start.
    pub active: usize,
    /// Specified supervisors.
    pub supervisors: usize,
    /// Specified workers.
    pub workers: usize,
}

impl Supervised {
    /// Adds a child behind the others and starts it; returns it once it has started.
    ///
    /// # Errors
    /// [`ChildError::AlreadyStarted`] or [`ChildError::AlreadyPresent`] where the name is taken, [`ChildError::Failed`] when the
    /// child ended before it had started (its specification is then forgotten), and when there are too many.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer; the child may be started all the same.
    pub async fn start_child(
        &self,
        spec: ChildSpec,
        within: Duration,
    ) -> Result<ChildRef, ChildError> {
        self.addr().ask(|to| Command::start_child(spec, to), within).await?
    }

    /// Ends a child for good; its specification stays, unless it is temporary. Fine if it does not run.
    ///
    /// # Errors
    /// [`ChildError::NotFound`], and [`ChildError::Restarting`] when another request ends it.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer; the child may be ended all the same.
    pub async fn terminate_child(&self, name: &str, within: Duration) -> Result<(), ChildError> {
        self.addr().ask(|to| Command::terminate_child(name, to), within).await?
    }

    /// Starts a child that has ended and whose specification is kept; it has a new address, and the old one stays ended.
    ///
    /// # Errors
    /// [`ChildError::NotFound`], [`ChildError::Running`], [`ChildError::Restarting`], or [`ChildError::Failed`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer; the child may be started all the same.
    pub async fn restart_child(
        &self,
        name: &str,
        within: Duration,
    ) -> Result<ChildRef, ChildError> {
        self.addr().ask(|to| Command::restart_child(name, to), within).await?
    }

    /// Forgets the specification of a child that has ended.
    ///
    /// # Errors
    /// [`ChildError::NotFound`], [`ChildError::Running`] or [`ChildError::Restarting`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer; the specification may be forgotten all the same.
    pub async fn delete_child(&self, name: &str, within: Duration) -> Result<(), ChildError> {
        self.addr().ask(|to| Command::delete_child(name, to), within).await?
    }

    /// Every child, in the order of their start.
    pub fn which_children(&self) -> Vec<ChildInfo> {
        self.plan.table.lock().all().map(super::table::Entry::info).collect()
    }

    /// How many children there are, by kind.
    pub fn count_children(&self) -> ChildCounts {
        let mut counts = ChildCounts::default();
        for ChildInfo { status, kind, .. } in self.which_children() {
            counts.specs += 1;
            counts.active +=
                usize::from(matches!(status, ChildStatus::Running | ChildStatus::Starting));
            match kind {
                super::ChildKind::Supervisor => counts.supervisors += 1,
                super::ChildKind::Worker => counts.workers += 1,
            }
        }
        counts
    }
}

/// What a supervisor can be asked, for actors that do so by [`Cx::ask`].
impl Command {
    /// See [`Supervised::start_child`].
    pub fn start_child(spec: ChildSpec, to: Reply<Result<ChildRef, ChildError>>) -> Self {
        Self(Order::Request(Request::Start(Box::new(spec), to)))
    }

    /// See [`Supervised::terminate_child`].
    pub fn terminate_child(name: impl Into<String>, to: Reply<Result<(), ChildError>>) -> Self {
        Self(Order::Request(Request::Terminate(name.into(), to)))
    }

    /// See [`Supervised::restart_child`].
    pub fn restart_child(name: impl Into<String>, to: Reply<Result<ChildRef, ChildError>>) -> Self {
        Self(Order::Request(Request::Restart(name.into(), to)))
    }

    /// See [`Supervised::delete_child`].
    pub fn delete_child(name: impl Into<String>, to: Reply<Result<(), ChildError>>) -> Self {
        Self(Order::Request(Request::Delete(name.into(), to)))
    }
}

/// What a supervisor is asked from outside.
pub(super) enum Request {
    Start(Box<ChildSpec>, ToStart),
    Restart(String, ToStart),
    Terminate(String, ToEnd),
    Delete(String, ToEnd),
}

impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(spec, _) => write!(out, "start_child({})", spec.name),
            Self::Restart(name, _) => write!(out, "restart_child({name})"),
            Self::Terminate(name, _) => write!(out, "terminate_child({name})"),
            Self::Delete(name, _) => write!(out, "delete_child({name})"),
        }
    }
}

impl Supervising {
    pub(super) fn request(
        &mut self,
        table: &mut Table,
        request: Request,
        cx: &mut Cx<Supervising>,
    ) {
        match request {
            Request::Start(spec, to) => self.start_new(table, *spec, to, cx),
            Request::Restart(name, to) => self.restart(table, name, to, cx),
            Request::Terminate(name, to) => self.terminate(table, name, to, cx),
            Request::Delete(name, to) => {
                let outcome = Self::delete(table, name, cx);
                cx.reply(to, outcome);
            }
        }
    }

    fn start_new(
        &mut self,
        table: &mut Table,
        spec: ChildSpec,
        to: ToStart,
        cx: &mut Cx<Supervising>,
    ) {
        self.learn_of_end(table, &spec.name, cx);
        let refusal = match table.named(&spec.name) {
            Some(taken) => Some(match taken.child.clone().filter(|_| !taken.is_down()) {
                Some(child) => ChildError::AlreadyStarted(child),
                None => ChildError::AlreadyPresent(spec.name.clone()),
            }),
            None => (table.specs() >= SUPERVISOR_CHILDREN_MAX).then_some(ChildError::TooMany),
        };
        if let Some(refusal) = refusal {
            cx.reply(to, Err(refusal));
            // It may own anything.
            return cx.act(move |_| drop(spec));
        }
        let serial = table.push(spec);
        if let Some(entry) = table.get(serial) {
            (entry.wanted, entry.discard, entry.added) = (true, true, true);
            entry.starter = Some(to);
        }
        self.starts.insert(serial);
    }

    /// Does not wait for the notice of an end that whoever asks may know of already.
    fn learn_of_end(&mut self, table: &mut Table, name: &str, cx: &mut Cx<Supervising>) {
        let of = table.named(name).filter(|entry| entry.is_launched());
        let end = of.and_then(|entry| Some((entry.serial, entry.child.clone()?)));
        if let Some((serial, child)) = end
            && let Some(reason) = child.ended()
        {
            self.ended(table, (serial, child.id()), reason, cx);
        }
    }

    fn restart(&mut self, table: &mut Table, name: String, to: ToStart, cx: &mut Cx<Supervising>) {
        let refusal = match table.named(&name) {
            None => ChildError::NotFound(name),
            Some(entry) if entry.is_down() => {
                (entry.wanted, entry.starter) = (true, Some(to));
                self.starts.insert(entry.serial);
                return;
            }
            Some(entry) if matches!(entry.state, State::Running) => ChildError::Running(name),
            Some(_) => ChildError::Restarting(name),
        };
        cx.reply(to, Err(refusal));
    }

    fn terminate(&mut self, table: &mut Table, name: String, to: ToEnd, cx: &mut Cx<Supervising>) {
        let Some(entry) = table.named(&name) else {
            return cx.reply(to, Err(ChildError::NotFound(name)));
        };
        if entry.ender.is_some() {
            return cx.reply(to, Err(ChildError::Restarting(name)));
        }
        let serial = entry.serial;
        self.end(entry);
        if !matches!(entry.state, State::Prepared(_) | State::Ended) {
            entry.ender = Some(to);
            return;
        }
        // It has no host that could end it: its address closes when its launch is dropped.
        let launch = mem::replace(&mut entry.state, State::Ended);
        let starter = entry.starter.take();
        entry.ends = false;
        self.stops.remove(&serial);
        cx.act(move |_| drop((launch, starter)));
        cx.reply(to, Ok(()));
        self.forget(table, serial, cx);
    }

    fn delete(table: &mut Table, name: String, cx: &mut Cx<Supervising>) -> Result<(), ChildError> {
        let Some(entry) = table.named(&name) else { return Err(ChildError::NotFound(name)) };
        if !entry.is_down() {
            let runs = matches!(entry.state, State::Running);
            return Err(if runs {
                ChildError::Running(name)
            } else {
                ChildError::Restarting(name)
            });
        }
        let serial = entry.serial;
        let entry = table.remove(serial);
        cx.act(move |_| drop(entry));
        Ok(())
    }
}
