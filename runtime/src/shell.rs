//! The shell: hosts each actor's serving future in a task of its own.
//!
//! A task of tokio is its panic barrier and takes a few hundred bytes. What a framework's actor would bring besides (mailbox,
//! address, restarts, links, registries), the kernel has its own of, since the queue has to outlive a crash and be bounded.

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use crate::{child::ChildRef, kernel::Host};

/// Launches actors in one tokio runtime, wherever it is called from.
#[derive(Clone, Debug)]
pub(crate) struct Tokio(pub(crate) Handle);

impl Host for Tokio {
    fn launch(&self, _: ChildRef, life: BoxFuture<'static, ()>) {
        // Nobody joins it: a life that is over, or dropped before, closes its slot and tells the watchers.
        drop(self.0.spawn(life));
    }
}
