//! Handing out: places asked for, kept while nobody else waits for them, given to documents.

use super::{super::link::Call, *};
use crate::{
    assign::{Need, Strategy},
    limits::QUIESCENCE_WAIT,
    pattern::pipeline::stage::About,
    roster::Demand,
};

impl Worker {
    /// Puts a document in the lane of its agent.
    pub(super) fn wait(&mut self, document: u32, cx: &mut In) {
        let Some(guest) = self.guests.get(&document).filter(|guest| guest.call.is_none()) else {
            return;
        };
        let link = guest.link;
        if self.stopping {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(link) {
            lane.waiting.push_back(document);
        }
        self.serve(link, cx);
    }

    /// Gives places that are free to those who wait, asks for more where there are too few, and keeps none that others want.
    pub(super) fn serve(&mut self, link: usize, cx: &mut In) {
        while let Some((document, lease)) = self.lanes.get_mut(link).and_then(Lane::next) {
            self.call(document, lease, cx);
            if self.stopping {
                return;
            }
        }
        let Some(lane) = self.lanes.get_mut(link) else { return };
        let waiting = u32::try_from(lane.waiting.len()).unwrap_or(u32::MAX);
        let (more, unused) = (waiting.saturating_sub(lane.asked), !lane.idle.is_empty());
        if more > 0 {
            self.demand(link, more, cx);
        }
        if unused && !self.alone {
            self.give_back(cx);
        }
    }

    fn demand(&mut self, link: usize, count: u32, cx: &mut In) {
        let Some(agent) = self.link(link).map(|agent| agent.agent().key().clone()) else { return };
        let patient = link + 1 == self.lanes.len();
        let id = DemandId(self.next_demand);
        self.next_demand += 1;
        if let Some(lane) = self.lanes.get_mut(link) {
            lane.asked += count;
        }
        self.demands.insert(id, Asked { link, left: count });
        let need = Need { agents: vec![agent], capabilities: Vec::new() };
        let (strategy, avoid, spare) = (Strategy::RoundRobin, Vec::new(), false);
        let demand = Demand { id, need, strategy, count, avoid, spare, patient, owner: cx.id() };
        cx.send(self.post.brief.system.roster(), roster::Msg::Demands(vec![demand]));
    }

    /// Gives back what nobody uses now, and asks for nothing that nobody waits for.
    fn give_back(&mut self, cx: &mut In) {
        let mut unused = Vec::new();
        for lane in &mut self.lanes {
            unused.append(&mut lane.idle);
        }
        self.release(unused, cx);
        let lanes = &self.lanes;
        let is_vain =
            |asked: &Asked| lanes.get(asked.link).is_none_or(|lane| lane.waiting.is_empty());
        let vain: Vec<DemandId> =
            self.demands.iter().filter(|(_, asked)| is_vain(asked)).map(|(id, _)| *id).collect();
        for id in vain {
            self.note_granted(id, u32::MAX);
            cx.send(self.post.brief.system.roster(), roster::Msg::Withdraw(cx.id(), id));
        }
    }

    pub(super) fn release(&self, leases: Vec<Lease>, cx: &mut In) {
        if !leases.is_empty() {
            cx.send(self.post.brief.system.roster(), roster::Msg::Release(cx.id(), leases));
        }
    }

    pub(super) fn take_grant(&mut self, grant: Grant, cx: &mut In) {
        match grant {
            Grant::Leases { demand, leases, alone } => {
                let places = u32::try_from(leases.len()).unwrap_or(u32::MAX);
                let Some(link) = self.note_granted(demand, places).filter(|_| !self.stopping)
                else {
                    return self.release(leases, cx);
                };
                self.alone = alone;
                if let Some(lane) = self.lanes.get_mut(link) {
                    lane.idle.extend(leases);
                }
                self.serve(link, cx);
            }
            Grant::Share => {
                self.alone = false;
                self.give_back(cx);
            }
            Grant::Several(grants) => {
                for grant in grants {
                    self.take_grant(grant, cx);
                }
            }
            Grant::Anew(incarnation) => self.claim(incarnation, cx),
            Grant::Denied { demand, why, until } => {
                let Some(link) = self.note_granted(demand, u32::MAX) else { return };
                let error = match until {
                    Some(until) => AgentError::Held { reason: why, after: cx.now().until(until) },
                    None => AgentError::Lost { reason: why },
                };
                let waiting =
                    self.lanes.get_mut(link).map(|lane| std::mem::take(&mut lane.waiting));
                for document in waiting.into_iter().flatten() {
                    self.fall(document, error.clone(), cx);
                }
            }
        }
    }

    /// Notes that a demand waits for fewer places; the link that it is for.
    fn note_granted(&mut self, demand: DemandId, places: u32) -> Option<usize> {
        let asked = self.demands.get_mut(&demand)?;
        let (link, granted) = (asked.link, places.min(asked.left));
        asked.left -= granted;
        if asked.left == 0 {
            self.demands.remove(&demand);
        }
        if let Some(lane) = self.lanes.get_mut(link) {
            lane.asked = lane.asked.saturating_sub(granted);
        }
        Some(link)
    }

    /// Tells a new incarnation of the roster which places are held, and asks again for all that are wanted.
    fn claim(&mut self, incarnation: u32, cx: &mut In) {
        let running = self.guests.values().filter_map(|guest| guest.call.map(|(lease, _)| lease));
        let idle = self.lanes.iter().flat_map(|lane| lane.idle.iter().copied());
        let held = running.chain(idle).collect();
        cx.send(self.post.brief.system.roster(), roster::Msg::Claim(incarnation, cx.id(), held));
        self.alone = false;
        self.demands.clear();
        for lane in &mut self.lanes {
            lane.asked = 0;
        }
        for link in 0..self.lanes.len() {
            self.serve(link, cx);
        }
    }

    /// Calls the agent at a place.
    fn call(&mut self, document: u32, lease: Lease, cx: &mut In) {
        let Some(stage) = self.post.plan.stage(self.post.stage) else { return };
        let Some(guest) = self.guests.get_mut(&document) else {
            return self.release(vec![lease], cx);
        };
        let Some(link) = stage.links.get(guest.link).map(Arc::clone) else { return };
        if !link.agent().has(lease.slot) {
            // It has ended since its place was kept.
            self.release(vec![lease], cx);
            return self.wait(document, cx);
        }
        let sent = cx.now();
        // The deadline ends a call by a cancel; should the slot not answer that either, the ask ends behind it.
        let left = sent.until(self.post.deadline) + 2 * QUIESCENCE_WAIT;
        let timeout = stage.timeout.min(link.agent().timeout().unwrap_or(stage.timeout)).min(left);
        guest.count();
        let (name, content, attempts) =
            (Arc::clone(&guest.name), Arc::clone(&guest.content), guest.attempts);
        let Post { brief, plan, stage: number, .. } = &self.post;
        let (agent, took, at) =
            (&**link.agent().name(), Duration::ZERO, crate::pattern::brief::millis(cx));
        let about = About { document, name: &name, stage: &stage.name, agent, attempts, took, at };
        let unit = plan.unit(document, *number);
        let (task, progress) = (brief.task_id(unit), brief.progress(unit, cx.me().name()));
        let budget = brief.budget.clone();
        let origin = brief.origin((sent + timeout).min(self.post.deadline), &self.post.span);
        let content = &*content;
        let call = Call { about, content, lease, task, sent, progress, budget, origin, timeout };
        if let Err(reason) = link.ask(call, cx) {
            if let Some(guest) = self.guests.get_mut(&document) {
                guest.uncount();
            }
            self.release(vec![lease], cx);
            return self.fall(document, AgentError::Failed { message: reason }, cx);
        }
        self.running += 1;
        brief.counters.begun();
        if let Some(guest) = self.guests.get_mut(&document) {
            guest.call = Some((lease, sent));
        }
        self.publish(EventKind::TaskAssigned, document, cx, |data| {
            data.insert("slot".to_owned(), json!(lease.slot));
            data.insert("attempt".to_owned(), json!(attempts));
        });
    }
}

impl Lane {
    /// Somebody who waits, with a place.
    fn next(&mut self) -> Option<(u32, Lease)> {
        let lease = *self.idle.last()?;
        let document = self.waiting.pop_front()?;
        self.idle.pop();
        Some((document, lease))
    }
}
