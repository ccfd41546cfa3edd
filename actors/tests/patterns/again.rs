//! Parts that are run more than once: who may, where, and what becomes of the loser.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use runtime::{backoff::Backoff, node::Node};
use synod_actors::{
    agent::{call::CallContext, function::Function},
    pattern::map_reduce::{
        Branch, Collect, Map, MapReduce, OnPartialFailure, Options, Piece, Retries, map_reduce,
    },
    system::AgentSystem,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Eight parts, none of which may run twice at the same time if `once`.
struct Parts {
    once: bool,
}

impl Map<u64> for Parts {
    fn map(&mut self) -> Result<Vec<Piece<u64>>, String> {
        Ok((0..8).map(|n| Piece { speculate: !self.once, ..Piece::new(n) }).collect())
    }
}

struct Dropped(Arc<AtomicU32>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slower_attempt_is_cancelled_and_a_part_may_forbid_a_second() {
    for once in [false, true] {
        let system = AgentSystem::start(Node::in_memory().unwrap());
        let (calls, dropped) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let drops = Arc::clone(&dropped);
        let agent = system.agent("straggles", move |n: u64, _| {
            let hangs = n == 3 && calls.fetch_add(1, Ordering::SeqCst) == 0;
            let guard = hangs.then(|| Dropped(Arc::clone(&drops)));
            async move {
                let _guard = guard;
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, String>(n)
            }
        });
        let agent = agent.count(4).start().unwrap();
        let options =
            Options { speculate: true, timeout: Duration::from_millis(300), ..Options::default() };
        let run = MapReduce::new(Parts { once }, vec![Branch::whole(&agent)], || Collect);
        let done = system.run(run.options(options)).deadline(MINUTE).await.unwrap();
        assert_eq!(done.value, (0..8).collect::<Vec<_>>());
        assert_eq!((done.tally.speculative == 0, done.tally.retries), (once, u64::from(once)));
        while dropped.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_tried_again_by_instances_that_have_not_failed_at_it() {
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let tried: Arc<Mutex<BTreeMap<u64, Vec<usize>>>> = Arc::default();
    let seen = Arc::clone(&tried);
    let agent = system.agent_each("fails", move |instance| {
        let seen = Arc::clone(&seen);
        Arc::new(Function(move |n: u64, _: CallContext| {
            seen.lock().unwrap().entry(n).or_default().push(instance);
            async move { Err::<u64, _>("never") }
        }))
    });
    let agent = agent.count(3).start().unwrap();
    let options = Options {
        retries: Retries { attempts: 3, backoff: Backoff::NONE },
        on_partial_failure: OnPartialFailure::RetryElsewhere,
        ..Options::default()
    };
    let run = map_reduce(0..50, &agent).options(options);
    let done = system.run(run).deadline(MINUTE).await.unwrap();
    assert_eq!(done.failed.len(), 50);
    for (part, instances) in tried.lock().unwrap().iter_mut() {
        instances.sort_unstable();
        assert_eq!(*instances, [0, 1, 2], "part {part}");
    }
}
