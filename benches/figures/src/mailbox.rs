//! `mailbox.*`: what it costs to pass a message, to one, to many, around and back.
//!
//! | workload | what happens |
//! |---|---|
//! | tell | one task sends numbers to one actor, until all are handled |
//! | fan_in | eight tasks send to one actor |
//! | ring | one token goes around 1,000 actors |
//! | ask | one task asks one actor, the next question after the answer |
//! | ask_in_flight | one task asks one actor, 64 questions open at any time |
//! | swarm_tick | every tick, 10,000 actors get a message and each tells one gatherer; the next tick after the last reply; the first tick, in which they start, is not timed |
//! | spawn | an actor starts 1,000 others as its children, watches them, stops them and hears of each end; wave after wave |
//! | batch | one task sends to one actor, 32 numbers in a message |
//!
//! Mailboxes of tokio and Synod are bounded, ractor's cannot be.
use std::time::Duration;

use crate::figure::{Contender, Figure, Goal};

mod ractor_side;
mod synod_side;
mod tokio_side;

/// Messages that a bounded mailbox holds.
pub(crate) const BOUND: usize = 1024;
/// Tasks that send to one actor.
pub(crate) const SENDERS: u64 = 8;
/// Actors in a ring.
pub(crate) const RING: usize = 1000;
/// Questions open at any time.
pub(crate) const IN_FLIGHT: usize = 64;
/// Actors that get every tick.
pub(crate) const SWARM: usize = 10_000;

/// Actors of one wave that come and go.
pub(crate) const WAVE: usize = 1000;
/// Numbers in one message of a batch.
pub(crate) const BATCH: u64 = 32;

/// What every ask of Synod's has; the others' have none.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

const TELLS: u64 = 2_000_000;
const HOPS: u64 = 1_000_000;
const ASKS: u64 = 400_000;
const TICKS: u64 = 60;
const WAVES: u64 = 60;
const BATCHES: u64 = 1_000_000;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "mailbox.tell",
        unit: "messages/s",
        rounds: None,
        goal: Goal::at_least(1.3, "ractor"),
        contenders: &[
            Contender::synod(|settings| synod_side::tell(settings.count(TELLS))),
            Contender::floor("tokio", |settings| tokio_side::tell(settings.count(TELLS))),
            Contender::peer("ractor", |settings| ractor_side::tell(settings.count(TELLS))),
        ],
    },
    Figure {
        name: "mailbox.fan_in",
        unit: "messages/s",
        rounds: None,
        goal: Goal::at_least(1.3, "ractor"),
        contenders: &[
            Contender::synod(|settings| synod_side::fan_in(settings.count(TELLS))),
            Contender::floor("tokio", |settings| tokio_side::fan_in(settings.count(TELLS))),
            Contender::peer("ractor", |settings| ractor_side::fan_in(settings.count(TELLS))),
        ],
    },
    Figure {
        name: "mailbox.ring",
        unit: "hops/s",
        rounds: None,
        goal: Goal::at_least(1.0, "ractor"),
        contenders: &[
            Contender::synod(|settings| synod_side::ring(settings.count(HOPS))),
            Contender::floor("tokio", |settings| tokio_side::ring(settings.count(HOPS))),
            Contender::peer("ractor", |settings| ractor_side::ring(settings.count(HOPS))),
        ],
    },
    Figure {
        name: "mailbox.ask",
        unit: "asks/s",
        rounds: None,
        goal: Goal::at_least(0.9, "ractor"),
        contenders: &[
            Contender::synod(|settings| synod_side::ask(settings.count(ASKS), 1)),
            Contender::floor("tokio", |settings| tokio_side::ask(settings.count(ASKS), 1)),
            Contender::peer("ractor", |settings| ractor_side::ask(settings.count(ASKS), 1)),
        ],
    },
    Figure {
        name: "mailbox.ask_in_flight",
        unit: "asks/s",
        rounds: None,
        goal: Goal::at_least(0.85, "ractor"),
        contenders: &[
            Contender::synod(|settings| synod_side::ask(settings.count(ASKS), IN_FLIGHT)),
            Contender::floor("tokio", |settings| tokio_side::ask(settings.count(ASKS), IN_FLIGHT)),
            Contender::peer("ractor", |settings| ractor_side::ask(settings.count(ASKS), IN_FLIGHT)),
        ],
    },
    Figure {
        name: "mailbox.swarm_tick",
        unit: "agent-ticks/s",
        rounds: None,
        goal: Goal::at_least(0.85, "ractor"),
        contenders: &[
            Contender::synod(|settings| synod_side::swarm_tick(settings.count(TICKS))),
            Contender::floor("tokio", |settings| tokio_side::swarm_tick(settings.count(TICKS))),
            Contender::peer("ractor", |settings| ractor_side::swarm_tick(settings.count(TICKS))),
        ],
    },
    Figure {
        name: "mailbox.spawn",
        unit: "actors/s",
        rounds: None,
        goal: Goal::at_least(0.7, "ractor"),
        contenders: &[
            Contender::synod(|settings| synod_side::spawn(settings.count(WAVES))),
            Contender::floor("tokio", |settings| tokio_side::spawn(settings.count(WAVES))),
            Contender::peer("ractor", |settings| ractor_side::spawn(settings.count(WAVES))),
        ],
    },
    Figure {
        name: "mailbox.batch",
        unit: "items/s",
        rounds: None,
        goal: Goal::at_least(1.0, "ractor").and(1e8),
        contenders: &[
            Contender::synod(|settings| synod_side::batch(settings.count(BATCHES))),
            Contender::floor("tokio", |settings| tokio_side::batch(settings.count(BATCHES))),
            Contender::peer("ractor", |settings| ractor_side::batch(settings.count(BATCHES))),
        ],
    },
];
