//! Patterns on a whole agent system: real agents, real time, one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "functions beside the tests serve tests alone"
)]

mod again;
#[cfg(test)]
mod asks;
mod bounds;
mod chaos;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod consensus;
#[cfg(test)]
mod consensus_again;
mod consensus_sim;
mod conversation;
mod conversation_sim;
mod coordinators;
mod ends;
mod events;
#[cfg(test)]
mod fallbacks;
mod fallbacks_sim;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod hierarchy;
mod hierarchy_again;
#[cfg(test)]
mod hierarchy_below;
mod hierarchy_ends;
mod hierarchy_leaders;
mod hierarchy_levels;
mod hierarchy_monitor;
#[cfg(test)]
mod hierarchy_rollout;
#[cfg(test)]
mod hierarchy_rollout_sim;
mod hierarchy_sim;
mod map_reduce;
#[cfg(test)]
mod one_node;
mod pipeline;
mod pipeline_ends;
mod pipeline_resume;
mod pipeline_sim;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod plan_told;
mod resume;
mod simulated;
mod swarm;
mod swarm_ring;
mod swarm_sim;

/// Waits until `holds`, and fails when it does not hold soon.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let soon = std::time::Duration::from_secs(10);
    assert!(tokio::time::timeout(soon, wait).await.is_ok(), "{what} does not hold");
}
