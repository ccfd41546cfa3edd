//! The shell: hosts each actor's serving future in a ractor actor. The only file that names ractor.
//!
//! ractor gives the task, its name and its panic barrier; mailbox, address, restarts and timers are ours (its mailboxes are
//! unbounded, its restarted actors are new references, its registries are process-wide).

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use ractor::{ActorProcessingErr, ActorRef};
use tokio::runtime::Handle;

use crate::{child::ChildRef, kernel::Host};

/// Launches actors on ractor, in one tokio runtime wherever it is called from.
#[derive(Clone, Debug)]
pub(crate) struct Ractor(pub(crate) Handle);

/// The one message of a hosted actor: its life.
struct Live(Mutex<Option<BoxFuture<'static, ()>>>);

struct Hosted;

impl ractor::Actor for Hosted {
    type Msg = Live;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Live>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    /// No async function, which would hold its arguments twice.
    fn handle(
        &self,
        myself: ActorRef<Live>,
        message: Live,
        (): &mut (),
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        let life = message.0.into_inner().unwrap_or_else(|| Box::pin(std::future::ready(())));
        async move {
            life.await;
            myself.stop(None);
            Ok(())
        }
    }
}

impl Host for Ractor {
    fn launch(&self, actor: ChildRef, life: BoxFuture<'static, ()>) {
        let _runtime = self.0.enter();
        match ractor::ActorRuntime::spawn_instant(None, Hosted, ()) {
            Ok((hosted, _joined)) => {
                // A refused message is dropped, and with it the life, which closes the slot and tells the watchers.
                if let Err(error) = hosted.send_message(Live(Mutex::new(Some(life)))) {
                    tracing::error!(actor = actor.name(), %error, "actor could not be launched");
                }
            }
            Err(error) => {
                tracing::error!(actor = actor.name(), %error, "actor could not be launched");
            }
        }
    }
}
