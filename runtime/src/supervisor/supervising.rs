//! The supervisor's own actor: is told how each child fares, and decides who rests, ends and starts.
//!
//! Made by [`Supervisor`](super::Supervisor) once an incarnation; requests from outside come by [`requests`](super::requests).
//!
//! # Invariants
//! - Under `one_for_all` and `rest_for_one` children rest last first, one after the other, and start first to last, each when
//!   the one before has started. Under `one_for_one` that holds for the first start; later, and if somebody asks for it to be
//!   started, each is on its own.
//! - A child that ends while it is told to rest is no failure of its own: one disturbance counts once.
//! - A new incarnation finds every child at rest, ended or never launched: the host has seen to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::Duration,
};

use super::{
    ChildError, Command, Intensity, Order, Restart, Strategy,
    table::{Entry, Overdue, Plan, State, Table},
};
use crate::{
    actor::{Actor, ActorId, ChildExit, ExitReason},
    context::Cx,
    ending,
    kernel::Kernel,
    limits::KILL_WAIT,
    spawn::{News, Report, Shutdown},
};

/// One incarnation of a supervisor.
pub(super) struct Supervising {
    pub(super) plan: Arc<Plan>,
    pub(super) kernel: Arc<Kernel>,
    /// Whom the supervisor itself reports to.
    report: Option<Report>,
    budget: Intensity,
    /// Wanted and not held back.
    pub(super) starts: BTreeSet<u64>,
    /// To be told to rest or to end.
    pub(super) stops: BTreeSet<u64>,
    /// Who waits for which backoff.
    holds: BTreeMap<u64, Vec<u64>>,
    starting: BTreeSet<u64>,
    stopping: BTreeSet<u64>,
    /// Every child up to this serial number has had its first start.
    booted: u64,
    /// The child behind them that has it now.
    booting: Option<u64>,
    has_started: bool,
    has_given_up: bool,
    tokens: u64,
}

impl Supervising {
    pub(super) fn new(plan: &Arc<Plan>, kernel: &Arc<Kernel>, report: Option<Report>) -> Self {
        Self {
            plan: Arc::clone(plan),
            kernel: Arc::clone(kernel),
            report,
            budget: Intensity::new(plan.intensity, plan.period),
            starts: BTreeSet::new(),
            stops: BTreeSet::new(),
            holds: BTreeMap::new(),
            starting: BTreeSet::new(),
            stopping: BTreeSet::new(),
            booted: 0,
            booting: None,
            has_started: false,
            has_given_up: false,
            tokens: 0,
        }
    }

    /// One after the other, or each on its own?
    fn in_turn(&self) -> bool {
        self.plan.strategy != Strategy::OneForOne
    }

    /// Whose restarts count together with those of `serial`.
    fn group(&self, serial: u64) -> u64 {
        if self.in_turn() { 0 } else { serial }
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    fn change(&mut self, entry: &mut Entry, state: State) -> State {
        for (set, belongs) in [
            (&mut self.starting, matches!(state, State::Starting)),
            (&mut self.stopping, matches!(state, State::Stopping | State::Ending)),
        ] {
            if belongs {
                set.insert(entry.serial);
            } else {
                set.remove(&entry.serial);
            }
        }
        mem::replace(&mut entry.state, state)
    }
}

impl Actor for Supervising {
    type Msg = Command;

    fn start(&mut self, cx: &mut Cx<Self>) {
        let plan = Arc::clone(&self.plan);
        let mut table = plan.table.lock();
        table.bring_back();
        for entry in table.all_mut() {
            self.take_over(entry, cx);
        }
        let ended = |entry: &&Entry| matches!(entry.state, State::Ended);
        let down: Vec<u64> = table.all().filter(ended).map(|entry| entry.serial).collect();
        for serial in down {
            self.forget(&mut table, serial, cx);
        }
        self.advance(&mut table, cx);
    }

    fn handle(&mut self, Command(order): Command, cx: &mut Cx<Self>) {
        let plan = Arc::clone(&self.plan);
        let mut table = plan.table.lock();
        match order {
            Order::News(serial, News::Started) => self.started(&mut table, serial, cx),
            Order::News(serial, News::Exited(exit)) => self.exited(&mut table, serial, &exit, cx),
            Order::Ended(serial, actor, reason) => {
                self.ended(&mut table, (serial, actor), reason, cx);
            }
            Order::Go(token) => self.release(&mut table, token, cx),
            Order::Overdue(serial, token) => self.overdue(&mut table, serial, token, cx),
            Order::Request(request) => self.request(&mut table, request, cx),
        }
        self.advance(&mut table, cx);
    }
}

/// What happens to children.
impl Supervising {
    /// Takes over a child from the incarnation before.
    fn take_over(&mut self, entry: &mut Entry, cx: &mut Cx<Self>) {
        let prepared = matches!(entry.state, State::Prepared(_));
        let ended = entry.child.as_ref().is_none_or(|child| child.ended().is_some()) && !prepared;
        if ended {
            entry.state = State::Ended;
        } else if !prepared {
            entry.state = State::Resting;
            watch(entry, cx);
        }
        (entry.hold, entry.overdue) = (None, None);
        (entry.ends, entry.discard) = (false, false);
        // Whoever asked is answered by the reply's being dropped, after this step.
        let replies = (entry.starter.take(), entry.ender.take());
        cx.act(move |_| drop(replies));
        if !entry.is_passing() {
            entry.wanted = true;
            self.starts.insert(entry.serial);
        } else if ended {
            entry.wanted = false;
        } else {
            self.end(entry);
        }
    }

    fn started(&mut self, table: &mut Table, serial: u64, cx: &mut Cx<Self>) {
        let Some(entry) = table.get(serial) else { return };
        if !matches!(entry.state, State::Starting) {
            return;
        }
        self.change(entry, State::Running);
        if let (Some(starter), Some(child)) = (entry.starter.take(), entry.child.clone()) {
            entry.discard = false;
            cx.reply(starter, Ok(child));
        }
    }

    fn exited(&mut self, table: &mut Table, serial: u64, exit: &ChildExit, cx: &mut Cx<Self>) {
        let Some(entry) = table.get(serial) else { return };
        if exit.incarnation == 0 {
            // A budget refused its birth: the notice of its final end follows.
            return;
        }
        match entry.state {
            State::Stopping => {
                self.change(entry, State::Resting);
                patient_again(entry, cx);
            }
            State::Starting | State::Running => {
                self.change(entry, State::Resting);
                // It has done by itself what it was about to be told.
                let told = self.stops.contains(&serial);
                if told && !entry.ends {
                    self.stops.remove(&serial);
                }
                if !told {
                    self.decide(table, serial, &exit.reason, cx);
                }
            }
            State::Prepared(_) | State::Resting | State::Ending | State::Ended => {}
        }
    }

    /// Decides on a child that ended by itself.
    fn decide(&mut self, table: &mut Table, serial: u64, reason: &ExitReason, cx: &mut Cx<Self>) {
        let Some(entry) = table.get(serial) else { return };
        // Whoever asked for its start is answered when it has ended for good.
        if entry.starter.is_some() || !entry.spec.restart.wants(reason) {
            self.end(entry);
            return;
        }
        let who = self.group(serial);
        let Some(before) = self.budget.spend(who, cx.now()) else {
            let name = entry.child.as_ref().map_or(entry.spec.name.as_str(), |child| child.name());
            cx.exit(ExitReason::Intensity(format!("{name}: {reason}; {}", self.budget)));
            self.has_given_up = true;
            return;
        };
        let wait = self.plan.backoff.wait(before, if before > 0 { cx.random() } else { 0 });
        let wanted = self.disturb(table, serial);
        self.want(table, wanted, wait, cx);
    }

    /// Marks who rests and who ends because `serial` failed; returns who is to be started.
    fn disturb(&mut self, table: &mut Table, serial: u64) -> Vec<u64> {
        let strategy = self.plan.strategy;
        let mut wanted = Vec::new();
        if strategy == Strategy::OneForOne {
            return vec![serial];
        }
        for entry in table.all_mut() {
            let affected = strategy == Strategy::OneForAll || entry.serial >= serial;
            if !affected || entry.ends {
                continue;
            }
            if entry.runs() && entry.spec.restart == Restart::Temporary {
                self.end(entry);
                continue;
            }
            if entry.runs() {
                self.stops.insert(entry.serial);
            }
            wanted.push(entry.serial);
        }
        wanted
    }

    /// Lets children be started after `wait`.
    fn want(&mut self, table: &mut Table, wanted: Vec<u64>, wait: Duration, cx: &mut Cx<Self>) {
        let token = (!wait.is_zero()).then(|| self.token());
        for serial in &wanted {
            let Some(entry) = table.get(*serial) else { continue };
            entry.wanted = true;
            entry.hold = token;
            if token.is_some() {
                self.starts.remove(serial);
            } else {
                self.starts.insert(*serial);
            }
        }
        let (Some(token), Some(first)) = (token, wanted.first()) else { return };
        self.budget.hold(self.group(*first), cx.now());
        cx.after(wait, Command(Order::Go(token)));
        self.holds.insert(token, wanted);
    }

    /// A backoff is over.
    fn release(&mut self, table: &mut Table, token: u64, cx: &mut Cx<Self>) {
        let Some(held) = self.holds.remove(&token) else { return };
        if let Some(first) = held.first() {
            self.budget.release(self.group(*first), cx.now());
        }
        for serial in held {
            if let Some(entry) = table.get(serial).filter(|entry| entry.hold == Some(token)) {
                entry.hold = None;
                self.starts.insert(serial);
            }
        }
    }

    /// Lets a child end for good, as soon as it is its turn.
    pub(super) fn end(&mut self, entry: &mut Entry) {
        (entry.ends, entry.wanted, entry.hold) = (true, false, None);
        self.starts.remove(&entry.serial);
        self.stops.insert(entry.serial);
    }

    /// A child's address is no more, by whose order ever.
    pub(super) fn ended(
        &mut self,
        table: &mut Table,
        (serial, actor): (u64, ActorId),
        reason: ExitReason,
        cx: &mut Cx<Self>,
    ) {
        let Some(entry) = table.get(serial).filter(|entry| entry.is(actor)) else { return };
        if !matches!(self.change(entry, State::Ended), State::Ending) {
            // Somebody who holds the address stopped it, whatever it was told: an order like `terminate_child`.
            self.end(entry);
        }
        self.stops.remove(&serial);
        patient_again(entry, cx);
        entry.ends = false;
        if let Some(starter) = entry.starter.take() {
            cx.reply(starter, Err(ChildError::Failed(reason)));
        }
        if let Some(ender) = entry.ender.take() {
            cx.reply(ender, Ok(()));
        }
        self.forget(table, serial, cx);
    }

    /// Removes a child that is down for ever.
    pub(super) fn forget(&mut self, table: &mut Table, serial: u64, cx: &mut Cx<Self>) {
        let gone = |entry: &Entry| entry.discard || entry.spec.restart == Restart::Temporary;
        if table.get(serial).is_some_and(|entry| entry.is_down() && gone(entry)) {
            // Its specification may own anything.
            let entry = table.forget(serial);
            cx.act(move |_| drop(entry));
        }
    }
}

/// What children are told.
impl Supervising {
    /// Does what is next: first who must rest or end, then who may start.
    fn advance(&mut self, table: &mut Table, cx: &mut Cx<Self>) {
        if self.has_given_up {
            return;
        }
        self.stop_next(table, cx);
        if self.in_turn() && !(self.stops.is_empty() && self.stopping.is_empty()) {
            return;
        }
        self.start_next(table, cx);
        if !self.has_started && self.starts.is_empty() && self.starting.is_empty() {
            self.has_started = self.holds.is_empty();
            if let Some(report) = self.report.clone().filter(|_| self.has_started) {
                cx.act(move |_| report(News::Started));
            }
        }
    }

    fn stop_next(&mut self, table: &mut Table, cx: &mut Cx<Self>) {
        while !self.in_turn() || self.stopping.is_empty() {
            let Some(serial) = self.stops.pop_last() else { return };
            if let Some(entry) = table.get(serial) {
                self.tell_to_stop(entry, cx);
            }
        }
    }

    fn tell_to_stop(&mut self, entry: &mut Entry, cx: &mut Cx<Self>) {
        let Some(child) = entry.child.clone() else { return };
        let (ends, brutal) = (entry.ends, entry.spec.shutdown == Shutdown::Brutal);
        if !ends && !entry.runs() {
            return;
        }
        self.change(entry, if ends { State::Ending } else { State::Stopping });
        cx.act(move |_| {
            if brutal {
                child.0.order_kill();
            }
            if ends { child.0.order_stop() } else { child.0.order_pause() }
        });
        match entry.spec.shutdown {
            Shutdown::Within(within) => self.be_patient(entry, within, false, cx),
            Shutdown::Brutal if ends => self.be_patient(entry, KILL_WAIT, true, cx),
            Shutdown::Brutal | Shutdown::Infinity => {}
        }
    }

    fn be_patient(&mut self, entry: &mut Entry, within: Duration, killed: bool, cx: &mut Cx<Self>) {
        patient_again(entry, cx);
        let token = self.token();
        let timer = cx.after(within, Command(Order::Overdue(entry.serial, token)));
        entry.overdue = Some(Overdue { token, timer, killed });
    }

    /// A child's time to rest or to end is over: it is killed, and left behind if that does not help.
    fn overdue(&mut self, table: &mut Table, serial: u64, token: u64, cx: &mut Cx<Self>) {
        let Some(entry) = table.get(serial) else { return };
        let Some(overdue) = entry.overdue.take_if(|overdue| overdue.token == token) else { return };
        let (Some(child), shutdown) = (entry.child.clone(), entry.spec.shutdown) else { return };
        if overdue.killed {
            cx.act(move |_| ending::leave_behind(std::slice::from_ref(&child)));
            return;
        }
        let kernel = Arc::clone(&self.kernel);
        cx.act(move |_| ending::out_of_time(&kernel, &child, shutdown));
        // What is to go on cannot be left behind: its next incarnation waits for the end of the step.
        if matches!(entry.state, State::Ending) {
            self.be_patient(entry, KILL_WAIT, true, cx);
        }
    }

    fn start_next(&mut self, table: &mut Table, cx: &mut Cx<Self>) {
        if self.in_turn() {
            if self.starting.is_empty()
                && self.holds.is_empty()
                && let Some(serial) = self.starts.pop_first()
            {
                self.start_child(table, serial, cx);
            }
            return;
        }
        self.boot_settled(table);
        let starts = self.starts.iter().copied();
        let at_once: Vec<u64> = starts
            .filter(|serial| *serial <= self.booted || table.get(*serial).is_some_and(is_asked_for))
            .collect();
        for serial in at_once {
            self.start_child(table, serial, cx);
        }
        // The first start of all goes in order; a child that fails in it holds up those behind it.
        let next = self.booting.or_else(|| self.starts.range(self.booted + 1..).next().copied());
        if let Some(serial) = next.filter(|serial| self.starts.contains(serial)) {
            self.booting = Some(serial);
            self.start_child(table, serial, cx);
        }
    }

    /// Sees whether the child whose first start the others wait for has started, or never will.
    fn boot_settled(&mut self, table: &mut Table) {
        let Some(serial) = self.booting else { return };
        let starting = |entry: &mut Entry| entry.wanted || matches!(entry.state, State::Starting);
        if !table.get(serial).is_some_and(starting) {
            self.booted = serial;
            self.booting = None;
        }
    }

    fn start_child(&mut self, table: &mut Table, serial: u64, cx: &mut Cx<Self>) {
        self.starts.remove(&serial);
        let Some(entry) = table.get(serial) else { return };
        if matches!(entry.state, State::Ended) {
            entry.prepare(&cx.me());
        }
        if !matches!(entry.state, State::Prepared(_) | State::Resting) {
            return;
        }
        entry.wanted = false;
        if let State::Prepared(launch) = self.change(entry, State::Starting) {
            watch(entry, cx);
            cx.act(move |_| launch());
        } else if let Some(child) = &entry.child {
            cx.restart(child);
        }
    }
}

/// Whether somebody waits for a child's start.
fn is_asked_for(entry: &mut Entry) -> bool {
    entry.starter.is_some()
}

/// Asks for the notice of a child's final end.
fn watch(entry: &Entry, cx: &mut Cx<Supervising>) {
    let Some(child) = &entry.child else { return };
    let serial = entry.serial;
    cx.watch(child, move |down| Command(Order::Ended(serial, down.actor, down.reason)));
}

/// Takes back the timer that ends the patience with a child.
fn patient_again(entry: &mut Entry, cx: &mut Cx<Supervising>) {
    if let Some(overdue) = entry.overdue.take() {
        cx.cancel_timer(&overdue.timer);
    }
}
