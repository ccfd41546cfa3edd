//! Guests: actors that async work starts end with the incarnation that the work belongs to, or with its scope.

use std::{sync::Arc, time::Duration};

use synod_runtime::{
    actor::ExitReason,
    address::Addr,
    clock::ManualClock,
    node::{Node, Stopped},
    scope::Scope,
    spawn::Spawn,
    supervisor::Supervisor,
    work_cx::WorkCx,
};

use crate::support::{Do, Log, Puppet, SOON, ask, child_of, handled, puppet, soon, tell, until};

async fn work_of(owner: &Addr<Do>) -> WorkCx {
    ask(owner, |_, cx, to| cx.reply(to, cx.work_cx())).await.unwrap()
}

/// A guest, which has done its first step if it was started.
async fn guest_of(work: &WorkCx, log: &Log) -> Addr<Do> {
    let log = log.clone();
    let guest = work.spawn(Spawn::named("guest"), move || Puppet::new(&log));
    if !guest.is_stopped() {
        handled(&guest).await;
    }
    guest
}

#[tokio::test]
async fn a_guest_ends_before_the_incarnation_that_its_work_belongs_to() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let owner = puppet(&node, "owner", &log);
    let guest = guest_of(&work_of(&owner).await, &log).await;
    assert_eq!(guest.child().name(), "owner/guest");
    owner.stop();
    soon(owner.stopped()).await;
    assert_eq!(guest.child().ended(), Some(ExitReason::Shutdown));
}

#[tokio::test]
async fn a_cancel_from_above_reaches_guests_and_those_below_them() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let top = puppet(&node, "top", &log);
    let owner = child_of(&top).await;
    let guest = guest_of(&work_of(&owner).await, &log).await;
    let below = child_of(&guest).await;
    top.cancel();
    soon(top.stopped()).await;
    let ends = [&guest, &below].map(|addr| addr.child().ended());
    assert_eq!(ends, [Some(ExitReason::Cancelled), Some(ExitReason::Cancelled)]);
}

#[tokio::test]
async fn a_guest_does_not_outlive_a_crash_and_work_of_an_ended_incarnation_starts_nobody() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let own = log.clone();
    let supervisor = Supervisor::one_for_one("all").child("owner", move || Puppet::new(&own));
    let all = node.supervise(supervisor);
    let owner = all.child::<Do>("owner").unwrap();
    let work = work_of(&owner).await;
    let guest = guest_of(&work, &log).await;
    tell(&owner, |_, cx| cx.crash("as asked"));
    soon(guest.stopped()).await;
    until("its owner is back", || log.has("start 2")).await;
    let late = guest_of(&work, &log).await;
    assert_eq!(late.child().ended(), Some(ExitReason::Cancelled));
    assert_eq!(log.lines(), ["start 1", "start 1", "start 2"], "it has not begun");
    let fresh = guest_of(&work_of(&owner).await, &log).await;
    assert!(!fresh.is_stopped(), "work of the present incarnation starts as before");
    assert_eq!(node.stop(SOON).await, Ok(Stopped::Clean));
    assert!(fresh.is_stopped());
}

#[tokio::test]
async fn whoever_has_a_guest_is_not_idle() {
    let clock = Arc::new(ManualClock::new());
    let node = Node::builder().clock(Arc::<ManualClock>::clone(&clock)).open().unwrap();
    let (log, idle) = (Log::default(), Duration::from_secs(1));
    let own = log.clone();
    let owner = node.spawn(Spawn::named("owner").passivate(idle), move || Puppet::new(&own));
    let guest = guest_of(&work_of(&owner).await, &log).await;
    for _ in 0..3 {
        clock.advance(idle);
        handled(&guest).await;
        handled(&owner).await;
    }
    guest.stop();
    soon(guest.stopped()).await;
    clock.advance(idle);
    clock.advance(idle);
    soon(owner.stopped()).await;
}

#[tokio::test]
async fn a_scope_ends_with_all_that_its_work_has_started_and_lets_nobody_in_afterwards() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let owner = puppet(&node, "owner", &log);
    let (work, scope) = work_of(&owner).await.scoped();
    let guest = guest_of(&work, &log).await;
    let below = child_of(&guest).await;
    let other = guest_of(&work_of(&owner).await, &log).await;
    // The owner hears when all have ended.
    let ended = ask(&owner, move |_, cx, to| {
        let gone = scope.end(cx).expect("somebody lives");
        cx.perform(
            async move {
                gone.await;
                to.send([guest, below].map(|addr| addr.child().ended()));
                drop(scope);
            },
            |_| Box::new(|_, _| ()),
        );
    });
    assert_eq!(ended.await.unwrap(), [Some(ExitReason::Cancelled), Some(ExitReason::Cancelled)]);
    assert!(guest_of(&work, &log).await.is_stopped(), "its work is over");
    assert!(!other.is_stopped(), "another work's actor lives on");
}

#[tokio::test]
async fn a_scope_that_is_dropped_cancels_its_guests() {
    let (node, log) = (Node::in_memory().unwrap(), Log::default());
    let owner = puppet(&node, "owner", &log);
    let (work, scope): (WorkCx, Scope) = work_of(&owner).await.scoped();
    let guest = guest_of(&work, &log).await;
    drop(scope);
    assert_eq!(soon(guest.stopped()).await, ExitReason::Cancelled);
}
