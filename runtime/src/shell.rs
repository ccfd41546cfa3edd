//! The shell: hosts each actor's serving future in a ractor actor. The only file that names ractor.
//!
//! ractor gives the task and its panic barrier; mailbox, address, restarts and timers are ours (its mailboxes are unbounded,
//! its restarted actors are new references, its registries are process-wide). An actor's life is its ractor actor's *start*: the
//! message loop that would follow, a second task with four ports to listen to, has nothing to do here and is never entered.

use futures_util::future::{BoxFuture, FutureExt as _};
use ractor::{ActorProcessingErr, ActorRef};
use tokio::runtime::Handle;

use crate::{child::ChildRef, kernel::Host};

/// Launches actors on ractor, in one tokio runtime wherever it is called from.
#[derive(Clone, Debug)]
pub(crate) struct Ractor(pub(crate) Handle);

struct Hosted;

/// What the start of a hosted actor ends with, so that ractor goes no further.
#[derive(Debug, thiserror::Error)]
#[error("the actor has lived")]
struct Lived;

impl ractor::Actor for Hosted {
    type Msg = ();
    type State = ();
    type Arguments = BoxFuture<'static, ()>;

    /// No async function, which would hold its arguments twice.
    fn pre_start(
        &self,
        _: ActorRef<()>,
        life: BoxFuture<'static, ()>,
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        life.map(|()| Err(Lived.into()))
    }
}

impl Host for Ractor {
    fn launch(&self, actor: ChildRef, life: BoxFuture<'static, ()>) {
        let _runtime = self.0.enter();
        // A life that is dropped before its end closes its slot and tells the watchers.
        if let Err(error) = ractor::ActorRuntime::spawn_instant(None, Hosted, life) {
            tracing::error!(actor = actor.name(), %error, "actor could not be launched");
        }
    }
}
