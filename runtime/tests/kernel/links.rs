//! The network in one process: the suite of its port, and two nodes whose actors tell and ask each other by frames.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use protocol::{
    ActorId, Frame, NodeId, Payload,
    payload::coordination::{Coordination, Speech},
};
use synod_runtime::{
    actor::Actor,
    address::Addr,
    ask::{AskError, Reply},
    context::Cx,
    engine::{
        conformance::{LinkRig, link_conformance},
        link::{Arrival, Link, Packet},
        local::{Fate, Hub, LocalLink},
    },
    node::Node,
    spawn::Spawn,
    supervisor::{Restart, Supervisor},
    tasks::TaskKind,
};

use crate::support::{SOON, soon, until};

/// Three nodes in one process.
struct Rig {
    hub: Hub,
    node: Node,
}

impl LinkRig for Rig {
    fn open(&self, node: NodeId) -> Arc<dyn Link> {
        Arc::new(self.hub.link(&self.node, node).unwrap())
    }

    fn lose(&self, from: NodeId, to: NodeId, frames: u64) {
        self.hub.lose(from, to, frames);
    }
}

#[tokio::test]
async fn the_network_in_one_process_is_a_link() {
    let node = Node::in_memory().unwrap();
    let rig = || Box::new(Rig { hub: Hub::new(), node: node.clone() }) as Box<dyn LinkRig>;
    tokio::time::timeout(SOON * 3, link_conformance(rig)).await.unwrap();
    assert_eq!(node.pending_timers(), 0, "every request has left the wheel");
}

#[tokio::test]
async fn a_network_that_holds_frames_up_is_a_link() {
    let node = Node::in_memory().unwrap();
    let rig = || {
        let weather = |from: NodeId, to: NodeId| {
            if from < to { Fate::Hold(Duration::from_millis(2)) } else { Fate::Pass }
        };
        Box::new(Rig { hub: Hub::with_weather(weather), node: node.clone() }) as Box<dyn LinkRig>
    };
    // Each of its frames waits for a turn of the wheel: only what does not fill a credit is tried here.
    let rig = rig();
    let (a, b) = (rig.open(NodeId::from_u128(1)), rig.open(NodeId::from_u128(2)));
    for number in 0..5_u8 {
        a.send(b.me().node, vec![number].into()).unwrap();
    }
    for number in 0..5_u8 {
        let Some(Arrival::Frame { frame, .. }) = soon(b.next()).await else { panic!("no frame") };
        assert_eq!(*frame, [number]);
    }
}

/// Keeps what it is told over its lives, and answers with it.
struct Keeper(Arc<Mutex<Vec<i64>>>);

enum Msg {
    Told(i64),
    Asked(i64, Reply<i64>),
    Crash,
}

impl Actor for Keeper {
    type Msg = Msg;

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        let mut kept = self.0.lock().unwrap();
        match msg {
            Msg::Told(n) => kept.push(n),
            Msg::Asked(n, reply) => cx.reply(reply, kept.iter().sum::<i64>() + n),
            Msg::Crash => cx.crash("as asked"),
        }
    }
}

/// Gives the frames that arrive to the actors that they name.
async fn deliver(link: Arc<LocalLink>, actors: BTreeMap<ActorId, Addr<Msg>>) {
    while let Some(arrival) = link.next().await {
        let Arrival::Frame { frame, reply, .. } = arrival else { continue };
        let frame = Frame::decode(&frame).unwrap();
        let (actor, within) = (&actors[&frame.recipient], frame.time_left().unwrap_or(SOON));
        let number = |speech: &Speech| speech.content.as_i64().unwrap();
        match (&frame.payload, reply) {
            (Payload::Coordination(Coordination::Tell(speech)), None) => {
                actor.tell(Msg::Told(number(speech))).await.unwrap();
            }
            (Payload::Coordination(Coordination::Ask(speech)), Some(reply)) => {
                let asked = actor.ask(|reply| Msg::Asked(number(speech), reply), within).await;
                let answer = asked.map(|sum| {
                    let answer = Coordination::Answer(Speech::new("", sum));
                    Packet::from(Frame::new(answer).encode(None).unwrap())
                });
                match answer {
                    Ok(answer) => drop(reply.send(answer)),
                    Err(error) => drop(reply.refuse(error)),
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn packet(to: ActorId, act: Coordination) -> Packet {
    let mut frame = Frame { recipient: to, ..Frame::new(act) };
    if matches!(frame.payload, Payload::Coordination(Coordination::Ask(_))) {
        frame.extension.deadline_ns = Some(i64::try_from(SOON.as_nanos()).unwrap());
    }
    frame.encode(None).unwrap().into()
}

#[tokio::test]
async fn two_nodes_exchange_tells_and_asks_with_addresses_that_outlive_a_restart() {
    let (hub, here, there) = (Hub::new(), Node::in_memory().unwrap(), Node::in_memory().unwrap());
    let kept = Arc::<Mutex<Vec<i64>>>::default();
    let own = Arc::clone(&kept);
    let supervisor = Supervisor::one_for_one("keepers").intensity(3, SOON).child_with(
        Spawn::named("keeper"),
        Restart::Permanent,
        move || Keeper(Arc::clone(&own)),
    );
    let supervised = there.supervise(supervisor);
    let keeper = supervised.child::<Msg>("keeper").unwrap();
    let (address, node) = (ActorId::from_u128(77), NodeId::from_u128(2));
    let link = hub.link(&here, NodeId::from_u128(1)).unwrap();
    let far = Arc::new(hub.link(&there, node).unwrap());
    let serve = deliver(Arc::clone(&far), BTreeMap::from([(address, keeper.clone())]));
    there.run_task(TaskKind::Service, Box::pin(serve));

    let tell = |n: i64| link.send(node, packet(address, Coordination::Tell(Speech::new("", n))));
    let ask = async |n: i64| {
        let asked = packet(address, Coordination::Ask(Speech::new("", n)));
        let answer = soon(link.request(node, asked, SOON)).await?;
        let payload = Frame::decode(&answer).unwrap().payload;
        let Payload::Coordination(Coordination::Answer(speech)) = payload else {
            panic!("{payload:?} is no answer");
        };
        Ok::<_, AskError>(speech.content.as_i64().unwrap())
    };
    for n in 1..=3 {
        tell(n).unwrap();
    }
    assert_eq!(ask(100).await, Ok(106), "tells come before the ask behind them");
    keeper.tell(Msg::Crash).await.unwrap();
    tell(4).unwrap();
    assert_eq!(ask(100).await, Ok(110), "the restart keeps the address and the queue");
    assert_eq!(*kept.lock().unwrap(), [1, 2, 3, 4]);
    keeper.stop();
    soon(keeper.stopped()).await;
    assert_eq!(ask(1).await, Err(AskError::Stopped), "why there is no answer crosses too");
    far.close();
    assert_eq!(ask(1).await, Err(AskError::NodeLost));
    until("the far node serves no more", || far.credit(NodeId::from_u128(1)) > 0).await;
}
