//! The roster on stage, against its invariants.

use std::sync::Arc;

use proptest::prelude::*;
use runtime::{address::Addr, probe::Probe};

use super::*;
use crate::assign::{AgentKey, Strategy};

/// A slot as the roster sees it: where its cancels go.
type Slot = Addr<LeaseId>;

/// An owner of demands: where its grants go.
#[derive(Clone)]
struct Owner(Addr<Grant>, #[expect(dead_code, reason = "it is held")] Arc<Enlisted>);

fn agent(number: u32) -> AgentKey {
    AgentKey { number, name: format!("agent {number}").as_str().into() }
}

fn join(roster: &mut Probe<Roster>, id: u32, number: u32, concurrency: u32) -> Slot {
    let slot = Addr::mock();
    let card = Card { agent: agent(number), concurrency, ..Card::default() };
    let cancel = slot.recipient(|lease| lease);
    roster.tell(Msg::Join(SlotId(id), card, slot.child(), cancel));
    slot
}

impl Owner {
    fn new(known: &Known) -> Self {
        let to: Addr<Grant> = Addr::mock();
        let place = known.enlist(to.id(), to.recipient(|grant| grant), &Addr::mock());
        Self(to, Arc::new(place))
    }

    fn id(&self) -> ActorId {
        self.0.id()
    }

    fn wish(&self, id: u64, number: u32, count: u32) -> Demand {
        Demand {
            id: DemandId(id),
            need: Need { agents: vec![agent(number)], capabilities: Vec::new() },
            strategy: Strategy::RoundRobin,
            count,
            avoid: Vec::new(),
            spare: false,
            patient: true,
            owner: self.id(),
        }
    }

    fn leases(&self) -> Vec<Lease> {
        let grants = self.0.take().into_iter().flat_map(|grant| {
            if let Grant::Several(grants) = grant { grants } else { vec![grant] }
        });
        let leases = grants.filter_map(|grant| match grant {
            Grant::Leases { leases, .. } => Some(leases),
            Grant::Several(_) | Grant::Share | Grant::Anew(_) | Grant::Denied { .. } => None,
        });
        leases.flatten().collect()
    }

    fn ended(&self) -> Msg {
        Msg::OwnerEnded(self.id())
    }
}

#[test]
fn what_one_owner_wants_at_once_comes_as_one_grant_and_what_nobody_can_do_is_denied() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    let _slots = [join(&mut roster, 0, 1, 1), join(&mut roster, 1, 2, 1)];
    let owner = Owner::new(&known);
    let wishes = vec![owner.wish(1, 1, 1), owner.wish(2, 2, 1), owner.wish(3, 3, 1)];
    roster.tell(Msg::Demands(wishes));
    let grants = owner.0.take();
    let [Grant::Denied { demand: DemandId(3), .. }, Grant::Several(places)] = grants.as_slice()
    else {
        panic!("{grants:?}")
    };
    let demands = places.iter().map(|grant| {
        let Grant::Leases { demand, leases, .. } = grant else { panic!("{grant:?}") };
        (demand.0, leases.len())
    });
    assert_eq!(demands.collect::<Vec<_>>(), [(1, 1), (2, 1)]);
}

#[test]
fn no_slot_has_more_leases_than_its_concurrency_and_a_free_place_goes_on() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 2);
    join(&mut roster, 1, 1, 1);
    let owner = Owner::new(&known);
    roster.tell(Msg::Demands(vec![owner.wish(0, 1, 5)]));
    let first = owner.leases();
    assert_eq!(first.len(), 3);
    roster.tell(Msg::Release(owner.id(), first[..1].to_vec()));
    let next = owner.leases();
    assert_eq!((next.len(), next[0].slot), (1, first[0].slot));
    assert!(!first.contains(&next[0]), "a lease is never used twice");
}

#[test]
fn owners_take_turns_and_are_told_to_share() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 4);
    let (first, second) = (Owner::new(&known), Owner::new(&known));
    roster.tell(Msg::Demands(vec![first.wish(0, 1, 100)]));
    let grants = first.0.take();
    let [Grant::Leases { leases, alone: true, .. }] = grants.as_slice() else {
        panic!("{grants:?}")
    };
    roster.tell(Msg::Demands(vec![second.wish(0, 1, 100)]));
    assert_eq!(first.0.take(), [Grant::Share]);
    assert_eq!(second.0.take(), []);
    roster.tell(Msg::Release(first.id(), leases.clone()));
    assert_eq!((first.leases().len(), second.leases().len()), (2, 2));
}

#[test]
fn spare_demands_get_what_nobody_else_wants() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 1);
    let (ordinary, spare) = (Owner::new(&known), Owner::new(&known));
    roster.tell(Msg::Demands(vec![ordinary.wish(0, 1, 1)]));
    let held = ordinary.leases();
    roster.tell(Msg::Demands(vec![Demand { spare: true, ..spare.wish(0, 1, 1) }]));
    roster.tell(Msg::Demands(vec![ordinary.wish(1, 1, 1)]));
    roster.tell(Msg::Release(ordinary.id(), held));
    let held = ordinary.leases();
    assert_eq!((held.len(), spare.leases().len()), (1, 0));
    roster.tell(Msg::Release(ordinary.id(), held));
    assert_eq!(spare.leases().len(), 1);
}

#[test]
fn a_spare_place_is_not_kept_while_an_ordinary_demand_waits() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 1);
    join(&mut roster, 1, 2, 1);
    let (waiting, spare) = (Owner::new(&known), Owner::new(&known));
    roster.tell(Msg::Demands(vec![waiting.wish(0, 2, 2)]));
    assert_eq!(waiting.leases().len(), 1);
    roster.tell(Msg::Demands(vec![Demand { spare: true, ..spare.wish(0, 1, 1) }]));
    let grants = spare.0.take();
    assert!(matches!(grants.as_slice(), [Grant::Leases { alone: false, .. }]), "{grants:?}");
}

#[test]
fn a_demand_that_is_not_patient_is_denied_while_all_that_could_meet_it_rest() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    let _slots = [join(&mut roster, 0, 1, 1), join(&mut roster, 1, 1, 1)];
    let (busy, patient, hasty) = (Owner::new(&known), Owner::new(&known), Owner::new(&known));
    roster.tell(Msg::Demands(vec![busy.wish(0, 1, 2)]));
    roster.tell(Msg::Demands(vec![patient.wish(0, 1, 1)]));
    roster.tell(Msg::Demands(vec![Demand { patient: false, ..hasty.wish(1, 1, 1) }]));
    let until = Moment::START + std::time::Duration::from_secs(9);
    let rests = Health::Resting { until, probes: 1 };
    roster.tell(Msg::Health(SlotId(0), rests));
    let denied = |owner: &Owner| {
        owner.0.take().into_iter().any(|grant| match grant {
            Grant::Denied { until: Some(moment), why, .. } => {
                assert!(why.contains("breaker of every instance of `agent 1` is open"), "{why}");
                moment == until
            }
            Grant::Leases { .. }
            | Grant::Several(_)
            | Grant::Share
            | Grant::Anew(_)
            | Grant::Denied { .. } => false,
        })
    };
    assert!(!denied(&hasty), "one does not rest");
    roster.tell(Msg::Health(SlotId(1), rests));
    assert_eq!((denied(&hasty), denied(&patient)), (true, false));
    roster.tell(Msg::Demands(vec![Demand { patient: false, ..hasty.wish(2, 1, 1) }]));
    assert!(denied(&hasty), "at once, as long as they rest");
    roster.tell(Msg::Health(SlotId(1), Health::Probed(1)));
    roster.tell(Msg::Demands(vec![Demand { patient: false, ..hasty.wish(3, 1, 1) }]));
    assert!(!denied(&hasty), "a probe may mend it");
}

#[test]
fn avoided_slots_are_taken_only_when_no_other_lives() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 1);
    let other = join(&mut roster, 1, 1, 1);
    let owner = Owner::new(&known);
    let wish = Demand { avoid: vec![SlotId(0)], ..owner.wish(0, 1, 2) };
    roster.tell(Msg::Demands(vec![wish]));
    let leases = owner.leases();
    assert_eq!(leases.iter().map(|lease| lease.slot).collect::<Vec<_>>(), [SlotId(1)]);
    let reason = runtime::actor::ExitReason::Shutdown;
    roster.tell(Msg::Left(SlotId(1), Down { actor: other.id(), reason }));
    assert_eq!(owner.leases().iter().map(|lease| lease.slot).collect::<Vec<_>>(), [SlotId(0)]);
}

#[test]
fn what_no_living_slot_can_do_is_denied_with_its_name() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    let owner = Owner::new(&known);
    let slot = join(&mut roster, 0, 1, 1);
    roster.tell(Msg::Demands(vec![owner.wish(7, 2, 1)]));
    let denied = owner.0.take();
    let [Grant::Denied { demand: DemandId(7), why, until: None }] = denied.as_slice() else {
        panic!("{denied:?}")
    };
    assert!(why.contains("`agent 2`"), "{why}");
    roster.tell(Msg::Demands(vec![owner.wish(8, 1, 2)]));
    assert_eq!(owner.leases().len(), 1);
    let reason = runtime::actor::ExitReason::Shutdown;
    roster.tell(Msg::Left(SlotId(0), Down { actor: slot.id(), reason }));
    assert!(matches!(owner.0.take().as_slice(), [Grant::Denied { demand: DemandId(8), .. }]));
}

#[test]
fn agents_of_one_name_are_not_taken_for_each_other() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 1);
    let owner = Owner::new(&known);
    let mut wish = owner.wish(0, 1, 1);
    wish.need.agents[0].number = 9;
    roster.tell(Msg::Demands(vec![wish]));
    assert!(matches!(owner.0.take().as_slice(), [Grant::Denied { .. }]));
}

#[test]
fn an_owners_end_takes_its_places_back_once_and_cancels_what_runs_there() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    let slot = join(&mut roster, 0, 1, 2);
    let (owner, other) = (Owner::new(&known), Owner::new(&known));
    roster.tell(Msg::Demands(vec![owner.wish(0, 1, 1)]));
    let held = owner.leases();
    roster.tell(owner.ended());
    assert_eq!(slot.take(), [held[0].id]);
    roster.tell(Msg::Demands(vec![other.wish(0, 1, 5)]));
    assert_eq!(other.leases().len(), 2);
    // Its last words come after its end: the place is somebody else's by now.
    roster.tell(Msg::Release(owner.id(), held));
    assert_eq!(other.leases(), []);
}

#[test]
fn what_an_owner_that_has_ended_still_wants_is_void() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 1);
    let (late, owner) = (Owner::new(&known), Owner::new(&known));
    let (wish, id) = (late.wish(0, 1, 1), late.id());
    drop(late);
    roster.tell(Msg::OwnerEnded(id));
    roster.tell(Msg::Demands(vec![wish]));
    roster.tell(Msg::Demands(vec![owner.wish(0, 1, 1)]));
    assert_eq!(owner.leases().len(), 1);
}

#[test]
fn an_end_is_heard_of_though_the_mailbox_was_full() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 1);
    let (to, full): (Addr<Grant>, Addr<Msg>) = (Addr::mock(), Addr::mock());
    let place = known.enlist(to.id(), to.recipient(|grant| grant), &full);
    let first = Owner(to, Arc::new(place));
    roster.tell(Msg::Demands(vec![first.wish(0, 1, 1)]));
    assert_eq!(first.leases().len(), 1);
    while full.try_tell(Msg::Forget(first.id())).is_ok() {}
    drop(first);
    let next = Owner::new(&known);
    roster.tell(Msg::Demands(vec![next.wish(0, 1, 1)]));
    assert_eq!(next.leases().len(), 1);
}

#[test]
fn withdrawn_and_forgotten_demands_get_nothing() {
    let known = Known::default();
    let mut roster = Probe::new(Roster::knowing(known.clone()));
    join(&mut roster, 0, 1, 1);
    let (holder, owner) = (Owner::new(&known), Owner::new(&known));
    roster.tell(Msg::Demands(vec![holder.wish(0, 1, 1)]));
    let held = holder.leases();
    for id in 0..3 {
        roster.tell(Msg::Demands(vec![owner.wish(id, 1, 1)]));
    }
    roster.tell(Msg::Withdraw(owner.id(), DemandId(0)));
    roster.tell(Msg::Release(holder.id(), held));
    let grants = owner.0.take();
    let [Grant::Leases { demand: DemandId(1), leases, .. }] = grants.as_slice() else {
        panic!("{grants:?}")
    };
    roster.tell(Msg::Forget(owner.id()));
    roster.tell(Msg::Release(owner.id(), leases.clone()));
    assert_eq!(owner.0.take(), []);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Demands(usize),
    Demand { owner: usize, agent: u32, count: u32, spare: bool },
    Release { owner: usize, at: usize },
    ReleaseAgain { owner: usize },
    Forget(usize),
    End(usize),
    Leave(u32),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::strategy::Strategy as _;
    prop_oneof![
        4 => (0_usize..3, 0_u32..3, 1_u32..5, any::<bool>())
            .prop_map(|(owner, agent, count, spare)| Step::Demand { owner, agent, count, spare }),
        1 => (0_usize..3).prop_map(Step::Demands),
        6 => (0_usize..3, 0_usize..4).prop_map(|(owner, at)| Step::Release { owner, at }),
        1 => (0_usize..3).prop_map(|owner| Step::ReleaseAgain { owner }),
        1 => (0_usize..3).prop_map(Step::Forget),
        1 => (0_usize..3).prop_map(Step::End),
        1 => (0_u32..4).prop_map(Step::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Slots 0 and 1 belong to agent 0, slots 2 and 3 to agent 1, nobody to agent 2.
    #[test]
    fn in_any_order_of_events_no_place_is_given_twice_or_lost(steps in prop::collection::vec(step(), 1..120)) {
        let known = Known::default();
        let mut roster = Probe::new(Roster::knowing(known.clone()));
        let slots: Vec<Slot> = (0..4).map(|id| join(&mut roster, id, id / 2, id + 1)).collect();
        let mut alive = [true; 4];
        let mut owners = [Owner::new(&known), Owner::new(&known), Owner::new(&known)];
        let mut held: [Vec<Lease>; 3] = Default::default();
        let mut returned: [Vec<Lease>; 3] = Default::default();
        let mut seen = std::collections::BTreeSet::new();
        for (step, id) in steps.into_iter().zip(0..) {
            match step {
                Step::Demand { owner, agent, count, spare } => {
                    roster.tell(Msg::Demands(vec![Demand { spare, ..owners[owner].wish(id, agent, count) }]));
                }
                Step::Demands(owner) => {
                    let wishes = (0..3).map(|agent| owners[owner].wish(1_000 + id * 3 + u64::from(agent), agent, 1));
                    roster.tell(Msg::Demands(wishes.collect()));
                }
                Step::Release { owner, at } if at < held[owner].len() => {
                    let lease = held[owner].swap_remove(at);
                    returned[owner].push(lease);
                    roster.tell(Msg::Release(owners[owner].id(), vec![lease]));
                }
                Step::Release { .. } => {}
                Step::ReleaseAgain { owner } => {
                    roster.tell(Msg::Release(owners[owner].id(), returned[owner].clone()));
                }
                Step::Forget(owner) => roster.tell(Msg::Forget(owners[owner].id())),
                Step::End(owner) => {
                    roster.tell(owners[owner].ended());
                    let ended = std::mem::replace(&mut owners[owner], Owner::new(&known));
                    prop_assert_eq!(ended.leases(), []);
                    let lost = std::mem::take(&mut held[owner]);
                    returned[owner].extend(lost);
                }
                Step::Leave(slot) => {
                    let reason = runtime::actor::ExitReason::Shutdown;
                    let down = Down { actor: slots[slot as usize].id(), reason };
                    roster.tell(Msg::Left(SlotId(slot), down));
                    alive[slot as usize] = false;
                }
            }
            for (owner, held) in owners.iter().zip(&mut held) {
                for lease in owner.leases() {
                    prop_assert!(seen.insert(lease.id), "a lease is new");
                    held.push(lease);
                }
            }
            for slot in (0..4_u32).filter(|slot| alive[*slot as usize]) {
                let taken = held.iter().flatten().filter(|lease| lease.slot == SlotId(slot)).count();
                prop_assert!(taken <= slot as usize + 1, "slot {} has {} leases", slot, taken);
                prop_assert_eq!(roster.slots[&SlotId(slot)].leased as usize, taken);
            }
            let waits = |agent: u32| {
                let mut waiting = roster.demands.iter().chain(&roster.spare);
                waiting.any(|demand| demand.need.agents[0].number == agent)
            };
            for slot in (0..4_u32).filter(|slot| alive[*slot as usize]) {
                let free = roster.slots[&SlotId(slot)].is_free();
                prop_assert!(!(free && waits(slot / 2)), "slot {} is free while somebody waits", slot);
            }
            prop_assert!(!waits(2), "what nobody can do is denied");
        }
    }
}
