//! What workers do to others beside talking to them: they end them, call them, keep them waiting, and ask supervisors for changes.

use std::{sync::Arc, time::Duration};

use synod_runtime::{
    actor::Actor,
    address::Addr,
    ask::{AskError, Reply},
    child::ChildRef,
    context::Cx,
    events::{Draft, Filter, Received},
    keyed::{Keyed, Keys},
    node::Node,
    spawn::Spawn,
    supervisor::{ChildSpec, Command, Restart},
    waits::{Need, WaitPath},
};

use super::{
    Shared,
    oracle::{Question, SLACK},
    worker::{Msg, Worker},
};

/// The keys of which a node starts actors.
pub(crate) const KEYS: usize = 4;
/// How long an actor of a key lives idle.
const IDLE: Duration = Duration::from_millis(60);

/// Whatever workers do beside talking.
pub(crate) const DEEDS: [&str; 15] = [
    "kill",
    "stop",
    "cancel",
    "terminate_child",
    "restart_child",
    "start_child",
    "call",
    "call_many",
    "a deadlock refused",
    "receive_timeout",
    "stash",
    "keyed",
    "event",
    "spawn",
    "spawn by work",
];

/// The call of a refused wait, if it was refused.
fn refused(error: Option<&AskError>) -> Option<&WaitPath> {
    match error {
        Some(AskError::Deadlock(path)) => Some(path),
        _ => None,
    }
}

impl Worker {
    /// Does one of the deeds, for some dice below 128.
    pub(crate) fn deed(&mut self, dice: u64, cx: &mut Cx<Self>) {
        match dice {
            0..=1 => self.kill(cx),
            2..=3 => self.end(cx, "stop", ChildRef::stop),
            4 => self.end(cx, "cancel", ChildRef::cancel),
            5..=12 => self.request(cx),
            13..=36 => self.call(cx),
            37..=44 => self.call_many(cx),
            45..=68 => self.send_aside(cx),
            69..=76 if !self.closed => self.close(cx),
            77..=100 => self.visit(cx),
            101..=112 => self.publish(cx),
            _ => {}
        }
    }

    fn kill(&self, cx: &mut Cx<Self>) {
        let Some((node, target)) = self.shared.plan.some_worker(cx.random()) else { return };
        let Some(target) = self.shared.world.find::<Msg>(node, target) else { return };
        self.shared.census.deed("kill");
        let target = target.child();
        self.shared.census.dooms(self.shared.plan.number(node), target.name());
        target.kill();
    }

    /// Ends some worker for good, of those without whom the tree goes on.
    fn end(&self, cx: &mut Cx<Self>, deed: &'static str, end: impl FnOnce(&ChildRef)) {
        let Some((node, target)) = self.shared.plan.some_mortal(cx.random()) else { return };
        let Some(target) = self.shared.world.find::<Msg>(node, target) else { return };
        self.shared.census.deed(deed);
        let (number, target) = (self.shared.plan.number(node), target.child());
        self.shared.census.stops((number, self.shared.life(number)), target.clone());
        end(&target);
    }

    /// Asks some supervisor to start, to end or to forget a child.
    fn request(&self, cx: &mut Cx<Self>) {
        let dice = cx.random();
        let Some((node, path, child)) = self.shared.plan.some_child(dice) else { return };
        let Some(supervisor) = self.shared.world.find::<Command>(node, path) else { return };
        let (number, child) = (self.shared.oracle.number(), child.to_owned());
        let node = self.shared.plan.number(node);
        let life = (node, self.shared.life(node));
        match cx.random() % 4 {
            0 => {
                self.shared.census.deed("terminate_child");
                self.ask_supervisor(cx, &supervisor, |to| Command::terminate_child(child, to));
            }
            1 | 2 => {
                self.shared.census.deed("restart_child");
                self.shared.oracle.allows_birth(life, path);
                self.ask_supervisor(cx, &supervisor, |to| Command::restart_child(child, to));
            }
            _ => {
                let Some(place) = self.shared.room.take() else { return };
                self.shared.census.deed("start_child");
                let on = Arc::clone(&self.shared);
                let spawn = Spawn::named(format!("d{number}")).shutdown(Duration::from_millis(50));
                let spec = ChildSpec::new(spawn, move || Self::guest(&on, node, &place));
                let spec = spec.restart(Restart::Temporary);
                self.ask_supervisor(cx, &supervisor, |to| Command::start_child(spec, to));
            }
        }
    }

    fn ask_supervisor<T: Send + 'static>(
        &self,
        cx: &mut Cx<Self>,
        supervisor: &Addr<Command>,
        command: impl FnOnce(Reply<T>) -> Command + Send + 'static,
    ) {
        let within = Duration::from_millis(500);
        let (number, deadline) = (self.shared.oracle.number(), cx.now() + within);
        self.shared.oracle.asks(self.me, 1);
        cx.ask(supervisor, command, within, move |answer: Result<T, AskError>| {
            Msg::Heard(number, deadline, answer.map(|_| 0))
        });
    }

    /// Asks some worker and serves nothing else until it has answered.
    fn call(&self, cx: &mut Cx<Self>) {
        let Some(target) = self.shared.some_worker(cx.random()) else { return };
        self.shared.census.deed("call");
        let within = Duration::from_millis(50 + cx.random() % 500);
        let (number, deadline) = (self.shared.oracle.number(), cx.now() + within);
        self.notes_call(number, &[&target], cx);
        let noted = self.shared.noted();
        let left = u32::try_from(cx.random() % 2).unwrap_or(0);
        let question = move |to: Reply<u64>| Msg::Job(Question::new(number, to, noted), left);
        cx.call(&target, question, within, move |answer| {
            Msg::Called(number, deadline, vec![(number, answer)])
        });
    }

    fn call_many(&self, cx: &mut Cx<Self>) {
        let targets: Vec<Addr<Msg>> =
            (0..3).filter_map(|_| self.shared.some_worker(cx.random())).collect();
        self.shared.census.deed("call_many");
        let within = Duration::from_millis(50 + cx.random() % 500);
        let (call, deadline) = (self.shared.oracle.number(), cx.now() + within);
        self.notes_call(call, &targets.iter().collect::<Vec<_>>(), cx);
        let need = [Need::All, Need::Any, Need::AtLeast(2)];
        let need = need[usize::try_from(cx.random() % 3).unwrap_or(0)];
        let numbers: Vec<u64> = targets.iter().map(|_| self.shared.oracle.number()).collect();
        let questions: Vec<_> = targets
            .into_iter()
            .zip(numbers.clone())
            .map(|(target, number)| {
                let noted = self.shared.noted();
                let question = move |to: Reply<u64>| Msg::Job(Question::new(number, to, noted), 0);
                (target, question)
            })
            .collect();
        cx.call_many(questions, need, within, move |answers| {
            Msg::Called(call, deadline, numbers.into_iter().zip(answers).collect())
        });
    }

    fn notes_call(&self, call: u64, targets: &[&Addr<Msg>], cx: &mut Cx<Self>) {
        let to = targets.iter().map(|target| target.child().name().to_owned()).collect();
        let (me, now) = (cx.me().child(), cx.now());
        self.shared.oracle.asks(self.me, 1);
        self.shared.census.calls(call, (self.me, me.name()), to, now);
    }

    /// The answers to a call have come.
    pub(crate) fn called(
        &self,
        call: u64,
        deadline: synod_runtime::clock::Moment,
        answers: &[(u64, Result<u64, AskError>)],
        cx: &mut Cx<Self>,
    ) {
        self.shared.oracle.asks(self.me, -1);
        let path = answers.iter().find_map(|(_, answer)| refused(answer.as_ref().err()));
        if path.is_some() {
            self.shared.census.deed("a deadlock refused");
        }
        self.shared.census.called(call, path, cx.now());
        self.shared.oracle.waited(call, deadline, SLACK, cx.now());
        for (number, answer) in answers {
            self.shared.oracle.outcome(*number, deadline, answer.as_ref().err());
        }
    }

    fn send_aside(&self, cx: &mut Cx<Self>) {
        let number = self.shared.oracle.number();
        if let Some(target) = self.shared.some_worker(cx.random()) {
            self.sends(&target, Msg::Aside(number), cx);
        }
    }

    /// Takes no more than a while what may be set aside.
    fn close(&mut self, cx: &mut Cx<Self>) {
        self.shared.census.deed("receive_timeout");
        self.closed = true;
        let quiet = Duration::from_millis(5 + cx.random() % 60);
        cx.receive_timeout(quiet, || Msg::Quiet);
    }

    pub(crate) fn open(&mut self, cx: &mut Cx<Self>) {
        self.closed = false;
        cx.unstash_all();
        cx.cancel_receive_timeout();
    }

    /// A message comes that may be set aside.
    pub(crate) fn aside(&mut self, number: u64, cx: &mut Cx<Self>) {
        if !self.closed {
            self.shared.oracle.takes_up(self.me, number);
            return self.shared.census.handles(number);
        }
        if cx.stash(Msg::Aside(number)).is_ok() {
            self.shared.census.deed("stash");
            self.shared.oracle.aside(self.me, number);
        }
    }

    /// Sends something to an actor that is there as long as it is visited.
    fn visit(&self, cx: &mut Cx<Self>) {
        let dice = cx.random();
        let keyed = self.shared.keyed.lock().values().nth((dice % 2) as usize).cloned();
        if let Some(keyed) = keyed {
            self.shared.census.deed("keyed");
            cx.send(&keyed.at((dice >> 8) % KEYS as u64), ());
        }
    }

    fn publish(&self, cx: &mut Cx<Self>) {
        self.shared.census.deed("event");
        let number = self.shared.oracle.number();
        cx.publish_event(Draft::new("deed").data(number.into())).expect("it is valid");
    }

    /// Hears of events, as some workers do.
    pub(crate) fn subscribe(cx: &mut Cx<Self>) {
        cx.subscribe(Filter::new().kinds(["deed"]), Msg::News).expect("there is room");
    }

    pub(crate) fn hears(&mut self, news: &Received) {
        if let Received::Event(event) = news {
            let number: u64 = event.read().expect("it is a number");
            if !self.news.insert(number) {
                self.shared.oracle.fail(format!("a subscriber heard twice of event {number}"));
            }
        }
    }
}

/// The actor of one key.
struct Tenant {
    shared: Arc<Shared>,
    node: usize,
    key: u64,
}

impl Actor for Tenant {
    type Msg = ();

    fn handle(&mut self, (): (), _: &mut Cx<Self>) {
        self.shared.extent.delivers();
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.shared.census.moves_out(self.node, self.key);
    }
}

/// Starts the keyed actors of a node.
pub(crate) fn keyed(shared: &Arc<Shared>, number: usize, node: &Node) -> Keyed<u64, ()> {
    let shared = Arc::clone(shared);
    let tenant = move |key: &u64| {
        shared.census.moves_in(number, *key);
        Tenant { shared: Arc::clone(&shared), node: number, key: *key }
    };
    node.keyed(Keys::named("keys", tenant).idle(IDLE))
}
