//! `LocalLink`: one node's end of a [`Hub`]: its way to each peer, and what has arrived.
//!
//! # Invariants
//! - A credit is a permit that travels with its frame and is given back when the frame is taken, lost or dropped with its receiver.
//! - On the way to a peer there is a frame between any two marks: a mark behind which nothing was sent tells the newest number
//!   itself. So a peer that does not read holds back at most a mark more than frames.
//! - Numbers are given and frames put on their way under one lock of the sender, so that the order of both is the same.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use protocol::NodeId;
use tokio::sync::{Semaphore, mpsc};

use super::hub::{Body, End, Fate, Hub, Mark, Weather, Wire};
use crate::{
    ask::{AskError, Reply},
    engine::link::{Account, Arrival, Link, LinkError, Numbered, Packet, Peer, checked},
    limits::LINK_CREDIT,
    node::Node,
    tasks::TaskKind,
};

/// One node's end of a [`Hub`]; dropping it closes it.
pub struct LocalLink {
    hub: Hub,
    node: Node,
    end: Arc<End>,
    lanes: Mutex<BTreeMap<Peer, Lane>>,
    /// None once it is closed.
    reading: Mutex<Option<Reading>>,
}

/// The way to one peer.
struct Lane {
    sent: u64,
    /// The mark behind which nothing was sent.
    mark: Weak<Mark>,
    credit: Arc<Semaphore>,
    /// Where frames are held up; none where there is no weather.
    held: Option<mpsc::UnboundedSender<Wire>>,
}

impl Lane {
    /// A mark to send, unless the last one still waits and tells the present number from now on.
    fn new_mark(&mut self) -> Option<Arc<Mark>> {
        if let Some(waits) = self.mark.upgrade()
            && let Some(number) = &mut *waits.lock()
        {
            *number = self.sent;
            return None;
        }
        let mark = Arc::new(Mutex::new(Some(self.sent)));
        self.mark = Arc::downgrade(&mark);
        Some(mark)
    }
}

/// What has arrived.
struct Reading {
    arrivals: mpsc::UnboundedReceiver<Wire>,
    accounts: BTreeMap<NodeId, (u64, Account)>,
    next: VecDeque<Arrival>,
}

impl LocalLink {
    /// A node's end of `hub`, where `arrivals` come in.
    pub(super) fn new(
        hub: Hub,
        node: Node,
        end: Arc<End>,
        arrivals: mpsc::UnboundedReceiver<Wire>,
    ) -> Self {
        let reading = Reading { arrivals, accounts: BTreeMap::new(), next: VecDeque::new() };
        Self { hub, node, end, lanes: Mutex::default(), reading: Mutex::new(Some(reading)) }
    }

    /// Whether this is the node's present life.
    fn checked_open(&self) -> Result<(), LinkError> {
        if *self.end.is_gone.borrow() { Err(LinkError::Closed) } else { Ok(()) }
    }

    /// Sends a frame for one credit; where there is none and it `must_count`, it counts as lost.
    fn put(
        &self,
        to: &Arc<End>,
        frame: Packet,
        reply: Option<Reply<Packet>>,
        must_count: bool,
    ) -> Result<(), LinkError> {
        let mut lanes = self.lanes.lock();
        let lane = self.lane(&mut lanes, to);
        let Ok(credit) = Arc::clone(&lane.credit).try_acquire_owned() else {
            lane.sent += u64::from(must_count);
            return Err(LinkError::NoCredit(to.peer.node));
        };
        lane.sent += 1;
        lane.mark = Weak::new();
        let body = Body::Frame { number: lane.sent, frame, reply, credit };
        self.pass(lane, to, Wire { from: self.end.peer, body });
        Ok(())
    }

    /// Puts something on its way; the lanes stay locked meanwhile.
    fn pass(&self, lane: &Lane, to: &End, wire: Wire) {
        match &lane.held {
            Some(held) => drop(held.send(wire)),
            None => self.hub.arrive(to, wire, Fate::Pass),
        }
    }

    /// The way to a peer; that to an earlier life of its node is forgotten.
    fn lane<'a>(&self, lanes: &'a mut BTreeMap<Peer, Lane>, to: &Arc<End>) -> &'a mut Lane {
        if !lanes.contains_key(&to.peer) {
            lanes.retain(|peer, _| peer.node != to.peer.node);
        }
        lanes.entry(to.peer).or_insert_with(|| Lane {
            sent: 0,
            mark: Weak::new(),
            credit: Arc::new(Semaphore::new(LINK_CREDIT)),
            held: self.hub.weather().map(|weather| self.hold_up(to, weather)),
        })
    }

    /// A task that gives each frame to a peer its fate, in their order.
    fn hold_up(&self, to: &Arc<End>, weather: &Weather) -> mpsc::UnboundedSender<Wire> {
        let (held, mut wires) = mpsc::unbounded_channel::<Wire>();
        let (hub, node, to) = (self.hub.clone(), self.node.clone(), Arc::clone(to));
        let weather = Arc::clone(weather);
        let work = async move {
            while let Some(wire) = wires.recv().await {
                let fate = weather(wire.from.node, to.peer.node);
                if let Fate::Hold(time) = fate {
                    node.sleep(time).await;
                }
                hub.arrive(&to, wire, fate);
            }
        };
        self.node.run_task(TaskKind::Service, Box::pin(work));
        held
    }
}

impl Link for LocalLink {
    fn me(&self) -> Peer {
        self.end.peer
    }

    fn send(&self, to: NodeId, frame: Packet) -> Result<(), LinkError> {
        checked(&frame)?;
        self.checked_open()?;
        self.put(&self.hub.end(to)?, frame, None, false)
    }

    fn request(
        &self,
        to: NodeId,
        frame: Packet,
        within: Duration,
    ) -> BoxFuture<'static, Result<Packet, AskError>> {
        let (reply, promise) = self.node.promise(within);
        let open = checked(&frame).and_then(|()| self.checked_open());
        let put = open.and_then(|()| self.hub.end(to)).and_then(|end| {
            let is_gone = end.is_gone.subscribe();
            self.put(&end, frame, Some(reply), false).map(|()| is_gone)
        });
        Box::pin(async move {
            let mut is_gone = put?;
            let mut gone = pin!(async move { drop(is_gone.wait_for(|gone| *gone).await) });
            let mut promise = pin!(promise);
            poll_fn(|cx| match promise.as_mut().poll(cx) {
                Poll::Ready(Err(AskError::Dropped)) if gone.as_mut().poll(cx).is_ready() => {
                    Poll::Ready(Err(AskError::NodeLost))
                }
                Poll::Ready(outcome) => Poll::Ready(outcome),
                Poll::Pending => gone.as_mut().poll(cx).map(|()| Err(AskError::NodeLost)),
            })
            .await
        })
    }

    fn broadcast(&self, group: &str, frame: Packet) -> Result<(), LinkError> {
        checked(&frame)?;
        self.checked_open()?;
        for end in self.hub.others(group, self.end.peer.node) {
            if let Err(error) = self.put(&end, Arc::clone(&frame), None, true) {
                tracing::debug!(group, %error, "a node missed a broadcast");
            }
        }
        Ok(())
    }

    fn join(&self, group: &str) -> Result<(), LinkError> {
        self.checked_open()?;
        self.hub.join(group, self.end.peer.node)
    }

    fn leave(&self, group: &str) {
        self.hub.leave(group, self.end.peer.node);
    }

    fn credit(&self, to: NodeId) -> usize {
        let Ok(end) = self.hub.end(to) else { return 0 };
        self.lane(&mut self.lanes.lock(), &end).credit.available_permits()
    }

    fn ready(&self, to: NodeId) -> BoxFuture<'static, Result<(), LinkError>> {
        let found = self.checked_open().and_then(|()| self.hub.end(to)).map(|end| {
            let credit = Arc::clone(&self.lane(&mut self.lanes.lock(), &end).credit);
            (credit, end.is_gone.subscribe())
        });
        Box::pin(async move {
            let (credit, mut is_gone) = found?;
            let gone = async move { drop(is_gone.wait_for(|gone| *gone).await) };
            let ready = async move { credit.acquire().await.map(drop) };
            match crate::ending::first(ready, gone).await {
                Some(_) => Ok(()),
                None => Err(LinkError::Unknown(to)),
            }
        })
    }

    fn mark(&self) {
        let ends = self.hub.ends();
        let mut lanes = self.lanes.lock();
        for end in ends {
            if let Some(mark) = lanes.get_mut(&end.peer).and_then(Lane::new_mark)
                && let Some(lane) = lanes.get(&end.peer)
            {
                self.pass(lane, &end, Wire { from: self.end.peer, body: Body::Mark(mark) });
            }
        }
    }

    fn next(&self) -> BoxFuture<'_, Option<Arrival>> {
        let mut is_gone = self.end.is_gone.subscribe();
        Box::pin(async move {
            let mut gone = pin!(async move { drop(is_gone.wait_for(|gone| *gone).await) });
            poll_fn(|cx| {
                if gone.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                self.reading.lock().as_mut().map_or(Poll::Ready(None), |reading| reading.poll(cx))
            })
            .await
        })
    }

    fn close(&self) {
        self.hub.retire(self.end.peer);
        // Before what waits is dropped: who waits for an answer hears that the node is lost.
        self.end.is_gone.send_replace(true);
        let (reading, lanes) = (self.reading.lock().take(), mem::take(&mut *self.lanes.lock()));
        drop((reading, lanes));
    }
}

impl Reading {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arrival>> {
        loop {
            if let Some(arrival) = self.next.pop_front() {
                return Poll::Ready(Some(arrival));
            }
            match self.arrivals.poll_recv(cx) {
                Poll::Ready(Some(wire)) => self.take(wire),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn take(&mut self, Wire { from, body }: Wire) {
        let (life, account) = self.accounts.entry(from.node).or_default();
        if *life > from.incarnation {
            return;
        }
        if *life < from.incarnation {
            (*life, *account) = (from.incarnation, Account::default());
        }
        let numbered = match &body {
            Body::Frame { number, .. } => account.frame(*number),
            Body::Mark(mark) => account.mark(mark.lock().take().unwrap_or(0)),
        };
        match numbered {
            Numbered::InOrder => {}
            Numbered::Behind(lost) => self.next.push_back(Arrival::Gap { from, lost }),
            Numbered::Again => return,
        }
        if let Body::Frame { frame, reply, credit, .. } = body {
            drop(credit);
            self.next.push_back(Arrival::Frame { from, frame, reply });
        }
    }
}

impl Drop for LocalLink {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for LocalLink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LocalLink({})", self.end.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn marks_to_a_peer_that_does_not_read_take_no_room_and_the_last_tells_all() {
        let node = Node::in_memory().unwrap();
        let hub = Hub::new();
        let (here, there) = (NodeId::from_u128(1), NodeId::from_u128(2));
        let (a, b) = (hub.link(&node, here).unwrap(), hub.link(&node, there).unwrap());
        b.join("all").unwrap();
        let waiting = || b.reading.lock().as_ref().unwrap().arrivals.len();
        a.send(there, Packet::from(*b"first")).unwrap();
        for _ in 0..1_000 {
            a.mark();
        }
        assert_eq!(waiting(), 2);
        while a.credit(there) > 0 {
            a.send(there, Packet::from(*b"more")).unwrap();
            a.mark();
            a.mark();
        }
        // Each is missed for want of credit, and counts.
        for _ in 0..5 {
            a.broadcast("all", Packet::from(*b"missed")).unwrap();
            a.mark();
        }
        assert_eq!(waiting(), 2 * LINK_CREDIT, "a mark behind each frame");
        for _ in 0..LINK_CREDIT {
            assert!(matches!(b.next().await, Some(Arrival::Frame { .. })));
        }
        let Some(Arrival::Gap { lost, .. }) = b.next().await else { panic!("no gap") };
        assert_eq!(lost, 5);
        // What was read is behind it: the next one is a mark of its own.
        a.mark();
        assert_eq!(waiting(), 1);
    }
}
