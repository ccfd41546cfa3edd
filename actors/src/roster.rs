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

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use runtime::{
    actor::{Actor, ActorId, Down},
    address::Recipient,
    child::ChildRef,
    clock::Moment,
    context::Cx,
};

use crate::{
    assign::{Candidate, Card, Need, SlotId, Strategy},
    limits::DEMANDS_MAX,
};

pub(crate) use known::{Enlisted, Known, KnownSlot};

mod denying;
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
    /// Where the grants go; it also names the owner.
    pub to: Recipient<Grant>,
    /// Whose demand it is: what an ended owner asked for and has is taken back.
    pub owner: ChildRef,
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
    /// Somebody wants places.
    Demand(Demand),
    /// Somebody wants several kinds of places at once; what it can have of them comes as one grant.
    Demands(Vec<Demand>),
    /// What an owner has, as the roster's incarnation of this number has asked; its demands follow.
    Claim(u32, ChildRef, Recipient<Grant>, Vec<Lease>),
    /// Places are free again.
    Release(Vec<Lease>),
    /// The owner wants no more for this demand.
    Withdraw(ActorId, DemandId),
    /// The owner wants nothing any more.
    Forget(ActorId),
    /// The owner has ended.
    OwnerEnded(Down),
    /// A slot's circuit breaker has opened or closed.
    Health(SlotId, Health),
    /// A slot that rests until this moment has rested.
    Rested(SlotId, Moment),
}

/// Whether a slot takes work, as its circuit breaker says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// As much as it can.
    #[default]
    Well,
    /// Nothing until a moment, then a few probes until it is well.
    Resting {
        /// The moment.
        until: Moment,
        /// How many at a time then.
        probes: u32,
    },
    /// So many at a time.
    Probed(u32),
}

/// The roster's state.
#[derive(Debug, Default)]
pub struct Roster {
    slots: BTreeMap<SlotId, Entry>,
    demands: VecDeque<Demand>,
    spare: VecDeque<Demand>,
    /// Who has what, to be taken back when they end.
    leased: BTreeMap<LeaseId, (SlotId, ActorId)>,
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
    /// The places that it has.
    leased: u32,
}

#[derive(Debug)]
struct Entry {
    card: Card,
    cancel: Recipient<LeaseId>,
    leased: u32,
    last_turn: u64,
    health: Health,
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
            self.unheard.insert(owner.id());
            cx.watch(&owner, Msg::OwnerEnded);
            cx.send(&to, Grant::Anew(cx.incarnation()));
        }
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Join(id, card, slot, cancel) => self.join((id, card), &slot, cancel, cx),
            Msg::Left(id, _) => {
                self.known.leave(id);
                self.slots.remove(&id);
                self.deny_unmeetable(cx);
            }
            Msg::Claim(incarnation, owner, to, held) => {
                if incarnation == cx.incarnation() && self.unheard.remove(&owner.id()) {
                    self.take_claim(owner.id(), to, held);
                }
            }
            Msg::Demand(demand) => return self.take_demands(vec![demand], cx),
            Msg::Demands(demands) => return self.take_demands(demands, cx),
            Msg::Release(leases) => self.release(&leases),
            Msg::Withdraw(owner, id) => {
                self.keep(|demand| demand.owner.id() != owner || demand.id != id);
            }
            Msg::Forget(owner) => self.keep(|demand| demand.owner.id() != owner),
            Msg::OwnerEnded(down) => self.take_back(down.actor, cx),
            Msg::Health(id, health) => self.take_health(id, health, cx),
            Msg::Rested(id, moment) => self.rested(id, moment),
        }
        self.serve(cx);
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
            self.slots.insert(id, Entry { card, cancel, leased: 0, last_turn, health });
        }
    }

    /// Takes down what an owner has from the incarnation before.
    fn take_claim(&mut self, owner: ActorId, to: Recipient<Grant>, held: Vec<Lease>) {
        let leased = u32::try_from(held.len()).unwrap_or(u32::MAX);
        self.owners.insert(owner, Owner { to, leased });
        for lease in held {
            self.leased.insert(lease.id, (lease.slot, owner));
            if let Some(entry) = self.slots.get_mut(&lease.slot) {
                entry.leased += 1;
            }
        }
    }

    /// Takes the demands of one owner.
    fn take_demands(&mut self, demands: Vec<Demand>, cx: &mut Cx<Self>) {
        let Some(owner) = demands.first().map(|demand| demand.owner.id()) else { return };
        if self.unheard.contains(&owner) {
            // They were meant for the incarnation before, and are told again.
            return;
        }
        for demand in demands {
            self.take_demand(demand, cx);
        }
        self.serve(cx);
        self.ask_to_share(owner, cx);
    }

    fn take_demand(&mut self, demand: Demand, cx: &mut Cx<Self>) {
        let owner = self.owners.entry(demand.owner.id()).or_insert_with(|| {
            cx.watch(&demand.owner, Msg::OwnerEnded);
            Owner { to: demand.to.clone(), leased: 0 }
        });
        owner.to = demand.to.clone();
        if self.demands.len() + self.spare.len() >= DEMANDS_MAX {
            let why = format!("{DEMANDS_MAX} demands wait already; try again later");
            cx.send(&demand.to, Grant::Denied { demand: demand.id, why, until: None });
        } else if self.is_kept(&demand) {
            let queue = if demand.spare { &mut self.spare } else { &mut self.demands };
            queue.push_back(demand);
        } else {
            self.deny(&demand, cx);
        }
    }

    /// Tells the others to give places back as they become free, if `owner` still waits for some.
    fn ask_to_share(&self, owner: ActorId, cx: &mut Cx<Self>) {
        if self.demands.iter().any(|demand| demand.owner.id() == owner) {
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

    /// Takes places back, but for those that were taken back when their owner ended: its last words may come after its end.
    fn release(&mut self, leases: &[Lease]) {
        for lease in leases {
            if let Some((slot, owner)) = self.leased.remove(&lease.id) {
                self.free(slot);
                if let Some(owner) = self.owners.get_mut(&owner) {
                    owner.leased = owner.leased.saturating_sub(1);
                }
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
        let had = self.owners.remove(&owner).map_or(0, |owner| owner.leased);
        self.unheard.remove(&owner);
        self.keep(|demand| demand.owner.id() != owner);
        if had == 0 {
            return;
        }
        let (left, kept) =
            std::mem::take(&mut self.leased).into_iter().partition(|(_, (_, of))| *of == owner);
        self.leased = kept;
        let left: BTreeMap<LeaseId, (SlotId, ActorId)> = left;
        for (lease, (slot, _)) in left {
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
        let mut granted: Vec<(ActorId, Recipient<Grant>, Vec<Grant>)> = Vec::new();
        self.reserve_round(demands, |demand, grant| match granted.last_mut() {
            Some((owner, _, grants)) if *owner == demand.owner.id() => grants.push(grant),
            _ => granted.push((demand.owner.id(), demand.to.clone(), vec![grant])),
        });
        for (_, to, mut grants) in granted {
            let only = if grants.len() == 1 { grants.pop() } else { None };
            cx.send(&to, only.unwrap_or(Grant::Several(grants)));
        }
    }

    fn reserve_round(
        &mut self,
        demands: &mut VecDeque<Demand>,
        mut grant: impl FnMut(&Demand, Grant),
    ) {
        let mut without = 0;
        while without < demands.len() && self.slots.values().any(Entry::is_free) {
            let Some(mut demand) = demands.pop_front() else { return };
            let others = demands.iter().chain(&self.demands);
            let alone = others.map(|other| other.owner.id()).all(|id| id == demand.owner.id());
            let leases = self.reserve(&mut demand, demands.is_empty());
            if leases.is_empty() {
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
        let candidates: Vec<_> = self
            .slots
            .iter()
            .filter(|(id, entry)| {
                entry.is_free() && demand.need.is_met_by(&entry.card) && !avoid.contains(id)
            })
            .map(|(id, entry)| entry.candidate(*id))
            .collect();
        let slot = demand.strategy.pick(&demand.need, &candidates)?;
        let entry = self.slots.get_mut(&slot)?;
        self.turns += 1;
        self.leases += 1;
        entry.last_turn = self.turns;
        entry.leased += 1;
        let lease = Lease { id: LeaseId(self.leases), slot };
        self.leased.insert(lease.id, (slot, demand.owner.id()));
        if let Some(owner) = self.owners.get_mut(&demand.owner.id()) {
            owner.leased += 1;
        }
        Some(lease)
    }

    /// The slots to avoid, unless they are all that is left.
    fn avoided<'a>(&self, demand: &'a Demand) -> &'a [SlotId] {
        let mut others = self.slots.iter().filter(|(id, _)| !demand.avoid.contains(id));
        let some = others.any(|(_, entry)| demand.need.is_met_by(&entry.card));
        if demand.avoid.is_empty() || some { &demand.avoid } else { &[] }
    }
}

impl Entry {
    fn is_free(&self) -> bool {
        let places = self.card.concurrency.max(1);
        match self.health {
            Health::Well => self.leased < places,
            Health::Resting { .. } => false,
            Health::Probed(probes) => self.leased < probes.min(places),
        }
    }

    fn candidate(&self, slot: SlotId) -> Candidate<'_> {
        Candidate { slot, card: &self.card, leased: self.leased, last_turn: self.last_turn }
    }
}

#[cfg(test)]
mod tests;
