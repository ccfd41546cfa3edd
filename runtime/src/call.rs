//! Calls: an actor asks and serves nothing else until it has its answers, as a `gen_server:call` does.
//!
//! Recorded by steps through [`Cx::call`] and [`Cx::call_many`]. While a call is open, `serve` leaves the actor's messages, timers
//! and notices where they are and takes only the call's answer and the kernel's orders.
//!
//! # Invariants
//! - A call ends once, by its deadline, which counts from the step that recorded it.
//! - A call that could never end is refused at once with [`AskError::Deadlock`].

use std::{sync::Arc, task::Waker, time::Duration};

use crate::{
    actor::{Actor, ActorId},
    address::{Delivery, PlaceInLine, Placed},
    ask::{ActorAsk, Answer, AskError, Join, Reply, Tally},
    belongings::Cancel,
    context::{AskTarget, Cx},
    lab::carried,
    limits::CALL_TARGETS_MAX,
    outbox::Effect,
    waits::{Holder, Need, WaitPath, Waiter, Waits},
};

impl<A: Actor> Cx<A> {
    /// Asks `target` and serves nothing else until the answer, or why there is none after `within`, comes back as a message.
    ///
    /// Messages, timers and notices wait meanwhile; an order to stop does not. Where the answer could never come, since everyone
    /// on a circle of calls waits for the next, the message says so at once with the path: as soon as everything else that the
    /// step recorded has left too. A step may record several calls; all of them are then open at a time.
    ///
    /// # Replies that a task answers
    /// Whoever got a question is taken for the one who answers it, until the [`Reply`] is used or dropped. An actor that moves a
    /// reply into a task (or to a bystander) which answers while the actor itself calls has to give it
    /// [`delegated`](Reply::delegated): nothing can see who holds a moved value, and without it a call back to the asker is refused
    /// as a circle though the task would have broken it.
    pub fn call<Q, T, F>(
        &mut self,
        target: &impl AskTarget<Q, T>,
        question: Q,
        within: Duration,
        into_message: F,
    ) where
        Q: Send + 'static,
        T: Send + 'static,
        F: FnOnce(Result<T, AskError>) -> A::Msg + Send + 'static,
    {
        self.question(target, question, (within, true), into_message);
    }

    /// Records the sending of one question of an ask or a call, and what becomes of it.
    pub(crate) fn question<Q, T, F>(
        &mut self,
        target: &impl AskTarget<Q, T>,
        question: Q,
        (within, is_call): (Duration, bool),
        into_message: F,
    ) where
        Q: Send + 'static,
        T: Send + 'static,
        F: FnOnce(Result<T, AskError>) -> A::Msg + Send + 'static,
    {
        self.begins();
        let (target, deadline) = (target.clone(), self.now() + within);
        let (from, budget) = (self.slot.id, self.slot.budget.clone());
        let asker = (&self.slot, self.incarnation);
        let ask = ActorAsk::open(asker, is_call, (deadline, within), into_message);
        if is_call {
            self.begin_call(Arc::<ActorAsk<T, A::Msg, F>>::clone(&ask));
        }
        self.effects.push(Effect::Send(Box::new(move |kernel| {
            if !ask.is_wanted() {
                return None;
            }
            if let Err(why) = kernel.charge_message(budget.as_ref()) {
                ask.answer(Err(why));
                return None;
            }
            let reply = Reply::new(Arc::<ActorAsk<T, A::Msg, F>>::clone(&ask));
            let to = kernel.lab.as_ref().and_then(|_| target.target_name());
            carried(kernel, from, to, move |_| {
                let (holder, place) = match target.deliver_question(question, reply, from) {
                    Delivery::Refused(why, question) => {
                        ask.answer(Err(why));
                        drop(question);
                        return None;
                    }
                    Delivery::Done(holder) => (holder, None),
                    Delivery::InLine(PlaceInLine(place)) => (place.holder(), Some(place)),
                };
                let is_open = ask.delivered(Holder::Actor(holder));
                place.filter(|_| is_open).map(|place| wanted(place, move || ask.is_wanted()))
            })
        })));
    }

    /// Asks each target its question and serves nothing else until enough of them have answered, or too few still can.
    ///
    /// The outcomes come back as one message, in the order of `targets`. A question that was not answered when the call ended has
    /// [`AskError::Cancelled`], [`AskError::TimedOut`] or, where the need could never be met, [`AskError::Deadlock`]. More than
    /// [`CALL_TARGETS_MAX`] targets, and a need for more answers than targets, are refused: of too many targets there is one outcome
    /// more than the limit, and those beyond are not even looked at. A need for no answer asks nobody.
    pub fn call_many<Q, T, F, K>(
        &mut self,
        targets: impl IntoIterator<Item = (K, Q)>,
        need: Need,
        within: Duration,
        into_message: F,
    ) where
        K: AskTarget<Q, T>,
        Q: Send + 'static,
        T: Send + 'static,
        F: FnOnce(Vec<Result<T, AskError>>) -> A::Msg + Send + 'static,
    {
        let targets: Vec<(K, Q)> = targets.into_iter().take(CALL_TARGETS_MAX + 1).collect();
        let tally = Tally::new(need.of(targets.len()), targets.len());
        let time = (self.now() + within, within);
        self.begins();
        let join = Join::open((&self.slot, self.incarnation), tally, time, into_message);
        self.begin_call(Arc::<Join<T, A::Msg, F>>::clone(&join));
        let begun = Arc::clone(&join);
        self.act(move |_| begun.begin());
        let from = self.slot.id;
        for (number, (target, question)) in targets.into_iter().enumerate() {
            let (join, budget) = (Arc::clone(&join), self.slot.budget.clone());
            self.effects.push(Effect::Send(Box::new(move |kernel| {
                if !join.wants(number) {
                    return None;
                }
                if let Err(why) = kernel.charge_message(budget.as_ref()) {
                    join.ended(number, Err(why));
                    return None;
                }
                let to = kernel.lab.as_ref().and_then(|_| target.target_name());
                carried(kernel, from, to, move |_| ask_one(&join, number, &target, question, from))
            })));
        }
    }

    /// Counts an ask, a call or a task; each ends with a message to the actor.
    pub(crate) fn begins(&mut self) {
        self.begun = self.begun.wrapping_add(1);
        self.slot.mark_begun(self.begun);
    }

    /// From here to its answer this actor serves nothing else.
    fn begin_call(&mut self, call: Arc<dyn Cancel>) {
        self.calls += 1;
        self.effects.push(Effect::Call(call));
    }
}

/// Delivers one question of a call.
fn ask_one<Q, T, M, F>(
    join: &Arc<Join<T, M, F>>,
    number: usize,
    target: &impl AskTarget<Q, T>,
    question: Q,
    from: ActorId,
) -> Option<Box<dyn Placed>>
where
    T: Send + 'static,
    M: Send + 'static,
    F: FnOnce(Vec<Result<T, AskError>>) -> M + Send + 'static,
{
    let (holder, place) = match target.deliver_question(question, join.reply(number), from) {
        Delivery::Refused(why, question) => {
            join.ended(number, Err(why));
            drop(question);
            return None;
        }
        Delivery::Done(holder) => (holder, None),
        Delivery::InLine(PlaceInLine(place)) => (place.holder(), Some(place)),
    };
    join.delivered(number, Holder::Actor(holder));
    let join = Arc::clone(join);
    place.map(|place| wanted(place, move || join.wants(number)))
}

/// The place in line of a question, which leaves the line when nobody wants its answer any more.
pub(crate) fn wanted(
    place: Box<dyn Placed>,
    is_wanted: impl Fn() -> bool + Send + 'static,
) -> Box<dyn Placed> {
    Box::new(Wanted { place, is_wanted })
}

struct Wanted<W> {
    place: Box<dyn Placed>,
    is_wanted: W,
}

impl<W: Fn() -> bool + Send> Placed for Wanted<W> {
    fn is_settled(&self, waker: &Waker, quiet: bool) -> bool {
        !(self.is_wanted)() || self.place.is_settled(waker, quiet)
    }

    fn holder(&self) -> ActorId {
        self.place.holder()
    }

    fn block(&self, waits: &Waits, waiter: Waiter) -> Result<(), WaitPath> {
        self.place.block(waits, waiter)
    }

    fn stand_by(&self) {
        self.place.stand_by();
    }

    fn give_up(&self, why: AskError) {
        self.place.give_up(why);
    }
}
