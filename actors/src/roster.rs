//! The roster: every agent slot of one node, who has it reserved, and who waits for one.
//!
//! An actor. Coordinators ask it with [`Demand`]s and get [`Grant`]s; a pick and its reservation are one step of this actor, so loads
//! are exact and no herd meets at one slot. Work is pulled: nothing is sent to a slot without a lease.
//!
//! # Invariants
//! - A slot never has more leases than its concurrency; one that rests is given none, one that is probed no more than its probes.
//! - Every lease is returned once: by [`Msg::Release`], or with its slot.
//! - A new incarnation knows all slots, and asks all owners what they have and want. Until one has told, nothing else is heard of
//!   it, since that was meant for the incarnation before; a lease of that which nobody tells of is void.
//! - Demands are served in turn; a demand that no living slot can meet is denied, not kept, and so is one that is not patient
//!   while all slots that could meet it rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};

use runtime::{
    actor::{Actor, ActorId, Down},
    address::Recipient,
    child::ChildRef,
    clock::Moment,
    context::Cx,
};

use crate::{
    assign::{Card, Need, SlotId, Strategy},
    limits::DEMANDS_MAX,
};

use entry::Entry;
pub use entry::Health;
pub(crate) use known::{Enlisted, Known, KnownSlot};

mod denying;
mod entry;
mod known;

/// Leases of an incarnation are numbered from its own multiple of this, so that none is used twice.
const LEASES_OF_INCARNATION: u64 = 1 << 40;

/// A reserved place at a slot; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

/// One reserved place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which lease.
    pub id: LeaseId,
    /// At which slot.
    pub slot: SlotId,
}

/// Names a demand among those of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DemandId(pub u64);

/// A wish for places.
#[derive(Clone, Debug)]
pub struct Demand {
    /// How the owner calls it; the answer names it.
    pub id: DemandId,
    /// What the slots must be able to do.
    pub need: Need,
    /// How one is chosen.
    pub strategy: Strategy,
    /// How many places, at least 1.
    pub count: u32,
    /// Slots that are taken only where no other is left alive.
    pub avoid: Vec<SlotId>,
    /// Whether it takes only what nobody else wants.
    pub spare: bool,
    /// Whether it waits for slots that rest; otherwise it is denied while all that could meet it do.
    pub patient: bool,
    /// Whose demand it is: what an ended owner asked for and has is taken back.
    pub owner: ActorId,
}

/// The answer to a demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Places; more may follow until the demanded number is reached.
    Leases {
        /// Which demand.
        demand: DemandId,
        /// The places.
        leases: Vec<Lease>,
        /// Whether nobody else waits: a place may then be used again and again before it is given back.
        alone: bool,
    },
    /// What several demands can have at once.
    Several(Vec<Grant>),
    /// Somebody else waits now: places are to be given back as they become free.
    Share,
    /// The roster has begun this incarnation and knows nothing of the owner: it is to be told by a [`Msg::Claim`] which leases
    /// there are, and then again what is wanted.
    Anew(u32),
    /// No living slot can meet the demand, or all that could rest and it is not patient.
    Denied {
        /// Which demand.
        demand: DemandId,
        /// What was asked for, and who is there.
        why: String,
        /// Until when all of them rest; none where there are none.
        until: Option<Moment>,
    },
}

/// What the roster is told.
#[derive(Debug)]
pub enum Msg {
    /// A slot joins; its end is watched. The recipient cancels the work under a lease whose owner has ended.
    Join(SlotId, Card, ChildRef, Recipient<LeaseId>),
    /// A slot has ended.
    Left(SlotId, Down),
    /// Somebody wants places, all demands of one owner; what it can have of them now comes as one grant.
    Demands(Vec<Demand>),
    /// What an owner has, as the roster's incarnation of this number has asked; its demands follow.
    Claim(u32, ActorId, Vec<Lease>),
    /// Places of an owner are free again.
    Release(ActorId, Vec<Lease>),
    /// The owner wants no more for this demand.
    Withdraw(ActorId, DemandId),
    /// The owner wants nothing any more.
    Forget(ActorId),
    /// The owner has ended; comes behind all that it has said.
    OwnerEnded(ActorId),
    /// A slot's circuit breaker has opened or closed.
    Health(SlotId, Health),
    /// A slot that rests until this moment has rested.
    Rested(SlotId, Moment),
}

/// The roster's state.
#[derive(Debug, Default)]
pub struct Roster {
    slots: BTreeMap<SlotId, Entry>,
    /// The slots of each agent, by its number.
    instances: BTreeMap<u32, Vec<SlotId>>,
    demands: VecDeque<Demand>,
    spare: VecDeque<Demand>,
    owners: BTreeMap<ActorId, Owner>,
    known: Known,
    /// Owners that have not told yet what they have.
    unheard: BTreeSet<ActorId>,
    turns: u64,
    leases: u64,
}

/// Whose demands there are or were.
#[derive(Debug)]
struct Owner {
    to: Recipient<Grant>,
    /// The places that it has, to be taken back when it ends.
    leased: BTreeMap<LeaseId, SlotId>,
}

impl Actor for Roster {
    type Msg = Msg;

    fn start(&mut self, cx: &mut Cx<Self>) {
        let before = cx.incarnation().saturating_sub(1);
        if before == 0 {
            return;
        }
        self.leases = u64::from(before) * LEASES_OF_INCARNATION;
        for (id, KnownSlot { card, child, cancel, gate }) in self.known.slots() {
            self.join((id, card), &child, cancel, cx);
            let health = gate.health(cx.now());
            self.take_health(id, health, cx);
        }
        for (owner, to) in self.known.owners() {
            self.unheard.insert(owner);
            cx.send(&to, Grant::Anew(cx.incarnation()));
        }
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        for owner in self.known.take_untold() {
            self.take_back(owner, cx);
        }
        let asks = msg.asks();
        match msg {
            Msg::Join(id, card, slot, cancel) => self.join((id, card), &slot, cancel, cx),
            Msg::Left(id, _) => {
                self.known.leave(id);
                self.leave(id);
                self.deny_unmeetable(cx);
            }
            Msg::Claim(incarnation, owner, held) => {
                if incarnation == cx.incarnation() && self.unheard.remove(&owner) {
                    self.take_claim(owner, &held);
                }
            }
            Msg::Demands(demands) => self.take_demands(demands, cx),
            Msg::Release(owner, leases) => self.release(owner, &leases),
            Msg::Withdraw(owner, id) => {
                self.keep(|demand| demand.owner != owner || demand.id != id);
            }
            Msg::Forget(owner) => self.keep(|demand| demand.owner != owner),
            Msg::OwnerEnded(owner) => self.take_back(owner, cx),
            Msg::Health(id, health) => self.take_health(id, health, cx),
            Msg::Rested(id, moment) => self.rested(id, moment),
        }
        self.serve(cx);
        if let Some(owner) = asks {
            self.ask_to_share(owner, cx);
        }
    }
}

impl Msg {
    /// Who wants places.
    fn asks(&self) -> Option<ActorId> {
        if let Self::Demands(demands) = self {
            demands.first().map(|demand| demand.owner)
        } else {
            None
        }
    }
}

impl Roster {
    /// A roster that begins with whom it knows.
    pub(crate) fn knowing(known: Known) -> Self {
        Self { known, ..Self::default() }
    }

    fn join(
        &mut self,
        (id, card): (SlotId, Card),
        slot: &ChildRef,
        cancel: Recipient<LeaseId>,
        cx: &mut Cx<Self>,
    ) {
        if !self.slots.contains_key(&id) {
            cx.watch(slot, move |down| Msg::Left(id, down));
            let (last_turn, health) = (self.turns, Health::Well);
            self.instances.entry(card.agent.number).or_default().push(id);
            self.slots.insert(id, Entry { card, cancel, leased: 0, last_turn, health });
        }
    }

    fn leave(&mut self, id: SlotId) {
        let Some(left) = self.slots.remove(&id) else { return };
        if let btree_map::Entry::Occupied(mut own) = self.instances.entry(left.card.agent.number) {
            own.get_mut().retain(|other| *other != id);
            if own.get().is_empty() {
                own.remove();
            }
        }
    }

    /// Takes down what an owner has from the incarnation before.
    fn take_claim(&mut self, owner: ActorId, held: &[Lease]) {
        let Some(owner) = self.owner(owner) else { return };
        owner.leased = held.iter().map(|lease| (lease.id, lease.slot)).collect();
        for lease in held {
            if let Some(entry) = self.slots.get_mut(&lease.slot) {
                entry.leased += 1;
            }
        }
    }

    /// Takes the demands of one owner.
    fn take_demands(&mut self, demands: Vec<Demand>, cx: &mut Cx<Self>) {
        let Some(owner) = demands.first().map(|demand| demand.owner) else { return };
        if self.unheard.contains(&owner) {
            // They were meant for the incarnation before, and are told again.
            return;
        }
        // What comes late of an owner that has ended is void.
        if self.owner(owner).is_some() {
            for demand in demands {
                self.take_demand(demand, cx);
            }
        }
    }

    /// An owner that is known to live.
    fn owner(&mut self, id: ActorId) -> Option<&mut Owner> {
        match self.owners.entry(id) {
            btree_map::Entry::Occupied(known) => Some(known.into_mut()),
            btree_map::Entry::Vacant(new) => {
                let to = self.known.recipient(id)?;
                Some(new.insert(Owner { to, leased: BTreeMap::new() }))
            }
        }
    }

    fn tell(&self, owner: ActorId, grant: Grant, cx: &mut Cx<Self>) {
        if let Some(owner) = self.owners.get(&owner) {
            cx.send(&owner.to, grant);
        }
    }

    fn take_demand(&mut self, demand: Demand, cx: &mut Cx<Self>) {
        if self.demands.len() + self.spare.len() >= DEMANDS_MAX {
            let why = format!("{DEMANDS_MAX} demands wait already; try again later");
            self.tell(demand.owner, Grant::Denied { demand: demand.id, why, until: None }, cx);
        } else if self.is_kept(&demand) {
            let queue = if demand.spare { &mut self.spare } else { &mut self.demands };
            queue.push_back(demand);
        } else {
            self.deny(&demand, cx);
        }
    }

    /// Tells the others to give places back as they become free, if `owner` still waits for some.
    fn ask_to_share(&self, owner: ActorId, cx: &mut Cx<Self>) {
        if self.demands.iter().any(|demand| demand.owner == owner) {
            for (_, other) in self.owners.iter().filter(|(other, _)| **other != owner) {
                cx.send(&other.to, Grant::Share);
            }
        }
    }

    fn take_health(&mut self, id: SlotId, health: Health, cx: &mut Cx<Self>) {
        let Some(entry) = self.slots.get_mut(&id) else { return };
        entry.health = health;
        if let Health::Resting { until, .. } = health {
            let rest = cx.now().until(until);
            cx.after(rest, Msg::Rested(id, until));
            self.deny_unmeetable(cx);
        }
    }

    /// Lets a slot be probed, unless it rests anew by now.
    fn rested(&mut self, id: SlotId, moment: Moment) {
        if let Some(entry) = self.slots.get_mut(&id)
            && let Health::Resting { until, probes } = entry.health
            && until == moment
        {
            entry.health = Health::Probed(probes);
        }
    }

    fn keep(&mut self, which: impl Fn(&Demand) -> bool) {
        self.demands.retain(&which);
        self.spare.retain(&which);
    }

    /// Takes places back, but for those that were taken back before.
    fn release(&mut self, owner: ActorId, leases: &[Lease]) {
        for lease in leases {
            let owner = self.owners.get_mut(&owner);
            if let Some(slot) = owner.and_then(|owner| owner.leased.remove(&lease.id)) {
                self.free(slot);
            }
        }
    }

    fn free(&mut self, slot: SlotId) {
        if let Some(entry) = self.slots.get_mut(&slot) {
            entry.leased = entry.leased.saturating_sub(1);
        }
    }

    /// Takes back what an ended owner had, cancels what runs for it and forgets what it wanted.
    fn take_back(&mut self, owner: ActorId, cx: &mut Cx<Self>) {
        let had = self.owners.remove(&owner).map(|owner| owner.leased);
        self.unheard.remove(&owner);
        self.keep(|demand| demand.owner != owner);
        for (lease, slot) in had.into_iter().flatten() {
            if let Some(entry) = self.slots.get(&slot) {
                cx.send(&entry.cancel, lease);
            }
            self.free(slot);
        }
    }

    /// Serves ordinary demands, then with what is left the spare ones.
    fn serve(&mut self, cx: &mut Cx<Self>) {
        let mut demands = std::mem::take(&mut self.demands);
        self.serve_queue(&mut demands, cx);
        self.demands = demands;
        let mut spare = std::mem::take(&mut self.spare);
        self.serve_queue(&mut spare, cx);
        self.spare = spare;
    }

    /// Goes round the demands for as long as anyone gets a place; what one owner gets one after the other is one grant.
    fn serve_queue(&mut self, demands: &mut VecDeque<Demand>, cx: &mut Cx<Self>) {
        let mut granted: Vec<(ActorId, Vec<Grant>)> = Vec::new();
        self.reserve_round(demands, |demand, grant| match granted.last_mut() {
            Some((owner, grants)) if *owner == demand.owner => grants.push(grant),
            _ => granted.push((demand.owner, vec![grant])),
        });
        for (owner, mut grants) in granted {
            let only = if grants.len() == 1 { grants.pop() } else { None };
            self.tell(owner, only.unwrap_or(Grant::Several(grants)), cx);
        }
    }

    fn reserve_round(
        &mut self,
        demands: &mut VecDeque<Demand>,
        mut grant: impl FnMut(&Demand, Grant),
    ) {
        let mut without = 0;
        while without < demands.len() {
            let Some(mut demand) = demands.pop_front() else { return };
            let others = demands.iter().chain(&self.demands);
            let alone = others.map(|other| other.owner).all(|id| id == demand.owner);
            let leases = self.reserve(&mut demand, demands.is_empty());
            if leases.is_empty() {
                if !self.slots.values().any(Entry::is_free) {
                    return demands.push_front(demand);
                }
                without += 1;
            } else {
                without = 0;
                grant(&demand, Grant::Leases { demand: demand.id, leases, alone });
            }
            if demand.count > 0 {
                demands.push_back(demand);
            }
        }
    }

    /// Picks and reserves what `demand` can have now: all that is free when it is alone, one place at a time among others.
    fn reserve(&mut self, demand: &mut Demand, alone: bool) -> Vec<Lease> {
        let mut leases = Vec::new();
        while demand.count > 0 && (alone || leases.is_empty()) {
            let Some(slot) = self.pick(demand) else { break };
            demand.count -= 1;
            leases.push(slot);
        }
        leases
    }

    fn pick(&mut self, demand: &Demand) -> Option<Lease> {
        let avoid = self.avoided(demand);
        let free = |(id, entry): &(SlotId, &Entry)| entry.is_free() && !avoid.contains(id);
        let able = self.able(&demand.need).filter(free);
        let candidates: Vec<_> = able.map(|(id, entry)| entry.candidate(id)).collect();
        let slot = demand.strategy.pick(&demand.need, &candidates)?;
        let entry = self.slots.get_mut(&slot)?;
        self.turns += 1;
        self.leases += 1;
        entry.last_turn = self.turns;
        entry.leased += 1;
        let lease = Lease { id: LeaseId(self.leases), slot };
        if let Some(owner) = self.owners.get_mut(&demand.owner) {
            owner.leased.insert(lease.id, slot);
        }
        Some(lease)
    }

    /// The slots that can meet a need.
    fn able<'a>(&'a self, need: &'a Need) -> impl Iterator<Item = (SlotId, &'a Entry)> {
        let any = need.agents.is_empty().then(|| self.slots.keys());
        let named = need.agents.iter().filter_map(|agent| self.instances.get(&agent.number));
        let ids = any.into_iter().flatten().chain(named.flatten());
        let entries = ids.filter_map(|id| Some((*id, self.slots.get(id)?)));
        entries.filter(|(_, entry)| need.is_met_by(&entry.card))
    }

    /// The slots to avoid, unless they are all that is left.
    fn avoided<'a>(&self, demand: &'a Demand) -> &'a [SlotId] {
        let some =
            |demand: &Demand| self.able(&demand.need).any(|(id, _)| !demand.avoid.contains(&id));
        if demand.avoid.is_empty() || some(demand) { &demand.avoid } else { &[] }
    }
}

#[cfg(test)]
mod tests;
