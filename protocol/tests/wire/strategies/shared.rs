//! Arbitrary state, conversations and votes.

use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use synod_protocol::event::Target;
use synod_protocol::payload::coordination::{Coordination, Speech, Terms};
use synod_protocol::payload::state::{Change, Operation, StateUpdate, SyncStep};
use synod_protocol::payload::vote::{
    Ballot, BallotForm, Choice, ConsensusVote, Decision, Evidence, Proposal, VoteOutcome,
};
use synod_protocol::{ActorId, AgentId, Bytes, Event, EventId, ProposalId, RunId};

use super::{distinct_names, id, labels, name, names, share, text, ticks, value};

pub(super) fn update() -> impl Strategy<Value = StateUpdate> {
    let operation = prop_oneof![
        any::<u64>().prop_map(|by| Operation::Increment { by }),
        any::<u64>().prop_map(|by| Operation::Decrement { by }),
        value().prop_map(|element| Operation::Add { element }),
        value().prop_map(|element| Operation::Remove { element }),
        value().prop_map(|value| Operation::Set { value }),
        Just(Operation::Unset),
    ];
    let change = (name(), operation, ticks()).prop_map(|(key, operation, clock)| Change {
        key,
        operation,
        clock,
    });
    (name(), vec(change, 1..4), any::<Option<u64>>()).prop_map(
        |(document, changes, expected_version)| StateUpdate { document, changes, expected_version },
    )
}

pub(super) fn step() -> impl Strategy<Value = SyncStep> {
    let bytes = || vec(any::<u8>(), 0..40).prop_map(Bytes);
    prop_oneof![
        (names(), any::<[bool; 2]>()).prop_map(|(keys, [follow, own])| SyncStep::Read {
            keys,
            follow,
            own
        }),
        Just(SyncStep::Unfollow),
        (value(), any::<u64>(), ticks()).prop_map(|(value, version, clock)| SyncStep::Snapshot {
            value,
            version,
            clock
        }),
        (any::<u64>(), ticks()).prop_map(|(version, clock)| SyncStep::Applied { version, clock }),
        (any::<u64>(), value(), value(), any::<Option<u64>>()).prop_map(
            |(version, current, refused, ticket)| {
                SyncStep::Conflict { version, current, refused, ticket }
            }
        ),
        (ticks(), any::<u64>()).prop_map(|(clock, hash)| SyncStep::Digest { clock, hash }),
        ticks().prop_map(|clock| SyncStep::Pull { clock }),
        (ticks(), ticks(), bytes()).prop_map(|(from, to, delta)| SyncStep::Push {
            from,
            to,
            delta
        }),
        (ticks(), bytes()).prop_map(|(clock, state)| SyncStep::Full { clock, state }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let stamps = (any::<Option<i64>>(), of(id()));
    let target = prop_oneof![
        Just(Target::Run),
        id().prop_map(|id| Target::Actor(ActorId::from_u128(id))),
        name().prop_map(Target::Name),
    ];
    (id(), name(), name(), of(target), of(id()), value(), stamps, ticks(), labels()).prop_map(
        |(id, kind, source, target, run, data, (published_at, coordinator), clock, metadata)| {
            Event {
                target: target.filter(|target| run.is_some() || *target != Target::Run),
                run: run.map(RunId::from_u128),
                data,
                published_at,
                coordinator_id: coordinator.map(ActorId::from_u128),
                clock,
                metadata,
                ..Event::new(EventId::from_u128(id), kind, source)
            }
        },
    )
}

pub(super) fn coordination() -> impl Strategy<Value = Coordination> {
    let speech = || (name(), value()).prop_map(|(topic, content)| Speech { topic, content });
    let terms = (name(), btree_set(id(), 0..4), any::<Option<u64>>(), any::<Option<u64>>())
        .prop_map(|(topic, members, messages_max, lasts_ms)| Terms {
            topic,
            members: members.into_iter().map(ActorId::from_u128).collect(),
            messages_max,
            lasts_ms,
        });
    prop_oneof![
        speech().prop_map(Coordination::Tell),
        speech().prop_map(Coordination::Ask),
        speech().prop_map(Coordination::Answer),
        speech().prop_map(Coordination::Broadcast),
        terms.prop_map(Coordination::Open),
        Just(Coordination::Join),
        Just(Coordination::Leave),
        text().prop_map(|reason| Coordination::End { reason }),
        event().prop_map(Coordination::Event),
        distinct_names(1).prop_map(|types| Coordination::Subscribe { types }),
        distinct_names(1).prop_map(|types| Coordination::Unsubscribe { types }),
    ]
}

pub(super) fn vote() -> impl Strategy<Value = ConsensusVote> {
    use VoteOutcome::{Consensus, InsufficientParticipation, NoDecision, TieBroken, Vetoed};
    let form = select(vec![BallotForm::One, BallotForm::Set, BallotForm::Ranking]);
    let proposal = (id(), any::<u32>(), text(), distinct_names(1), form, any::<bool>(), value())
        .prop_map(|(id, epoch, question, choices, form, revisable, context)| Proposal {
            id: ProposalId::from_u128(id),
            epoch,
            question,
            choices,
            form,
            revisable,
            context,
        });
    let choice = prop_oneof![
        name().prop_map(Choice::One),
        distinct_names(0).prop_map(Choice::Set),
        distinct_names(0).prop_map(Choice::Ranking),
        Just(Choice::Abstain),
    ];
    let evidence = (text(), of(text()), value()).prop_map(|(title, location, value)| Evidence {
        title,
        location,
        value,
    });
    let ballot =
        (id(), id(), any::<u32>(), any::<u64>(), choice, share(), text(), vec(evidence, 0..3))
            .prop_map(
                |(proposal, voter, epoch, sequence, choice, confidence, reasoning, evidence)| {
                    Ballot {
                        proposal: ProposalId::from_u128(proposal),
                        voter: AgentId::from_u128(voter),
                        epoch,
                        sequence,
                        choice,
                        confidence,
                        reasoning,
                        evidence,
                    }
                },
            );
    let outcome = select(vec![Consensus, TieBroken, NoDecision, InsufficientParticipation, Vetoed]);
    let decision =
        (id(), outcome, of(name()), text()).prop_map(|(proposal, outcome, choice, reasoning)| {
            Decision { proposal: ProposalId::from_u128(proposal), outcome, choice, reasoning }
        });
    prop_oneof![
        proposal.prop_map(ConsensusVote::Call),
        ballot.prop_map(ConsensusVote::Cast),
        decision.prop_map(ConsensusVote::Close),
    ]
}
