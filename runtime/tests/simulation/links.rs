//! Links under the simulation: frames held up by pairs, so that those of different senders overtake each other, and lost.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use protocol::NodeId;
use synod_runtime::{
    engine::{
        conformance::{LinkRig, link_conformance},
        link::{Arrival, Link},
        local::{Fate, Hub},
    },
    sim::World,
};

const MINUTE: Duration = Duration::from_secs(60);
const NODES: [&str; 3] = ["1", "2", "3"];

/// Three nodes of a world, their frames held up for a while each.
struct Rig {
    world: World,
    hub: Hub,
}

impl Rig {
    fn new(world: &World, lost_in: u64) -> Self {
        let dice = world.clone();
        let hub = Hub::with_weather(move |from, to| match dice.below(lost_in) {
            _ if from == to => Fate::Pass,
            0 => Fate::Lose,
            throw if throw % 3 == 1 => Fate::Pass,
            _ => Fate::Hold(Duration::from_micros(dice.below(900))),
        });
        Self { world: world.clone(), hub }
    }
}

impl LinkRig for Rig {
    fn open(&self, node: NodeId) -> Arc<dyn Link> {
        let of = self.world.get(&node.as_u128().to_string()).unwrap();
        Arc::new(self.hub.link(&of, node).unwrap())
    }

    fn lose(&self, from: NodeId, to: NodeId, frames: u64) {
        self.hub.lose(from, to, frames);
    }
}

fn world(seed: u64) -> World {
    let world = World::new(seed);
    for name in NODES {
        world.node(name, |_| {});
    }
    world
}

#[test]
fn a_network_whose_pairs_overtake_each_other_is_a_link() {
    for seed in 1..=5 {
        let world = world(seed);
        let of = world.clone();
        let suite = async move {
            link_conformance(|| Box::new(Rig::new(&of, u64::MAX)) as Box<dyn LinkRig>).await;
        };
        assert!(world.block_on(suite, MINUTE * 60).is_some(), "seed {seed} does not end");
    }
}

#[test]
fn what_is_lost_on_the_way_is_told_to_the_last_frame() {
    for seed in 1..=20 {
        let world = world(seed);
        let rig = Rig::new(&world, 10);
        let links = [1, 2, 3].map(|node| rig.open(NodeId::from_u128(node)));
        let of = world.clone();
        let work = async move {
            for number in 0..300_u32 {
                for (from, to) in [(0, 2), (1, 2), (2, 0)] {
                    let frame = number.to_be_bytes().to_vec().into();
                    links[from].send(links[to].me().node, frame).unwrap();
                }
                of.wait(Duration::from_micros(of.below(300))).await;
            }
            of.wait(MINUTE).await;
            for _ in 0..30 {
                // A mark may be lost as well, and takes the place of one that is on its way.
                links.iter().for_each(|link| link.mark());
                of.wait(MINUTE).await;
            }
            of.wait(MINUTE).await;
            links.iter().for_each(|link| link.send(link.me().node, vec![].into()).unwrap());
            join_all(links.iter().map(|link| accounted(&**link))).await
        };
        let accounts = world.block_on(work, MINUTE * 60).expect("it does not end");
        assert_eq!(accounts, [300, 0, 600], "seed {seed}: every frame is heard or told as lost");
    }
}

/// How many frames of others a link has heard of, up to its own, which nobody loses.
async fn accounted(link: &dyn Link) -> u64 {
    let (mut count, mut last) = (0, [None; 4]);
    loop {
        match link.next().await {
            Some(Arrival::Frame { from, .. } | Arrival::Gap { from, .. }) if from == link.me() => {
                return count;
            }
            Some(Arrival::Frame { from, frame, .. }) => {
                let number = frame.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
                let before = &mut last[usize::try_from(from.node.as_u128()).unwrap()];
                assert!(*before < number, "a frame comes twice or out of order");
                *before = number;
                count += 1;
            }
            Some(Arrival::Gap { lost, .. }) => count += lost,
            None => panic!("the link was closed"),
        }
    }
}
