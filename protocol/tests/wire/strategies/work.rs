//! Arbitrary tasks, outcomes and stops.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use synod_protocol::payload::work::{Assignment, ProgressReport, StopScope, TaskRequest};
use synod_protocol::{
    AgentId, Budget, ConversationId, Estimate, FailedPart, NodeId, Outcome, Priority, RunId, Task,
    TaskId, Usage,
};

use super::{id, labels, name, names, refusal, share, text, value};

fn task() -> impl Strategy<Value = Task> {
    use Priority::{Critical, High, Low, Normal};
    let budget =
        any::<[Option<u64>; 5]>().prop_map(|[tokens, usd_micros, wall_ms, messages, children]| {
            Budget { tokens, usd_micros, wall_ms, messages, children }
        });
    let estimate = (any::<Option<u64>>(), 0.0..1e9_f64, any::<u64>(), any::<bool>()).prop_map(
        |(duration_ms, complexity, data_bytes, cost_sensitive)| Estimate {
            duration_ms,
            complexity,
            data_bytes,
            cost_sensitive,
        },
    );
    let ids = (id(), id(), of(id()));
    let priority = select(vec![Low, Normal, High, Critical]);
    (ids, name(), value(), names(), priority, any::<Option<u64>>(), budget, estimate, labels())
        .prop_map(
            |(
                (id, run, parent),
                kind,
                input,
                needs,
                priority,
                deadline_ms,
                budget,
                estimate,
                labels,
            )| Task {
                parent: parent.map(TaskId::from_u128),
                needs,
                priority,
                deadline_ms,
                budget,
                estimate,
                labels,
                ..Task::new(TaskId::from_u128(id), RunId::from_u128(run), kind, input)
            },
        )
}

pub(super) fn request() -> impl Strategy<Value = TaskRequest> {
    prop_oneof![
        (task(), any::<u64>(), 1..=u32::MAX, any::<Option<u64>>()).prop_map(
            |(task, fence, attempt, lease_ms)| {
                TaskRequest::Do(Box::new(Assignment { task, fence, attempt, lease_ms }))
            }
        ),
        (id(), any::<u64>(), text()).prop_map(|(task, fence, reason)| TaskRequest::Cancel {
            task: TaskId::from_u128(task),
            fence,
            reason
        }),
    ]
}

pub(super) fn outcome() -> impl Strategy<Value = Outcome> {
    let part = (id(), name(), refusal()).prop_map(|(task, name, refusal)| FailedPart {
        task: TaskId::from_u128(task),
        name,
        refusal,
    });
    prop_oneof![
        (value(), vec(part, 0..3))
            .prop_map(|(output, failed_parts)| Outcome::Completed { output, failed_parts }),
        refusal().prop_map(Outcome::Failed),
        Just(Outcome::TimedOut),
        text().prop_map(|reason| Outcome::Cancelled { reason }),
        refusal().prop_map(Outcome::Rejected),
        id().prop_map(|node| Outcome::NodeLost { node: NodeId::from_u128(node) }),
    ]
}

pub(super) fn usage() -> impl Strategy<Value = Usage> {
    any::<[u64; 4]>().prop_map(|[tokens_in, tokens_out, usd_micros, wall_ms]| Usage {
        tokens_in,
        tokens_out,
        usd_micros,
        wall_ms,
    })
}

pub(super) fn progress() -> impl Strategy<Value = ProgressReport> {
    (id(), any::<(u64, u64)>(), of(share()), text(), of(name()), value(), of(usage())).prop_map(
        |(task, (fence, sequence), fraction, text, milestone, partial, usage)| ProgressReport {
            task: TaskId::from_u128(task),
            fence,
            sequence,
            fraction,
            text,
            milestone,
            partial,
            usage,
        },
    )
}

pub(super) fn scope() -> impl Strategy<Value = StopScope> {
    prop_oneof![
        Just(StopScope::Everything),
        id().prop_map(|run| StopScope::Run(RunId::from_u128(run))),
        id().prop_map(|task| StopScope::Task(TaskId::from_u128(task))),
        id().prop_map(|agent| StopScope::Agent(AgentId::from_u128(agent))),
        id().prop_map(|conversation| StopScope::Conversation(ConversationId::from_u128(
            conversation
        ))),
    ]
}
