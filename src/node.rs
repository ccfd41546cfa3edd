//! The node of a program: actors, agents, runs and their journal, opened as one.
//!
//! A [`Node`] is an [`AgentSystem`] on the embedded engine, with what a user calls most within reach.

use std::{
    error::Error,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use actors::{
    agent::{CallContext, handle::AgentBuilder},
    system::AgentSystem,
};
use futures_util::future::BoxFuture;
use runtime::{
    actor::Actor,
    address::Addr,
    emergency::{EmergencyError, Halted, Privilege},
    engine::local::{OpenJournalError, RedbJournal},
    node::{NodeBuilder, OpenError},
    spawn::Spawn,
    supervisor::{Supervised, Supervisor},
    tasks::on_thread,
};

/// What an agent may fail with: any error, or a text.
pub type AgentFailure = Box<dyn Error + Send + Sync>;

/// A node: cheap to clone; dropping the last clone stops its actors.
///
/// ```
/// use std::time::Duration;
/// use synod::prelude::*;
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::in_memory()?;
/// let square = node.agent("square", |n: u64, _cx| async move { Ok(n * n) }).count(4).start()?;
/// let squares = node.run(map_reduce(0..100, &square).reduce(sum())).deadline(Duration::from_secs(60)).await?;
/// assert_eq!(squares.value, 328_350);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Node(AgentSystem);

impl Node {
    /// Opens a node whose journal is the file `synod.redb` in `folder`; the folder and the file are made if missing.
    ///
    /// # Errors
    /// [`OpenError`] when the folder or the file cannot be made, or is held by another writer.
    ///
    /// # Cancel safety
    /// Dropping the future opens nothing, or opens and closes.
    pub async fn open(folder: impl Into<PathBuf>) -> Result<Self, OpenError> {
        builder_in(folder.into()).await?.open().map(Self::of)
    }

    /// Opens a node as [`open`](Self::open) does, and gives out the one right to [stop it](Self::emergency_stop) in an emergency.
    ///
    /// A node of a [builder](Self::builder) has it by [`NodeBuilder::open_privileged`].
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    ///
    /// # Cancel safety
    /// That of [`open`](Self::open).
    pub async fn open_privileged(
        folder: impl Into<PathBuf>,
    ) -> Result<(Self, Privilege), OpenError> {
        let (kernel, privilege) = builder_in(folder.into()).await?.open_privileged()?;
        Ok((Self::of(kernel), privilege))
    }

    /// Opens a node that remembers in memory only.
    ///
    /// # Errors
    /// [`OpenError::NoRuntime`] outside of a tokio runtime.
    pub fn in_memory() -> Result<Self, OpenError> {
        runtime::node::Node::in_memory().map(Self::of)
    }

    /// Chooses the parts of a node; [`Node::of`] takes what it opens.
    pub fn builder() -> NodeBuilder {
        runtime::node::Node::builder()
    }

    /// Starts a system of agents on an open kernel.
    pub fn of(kernel: runtime::node::Node) -> Self {
        Self(AgentSystem::start(kernel))
    }

    /// Describes an agent that is an async closure, given its input and its [`CallContext`].
    ///
    /// It is polled on the actors' threads: what computes for long belongs into [`blocking_agent`](Self::blocking_agent).
    pub fn agent<I, O, W>(
        &self,
        name: impl Into<String>,
        function: impl Fn(I, CallContext) -> W + Send + Sync + 'static,
    ) -> AgentBuilder<I, O>
    where
        I: Send + 'static,
        O: Send + 'static,
        W: Future<Output = Result<O, AgentFailure>> + Send + 'static,
    {
        self.0.agent(name, function)
    }

    /// Describes an agent that blocks or computes for long, each call on a thread of its own.
    pub fn blocking_agent<I, O>(
        &self,
        name: impl Into<String>,
        function: impl Fn(I, CallContext) -> Result<O, AgentFailure> + Clone + Send + Sync + 'static,
    ) -> AgentBuilder<I, O>
    where
        I: Send + 'static,
        O: Send + 'static,
    {
        self.0.blocking_agent(name, function)
    }

    /// Starts a root actor whose end is final.
    pub fn spawn<A: Actor>(
        &self,
        spawn: Spawn,
        birth: impl FnMut() -> A + Send + 'static,
    ) -> Addr<A::Msg> {
        self.kernel().spawn(spawn, birth)
    }

    /// Starts a supervisor and its children.
    pub fn supervise(&self, supervisor: Supervisor) -> Supervised {
        self.kernel().supervise(supervisor)
    }

    /// Stops all that this node does, at once and for good, by order of `by` and for this `reason`, which its journal keeps.
    ///
    /// Programs are killed without grace. What is returned waits until all is quiet: see
    /// [the kernel's](runtime::node::Node::emergency_stop).
    ///
    /// ```
    /// use synod::prelude::*;
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let folder = tempfile::tempdir()?;
    /// let (node, privilege) = Node::open_privileged(folder.path()).await?;
    /// let halted = node.emergency_stop(&privilege, "the operator", "it spends too much")?.await;
    /// assert!(halted.is_quiet());
    /// assert_eq!(node.kernel().emergency_stops()?[0].by, "the operator");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The privilege is another node's, or there is no reason.
    pub fn emergency_stop(
        &self,
        privilege: &Privilege,
        by: &str,
        reason: &str,
    ) -> Result<BoxFuture<'static, Halted>, EmergencyError> {
        self.kernel().emergency_stop(privilege, by, reason)
    }

    /// The agents and runs of this node.
    pub fn system(&self) -> &AgentSystem {
        &self.0
    }

    /// The kernel below: actors, events, journal, counters, and [`close`](runtime::node::Node::close).
    pub fn kernel(&self) -> &runtime::node::Node {
        self.0.node()
    }
}

impl Deref for Node {
    type Target = AgentSystem;

    fn deref(&self) -> &AgentSystem {
        &self.0
    }
}

/// What opens a node on the journal of a folder.
async fn builder_in(folder: PathBuf) -> Result<NodeBuilder, OpenError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(OpenError::NoRuntime);
    }
    let path = folder.clone();
    let opened = on_thread(move || open_journal(&folder)).await;
    let journal = opened.map_err(|error| OpenJournalError::Io {
        path,
        source: std::io::Error::other(error.to_string()),
    })??;
    Ok(Node::builder().journal(Arc::new(journal)))
}

fn open_journal(folder: &Path) -> Result<RedbJournal, OpenJournalError> {
    let path = folder.join("synod.redb");
    std::fs::create_dir_all(folder)
        .map_err(|source| OpenJournalError::Io { path: folder.to_owned(), source })?;
    RedbJournal::open(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_makes_its_folder_and_keeps_others_out_of_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        let node = Node::open(&folder).await.unwrap();
        assert!(folder.join("synod.redb").exists());
        let second = Node::open(&folder).await.unwrap_err();
        assert!(second.to_string().contains("another process has it open"), "{second}");
        node.kernel().close().await.unwrap();
    }

    #[tokio::test]
    async fn an_agent_fails_with_any_error_or_text() {
        let node = Node::in_memory().unwrap();
        let parse = node.agent("parse", |text: String, _cx| async move {
            if text.is_empty() {
                return Err("nothing to parse".into());
            }
            Ok(text.parse::<u64>()?)
        });
        let parse = parse.start().unwrap();
        let within = std::time::Duration::from_secs(60);
        assert_eq!(parse.ask("7".to_owned(), within).await, Ok(7));
        for (text, says) in [("", "nothing to parse"), ("x", "invalid digit")] {
            let error = parse.ask(text.to_owned(), within).await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
