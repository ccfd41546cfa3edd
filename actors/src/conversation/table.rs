//! The table: the actor at which the members of a conversation sit. It hands on what they say, and ends with it.
//!
//! Started by a [`Talk`]; spoken to by [`Voice`]s. What it hands over to a member is a task of its own, so that a member with a full
//! mailbox holds up nobody else; tasks are polled once in place, so that a member hears things in the order in which they were said.
//!
//! # Invariants
//! - An ask's reply lies here, not with the member that is asked: whatever becomes of that, it is answered.
//! - A member that is gone is nobody's target; what it was asked ends as it goes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use protocol::{
    Code, Refusal, check_name,
    payload::coordination::{Coordination, Speech},
    weight,
};
use runtime::{
    actor::Actor,
    ask::{AskError, Reply},
    budget::{Budget, Cost},
    clock::Moment,
    context::{Cx, Task},
    work::TaskError,
};

use super::{
    Talk,
    member::{Heard, Member},
    msg::{Line, MemberId, Msg, no_place},
    taken, too_many,
    voice::{Said, Say, Voice},
};
use crate::limits::{
    CONVERSATION_LINES_MAX, CONVERSATION_MEMBERS_MAX, CONVERSATION_UNHEARD_MAX, SPEECH_BYTES_MAX,
};

/// Somebody at the table.
struct Seated {
    id: MemberId,
    member: Member,
    /// What it has not handled yet.
    unheard: usize,
    /// How many of its bodies are alive.
    alive: usize,
}

/// What is on its way to a member.
struct Handed {
    to: Arc<str>,
    id: MemberId,
    task: Task,
    asked: Option<Asked>,
}

/// Something for a member to hear.
struct Sound {
    from: Arc<str>,
    act: Arc<Coordination>,
    why: Option<Arc<str>>,
}

/// Who asks, where the answer goes, and how long that may take.
struct Asked {
    by: Arc<str>,
    reply: Reply<Said>,
    within: Duration,
}

/// The state of a conversation.
pub(super) struct Table {
    topic: Arc<str>,
    lasts: Duration,
    ends: Moment,
    messages_max: u64,
    budget: Option<Budget>,
    at_first: Vec<(Arc<str>, Member)>,
    seated: BTreeMap<Arc<str>, Seated>,
    names: BTreeMap<MemberId, Arc<str>>,
    handed: BTreeMap<u64, Handed>,
    handed_ever: u64,
    lines: VecDeque<Line>,
    said: u64,
}

type At<'a> = &'a mut Cx<Table>;

impl Table {
    pub(super) fn new(talk: Talk) -> Self {
        let Talk { topic, lasts, messages_max, budget, members } = talk;
        Self {
            topic: topic.into(),
            lasts,
            ends: Moment::NEVER,
            messages_max,
            budget,
            at_first: members,
            seated: BTreeMap::new(),
            names: BTreeMap::new(),
            handed: BTreeMap::new(),
            handed_ever: 0,
            lines: VecDeque::new(),
            said: 0,
        }
    }

    fn join(&mut self, name: &Arc<str>, member: Member, cx: At<'_>) -> Result<Voice, Refusal> {
        let fault = |fault| Refusal::new(Code::Invalid, format!("conversation: {fault}"));
        check_name("name", name).map_err(fault)?;
        if self.seated.contains_key(name) {
            return Err(taken(&self.topic, name));
        }
        if self.seated.len() >= CONVERSATION_MEMBERS_MAX {
            return Err(too_many(&self.topic));
        }
        let random = u128::from(cx.random()) << 64 | u128::from(cx.random());
        let millis = u64::try_from(cx.unix_nanos() / 1_000_000).unwrap_or(0);
        let id = MemberId::from_parts(millis, random);
        for body in &member.bodies {
            cx.watch(body, move |down| Msg::Down(id, down.reason.to_string()));
        }
        self.notice(name, Coordination::Join, None, cx);
        let alive = member.bodies.len();
        self.names.insert(id, Arc::clone(name));
        self.seated.insert(Arc::clone(name), Seated { id, member, unheard: 0, alive });
        Ok(Voice::new(cx.me(), id, Arc::clone(name)))
    }

    /// Does what a member says; the reply comes back where it is to be answered at once.
    fn say(&mut self, from: MemberId, say: Say, reply: Reply<Said>, cx: At<'_>) {
        let outcome = match self.name_of(from) {
            Some(name) => self.say_as(&name, say, reply, cx),
            None => Err((
                self.refusal(Code::UnknownTarget, "you are no member of it any more; join again"),
                reply,
            )),
        };
        if let Err((refusal, reply)) = outcome {
            cx.refuse(reply, refusal);
        }
    }

    fn say_as(
        &mut self,
        from: &Arc<str>,
        Say { to, act, within }: Say,
        reply: Reply<Said>,
        cx: At<'_>,
    ) -> Result<(), (Refusal, Reply<Said>)> {
        if let Err(refusal) = self.check(&act) {
            return Err((refusal, reply));
        }
        let act = Arc::new(act);
        match (&*act, to) {
            (Coordination::Tell(_) | Coordination::Ask(_), Some(to)) => {
                if let Err(refusal) = self.pass(from, &to, &act, cx) {
                    return Err((refusal, reply));
                }
                let by = Arc::clone(from);
                let asked = if matches!(*act, Coordination::Ask(_)) {
                    Some(Asked { by, reply: reply.delegated(), within })
                } else {
                    cx.reply(reply, Said::Told(Vec::new()));
                    None
                };
                self.hand(&to, Sound { from: Arc::clone(from), act, why: None }, asked, cx);
            }
            (Coordination::Broadcast(_), _) => match self.broadcast(from, &act, cx) {
                Ok(missed) => cx.reply(reply, Said::Told(missed)),
                Err(refusal) => return Err((refusal, reply)),
            },
            (Coordination::Leave, _) => {
                self.leave(from, None, cx);
                cx.reply(reply, Said::Told(Vec::new()));
            }
            (Coordination::End { reason }, _) => {
                self.end(from, reason, cx);
                cx.reply(reply, Said::Told(Vec::new()));
            }
            (refused, _) => {
                let why = no_place(refused);
                return Err((self.refusal(Code::NotSupported, why), reply));
            }
        }
        self.end_if_done(cx);
        Ok(())
    }

    /// Checks what is said, and that there may be more of it.
    fn check(&self, act: &Coordination) -> Result<(), Refusal> {
        if let Err(fault) = act.check() {
            return Err(self.refusal(Code::Invalid, &fault.to_string()));
        }
        let speech = match act {
            Coordination::Tell(speech)
            | Coordination::Ask(speech)
            | Coordination::Broadcast(speech) => speech,
            Coordination::Answer(_)
            | Coordination::Open(_)
            | Coordination::Join
            | Coordination::Leave
            | Coordination::End { .. }
            | Coordination::Event(_)
            | Coordination::Subscribe { .. }
            | Coordination::Unsubscribe { .. } => return Ok(()),
        };
        if weight(&speech.content, SPEECH_BYTES_MAX) > SPEECH_BYTES_MAX {
            let text =
                format!("what is said has more than {SPEECH_BYTES_MAX} bytes; say it in parts");
            return Err(self.refusal(Code::TooLarge, &text));
        }
        if self.said >= self.messages_max {
            let text = format!("its {} messages are said; open another", self.messages_max);
            return Err(self.refusal(Code::Budget, &text));
        }
        Ok(())
    }

    /// Notes what is said to one member, unless that cannot hear it.
    fn pass(
        &mut self,
        from: &Arc<str>,
        to: &Arc<str>,
        act: &Arc<Coordination>,
        cx: At<'_>,
    ) -> Result<(), Refusal> {
        let Some(seated) = self.seated.get(to) else {
            let names: Vec<&str> = self.seated.keys().map(|name| &**name).collect();
            let text = format!("there is no member `{to}`; members are {}", names.join(", "));
            return Err(self.refusal(Code::UnknownTarget, &text));
        };
        if from == to {
            let text = "a member does not speak to itself; name another";
            return Err(self.refusal(Code::Invalid, text));
        }
        if seated.unheard >= CONVERSATION_UNHEARD_MAX {
            let text = format!(
                "`{to}` has {CONVERSATION_UNHEARD_MAX} messages that it has not handled; wait for it"
            );
            return Err(self.refusal(Code::Overloaded, &text));
        }
        self.spend(1, cx)?;
        self.note(from, Some(to), Arc::clone(act));
        Ok(())
    }

    /// Tells all but `from`; returns those who have too much that they have not heard.
    fn broadcast(
        &mut self,
        from: &Arc<str>,
        act: &Arc<Coordination>,
        cx: At<'_>,
    ) -> Result<Vec<Arc<str>>, Refusal> {
        let others = self.seated.iter().filter(|(name, _)| *name != from);
        let (free, full): (Vec<_>, Vec<_>) =
            others.partition(|(_, seated)| seated.unheard < CONVERSATION_UNHEARD_MAX);
        let missed = full.into_iter().map(|(name, _)| Arc::clone(name)).collect();
        let free: Vec<_> = free.into_iter().map(|(name, _)| Arc::clone(name)).collect();
        self.spend(free.len() as u64, cx)?;
        self.note(from, None, Arc::clone(act));
        for name in free {
            let sound = Sound { from: Arc::clone(from), act: Arc::clone(act), why: None };
            self.hand(&name, sound, None, cx);
        }
        Ok(missed)
    }

    /// Tells everyone who minds that something happened with `from`.
    fn notice(&mut self, from: &Arc<str>, act: Coordination, why: Option<&str>, cx: At<'_>) {
        let others = self.seated.iter().filter(|(name, seated)| {
            *name != from
                && seated.unheard < CONVERSATION_UNHEARD_MAX
                && seated.member.ears.hears_notices()
        });
        let others: Vec<_> = others.map(|(name, _)| Arc::clone(name)).collect();
        let act = Arc::new(act);
        for name in others {
            let why = why.map(Arc::from);
            self.hand(
                &name,
                Sound { from: Arc::clone(from), act: Arc::clone(&act), why },
                None,
                cx,
            );
        }
    }

    /// Hands something over to a member; asks end by their own deadline, the rest with the conversation.
    fn hand(&mut self, to: &Arc<str>, sound: Sound, asked: Option<Asked>, cx: At<'_>) {
        let left = self.ends.since(cx.now());
        let Some(seated) = self.seated.get_mut(to) else { return };
        seated.unheard += 1;
        let (number, id) = (self.handed_ever, seated.id);
        self.handed_ever += 1;
        let within = asked.as_ref().map_or(left, |asked| asked.within.min(left));
        // What the conversation itself is charged is not charged again to the actor that keeps it.
        let work = if self.budget.is_some() { cx.work_cx().charged_to(None) } else { cx.work_cx() };
        let ears = Arc::clone(&seated.member.ears);
        let Sound { from, act, why } = sound;
        let heard = Heard { from, act, why, voice: Voice::new(cx.me(), id, Arc::clone(to)) };
        // The member's own code runs inside of the task, so that its panics are the task's.
        let hearing = async move { ears.hear(heard, within, &work).await };
        let task = cx.perform(hearing, move |outcome| Msg::Done(number, outcome));
        self.handed.insert(number, Handed { to: Arc::clone(to), id, task, asked });
    }

    fn done(
        &mut self,
        number: u64,
        outcome: Result<Result<Speech, AskError>, TaskError>,
        cx: At<'_>,
    ) {
        let Some(Handed { to, id, asked, .. }) = self.handed.remove(&number) else { return };
        if let Some(seated) = self.seated.get_mut(&to).filter(|seated| seated.id == id) {
            seated.unheard -= 1;
        }
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(TaskError::Panicked(text)) => {
                Err(AskError::Failed(format!("`{to}` could not hear it: {text}")))
            }
            Err(TaskError::Cancelled) => Err(AskError::Cancelled),
        };
        let is_gone = outcome == Err(AskError::Stopped);
        if let Some(Asked { by, reply, .. }) = asked {
            match outcome.and_then(|answer| self.answer(&to, &by, answer)) {
                Ok(answer) => cx.reply(reply, Said::Answered(answer)),
                Err(why) => cx.refuse(reply, why),
            }
        }
        if is_gone && self.name_of(id).is_some() {
            self.leave(&to, Some("it hears nothing any more"), cx);
        }
        self.end_if_done(cx);
    }

    fn answer(
        &mut self,
        from: &Arc<str>,
        to: &Arc<str>,
        answer: Speech,
    ) -> Result<Speech, AskError> {
        if weight(&answer.content, SPEECH_BYTES_MAX) > SPEECH_BYTES_MAX {
            let text = format!("the answer of `{from}` has more than {SPEECH_BYTES_MAX} bytes");
            return Err(self.refusal(Code::TooLarge, &text).into());
        }
        self.note(from, Some(to), Arc::new(Coordination::Answer(answer.clone())));
        Ok(answer)
    }

    /// Takes a member from the table: what it was asked is refused, others hear of it.
    fn leave(&mut self, name: &Arc<str>, why: Option<&str>, cx: At<'_>) {
        let Some(Seated { id, .. }) = self.seated.remove(name) else { return };
        self.names.remove(&id);
        let text = format!("`{name}` has left: {}", why.unwrap_or("by itself"));
        let refusal = self.refusal(Code::UnknownTarget, &text);
        for handed in self.handed.values_mut() {
            let is_asker = handed.asked.as_ref().is_some_and(|asked| asked.by == *name);
            if handed.id == id {
                cx.cancel(&handed.task);
            }
            if (handed.id == id || is_asker)
                && let Some(asked) = handed.asked.take()
            {
                cx.refuse(asked.reply, refusal.clone());
            }
        }
        self.notice(name, Coordination::Leave, why, cx);
    }

    /// Ends the conversation: asks are refused, members hear of it.
    fn end(&mut self, from: &Arc<str>, reason: &str, cx: At<'_>) {
        let refusal = self.refusal(Code::Cancelled, &format!("it has ended: {reason}"));
        for handed in self.handed.values_mut() {
            if let Some(asked) = handed.asked.take() {
                cx.refuse(asked.reply, refusal.clone());
            }
        }
        self.notice(from, Coordination::End { reason: reason.to_owned() }, None, cx);
        cx.stop();
    }

    /// Ends it when all that may be said is said and answered.
    fn end_if_done(&mut self, cx: At<'_>) {
        if self.said >= self.messages_max
            && self.handed.values().all(|handed| handed.asked.is_none())
        {
            let topic = Arc::clone(&self.topic);
            self.end(&topic, &format!("its {} messages are said", self.messages_max), cx);
        }
    }

    fn spend(&self, messages: u64, cx: At<'_>) -> Result<(), Refusal> {
        let Some(budget) = &self.budget else { return Ok(()) };
        let spent = budget.spend(Cost { messages, ..Cost::ZERO }, cx.now());
        spent.map_err(|refused| self.refusal(Code::Budget, &refused.to_string()))
    }

    fn note(&mut self, from: &Arc<str>, to: Option<&Arc<str>>, act: Arc<Coordination>) {
        // An answer belongs to its ask, which was counted.
        self.said += u64::from(!matches!(*act, Coordination::Answer(_)));
        let (number, from, to) = (self.said, Arc::clone(from), to.cloned());
        self.lines.push_back(Line { number, from, to, act });
        if self.lines.len() > CONVERSATION_LINES_MAX {
            self.lines.pop_front();
        }
    }

    fn name_of(&self, id: MemberId) -> Option<Arc<str>> {
        self.names.get(&id).cloned()
    }

    fn refusal(&self, code: Code, text: &str) -> Refusal {
        Refusal::new(code, format!("conversation `{}`: {text}", self.topic))
    }
}

impl Actor for Table {
    type Msg = Msg;

    fn start(&mut self, cx: At<'_>) {
        self.ends = cx.now() + self.lasts;
        let over = format!("its time of {:?} is over", self.lasts);
        cx.after(self.lasts, Msg::End(over));
        for (name, member) in std::mem::take(&mut self.at_first) {
            if let Err(refusal) = self.join(&name, member, cx) {
                // The talk was checked before it was opened.
                tracing::error!(%refusal, "a first member was refused");
            }
        }
    }

    fn handle(&mut self, msg: Msg, cx: At<'_>) {
        match msg {
            Msg::Join(name, member, reply) => match self.join(&name, member, cx) {
                Ok(voice) => cx.reply(reply, voice),
                Err(refusal) => cx.refuse(reply, refusal),
            },
            Msg::Say { from, say, reply } => self.say(from, *say, reply, cx),
            Msg::Done(number, outcome) => self.done(number, outcome, cx),
            Msg::Down(id, why) => {
                let Some(name) = self.name_of(id) else { return };
                let Some(seated) = self.seated.get_mut(&name) else { return };
                seated.alive -= 1;
                if seated.alive == 0 {
                    self.leave(&name, Some(&why), cx);
                    self.end_if_done(cx);
                }
            }
            Msg::Left(id) => {
                if let Some(name) = self.name_of(id) {
                    self.leave(&name, None, cx);
                    self.end_if_done(cx);
                }
            }
            Msg::End(reason) => {
                let topic = Arc::clone(&self.topic);
                self.end(&topic, &reason, cx);
            }
            Msg::Members(reply) => cx.reply(reply, self.seated.keys().cloned().collect()),
            Msg::Lines(reply) => cx.reply(reply, self.lines.iter().cloned().collect()),
        }
    }
}
