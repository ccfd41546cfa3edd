//! Keyed actors: one actor a key, started by the first message for it, put to rest when it is idle.
//!
//! What Akka calls cluster sharding on one node, Orleans virtual actors, and OTP a registry with a dynamic supervisor. A router,
//! an actor of its own, starts the actors of its keys as its children, starts crashed ones again and forgets idle ones. Whoever
//! is outside tells a key's actor directly once it lives; what a step sends goes by the router.
//!
//! # Invariants
//! - A key has at most one actor at a time.
//! - An actor is put to rest only when nothing waits in its queue; whoever comes at that moment starts the next one. No message
//!   is lost in between.
//! - At most as many keys live as the router allows; the next one is refused.
//! - A restart keeps the key's address and its queue.
//! - A key that is slow holds up nobody else: what its full mailbox has no place for waits in a bounded line of its own.
//! - What one sender sends to one key is handled in the order in which it was sent: of one step after the other, or of one
//!   [`Keyed::tell`] awaited after the other.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    future::poll_fn,
    hash::Hash,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use dashmap::DashMap;
use protocol::{Code, Refusal};

use crate::{
    actor::{Actor, ActorId, ChildExit, Down},
    address::{Addr, Delivery, Target, TellError},
    ask::{AskError, Promise, Reply},
    child::ChildRef,
    context::{AskTarget, Cx},
    kernel::Kernel,
    limits::{
        KEYED_ACTORS, KEYED_ATTEMPTS_MAX, KEYED_FIND_WAIT, KEYED_IDLE, KEYED_LINE_MAX,
        RESTART_PERIOD_DEFAULT, RESTARTS_DEFAULT,
    },
    node::Node,
    spawn::Spawn,
    supervisor::Intensity,
    work::panic_text,
};

use line::Line;

mod line;

/// What a key of a router must be: compared, shown in the name of its actor, sent about.
pub trait Key: Clone + Eq + Hash + Display + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Display + Send + Sync + 'static> Key for K {}

/// Describes actors by key: how one is made, how many may live, how long an idle one does.
///
/// ```
/// use std::time::Duration;
/// use synod_runtime::{actor::Actor, ask::Reply, context::Cx, keyed::Keys, node::Node};
///
/// /// The cart of one customer.
/// struct Cart { items: u64 }
/// enum Msg { Put(u64), Count(Reply<u64>) }
///
/// impl Actor for Cart {
///     type Msg = Msg;
///     fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
///         match msg {
///             Msg::Put(items) => self.items += items,
///             Msg::Count(to) => cx.reply(to, self.items),
///         }
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let node = Node::in_memory().unwrap();
/// let carts = Keys::named("carts", |_customer: &String| Cart { items: 0 })
///     .idle(Duration::from_secs(600))
///     .most(10_000);
/// let carts = node.keyed(carts);
/// carts.tell("ada".to_owned(), Msg::Put(2)).await.unwrap();
/// let items = carts.ask("ada".to_owned(), Msg::Count, Duration::from_secs(5)).await;
/// assert_eq!(items, Ok(2));
/// # });
/// ```
///
/// What must outlast an idle time belongs into a journal: see [`spawn`](Self::spawn).
pub struct Keys<K, A> {
    name: String,
    spawn: Box<dyn Fn(&K) -> Spawn + Send + Sync>,
    birth: Box<dyn Fn(&K) -> A + Send + Sync>,
    idle: Duration,
    most: usize,
    intensity: Intensity,
}

impl<K: Key, A: Actor> Keys<K, A> {
    /// Actors below `name`, of which `birth` makes each incarnation of a key's; 65,536 may live, idle ones for two minutes
    /// (Akka's default).
    pub fn named(name: impl Into<String>, birth: impl Fn(&K) -> A + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            spawn: Box::new(|key| Spawn::named(key.to_string())),
            birth: Box::new(birth),
            idle: KEYED_IDLE,
            most: KEYED_ACTORS,
            intensity: Intensity::new(RESTARTS_DEFAULT, RESTART_PERIOD_DEFAULT),
        }
    }

    /// How long an actor that handles nothing lives; see [`Spawn::passivate`] for what counts as idle.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How many keys live at the most, at least 1.
    #[must_use]
    pub fn most(mut self, keys: usize) -> Self {
        self.most = keys.max(1);
        self
    }

    /// Starts a key's actor again this often within any `period`, once in 5 s by default; one more crash ends that key's actor
    /// and makes dead letters of its queue, and the next message starts another.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Intensity::new(restarts, period);
        self
    }

    /// Chooses the options of a key's actor: its mailbox, its journal; its name is that of the key by default.
    #[must_use]
    pub fn spawn(mut self, spawn: impl Fn(&K) -> Spawn + Send + Sync + 'static) -> Self {
        self.spawn = Box::new(spawn);
        self
    }

    /// Makes the options of the router and what its one incarnation is made of.
    fn prepare(self) -> (Spawn, Directory<K, A::Msg>, impl FnMut() -> Router<K, A>) {
        let directory = Directory::default();
        let (keys, shared) = (Arc::new(self), Arc::clone(&directory));
        let spawn = Spawn::named(&*keys.name);
        let birth = move || Router {
            keys: Arc::clone(&keys),
            live: HashMap::new(),
            directory: Arc::clone(&shared),
        };
        (spawn, directory, birth)
    }
}

impl<K, A> fmt::Debug for Keys<K, A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keys({}, at most {}, idle for {:?})", self.name, self.most, self.idle)
    }
}

impl Node {
    /// Starts a router as a root of this node.
    pub fn keyed<K: Key, A: Actor>(&self, keys: Keys<K, A>) -> Keyed<K, A::Msg> {
        let (spawn, directory, birth) = keys.prepare();
        Keyed { router: self.spawn(spawn, birth), directory }
    }
}

impl<A: Actor> Cx<A> {
    /// Starts a router below this actor; it and the actors of its keys are stopped before this actor is.
    pub fn keyed<K: Key, B: Actor>(&mut self, keys: Keys<K, B>) -> Keyed<K, B::Msg> {
        let (spawn, directory, birth) = keys.prepare();
        Keyed { router: self.spawn(spawn, birth), directory }
    }
}

/// The actors of a router, by key: cheap to clone, valid as long as the router lives.
pub struct Keyed<K, M> {
    router: Addr<Command<K, M>>,
    directory: Directory<K, M>,
}

/// A message that did not reach the actor of its key.
#[derive(PartialEq, Eq, thiserror::Error)]
#[error("the message was not delivered to its key: {why}")]
pub struct Undelivered<M> {
    /// Why not: too many keys live, the key's mailbox is full, the router has ended.
    pub why: AskError,
    /// The message itself.
    pub message: M,
}

impl<M> fmt::Debug for Undelivered<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Undelivered({:?})", self.why)
    }
}

impl<K: Key, M: Send + 'static> Keyed<K, M> {
    /// Sends one message to the actor of `key`, which is started where it does not live.
    ///
    /// # Errors
    /// The message comes back when too many keys live ([`AskError::Refused`]), when the mailbox is full and its policy is to
    /// reject, or when the router has ended.
    ///
    /// # Cancel safety
    /// Dropping the future takes a message that is still on its way back; it is then not delivered.
    pub async fn tell(&self, key: K, message: M) -> Result<(), Undelivered<M>> {
        let living = self.directory.get(&key).map(|living| living.clone());
        let mut message = match living {
            Some(addr) => match addr.tell(message).await {
                Err(TellError::Stopped(message)) => message,
                told => return told.map_err(full),
            },
            None => message,
        };
        for _ in 0..KEYED_ATTEMPTS_MAX {
            let found = self.router.ask(|to| Command::Find(key.clone(), to), KEYED_FIND_WAIT);
            let addr = match found.await {
                Ok(addr) => addr,
                Err(why) => return Err(Undelivered { why, message }),
            };
            message = match addr.tell(message).await {
                // It was put to rest in between, or crashed too often.
                Err(TellError::Stopped(message)) => message,
                told => return told.map_err(full),
            };
        }
        Err(Undelivered { why: AskError::Stopped, message })
    }

    /// Asks the actor of `key`, which is started where it does not live, and waits for the answer, at the most for `within`.
    ///
    /// # Errors
    /// See [`AskError`]; [`AskError::Refused`] where too many keys live.
    ///
    /// # Cancel safety
    /// Dropping the future gives the ask up; a question already queued is still handled.
    pub async fn ask<T: Send + 'static>(
        &self,
        key: K,
        question: impl FnOnce(Reply<T>) -> M,
        within: Duration,
    ) -> Result<T, AskError> {
        let (reply, answer) = Promise::open(&self.router.0.kernel, within);
        let (mut told, mut answer) = (pin!(self.tell(key, question(reply))), pin!(answer));
        let mut is_told = false;
        poll_fn(|cx| {
            if !is_told && let Poll::Ready(told) = told.as_mut().poll(cx) {
                is_told = true;
                if let Err(Undelivered { why, .. }) = told {
                    return Poll::Ready(Err(why));
                }
            }
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// The actor of `key`, for a step to send to or to ask.
    ///
    /// What a full mailbox that waits has no place for stands in line, at most [`KEYED_LINE_MAX`] messages a key. A message beyond
    /// that, or one that finds too many keys alive, becomes a dead letter; a question is answered [`AskError::Refused`].
    pub fn at(&self, key: K) -> AtKey<K, M> {
        AtKey { router: self.router.clone(), key }
    }

    /// How many keys live now.
    pub fn live(&self) -> usize {
        self.directory.len()
    }

    /// The router, to stop, cancel or watch it with all below.
    pub fn router(&self) -> ChildRef {
        self.router.child()
    }
}

fn full<M>(error: TellError<M>) -> Undelivered<M> {
    let why = match error {
        TellError::Full(_) => AskError::Full,
        TellError::Stopped(_) => AskError::Stopped,
    };
    Undelivered { why, message: error.into_message() }
}

impl<K, M> Clone for Keyed<K, M> {
    fn clone(&self) -> Self {
        Self { router: self.router.clone(), directory: Arc::clone(&self.directory) }
    }
}

impl<K: Key, M> fmt::Debug for Keyed<K, M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keyed({:?}, {} live)", self.router, self.directory.len())
    }
}

/// The actor of one key, whether it lives or not: a target for a step.
pub struct AtKey<K, M> {
    router: Addr<Command<K, M>>,
    key: K,
}

impl<K: Clone, M> Clone for AtKey<K, M> {
    fn clone(&self) -> Self {
        Self { router: self.router.clone(), key: self.key.clone() }
    }
}

impl<K: Display, M> fmt::Debug for AtKey<K, M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "AtKey({} of {:?})", self.key, self.router)
    }
}

impl<K: Key, M: Send + 'static> Target<M> for AtKey<K, M> {
    fn deliver(&self, value: M, from: ActorId) -> Delivery {
        Target::deliver(&self.router, Command::Tell(self.key.clone(), value, None), from)
    }

    fn target_name(&self) -> Option<Arc<str>> {
        Target::target_name(&self.router)
    }
}

impl<K: Key, M, T, F> AskTarget<F, T> for AtKey<K, M>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(Reply<T>) -> M,
{
    fn deliver_question(&self, question: F, reply: Reply<T>, from: ActorId) -> Delivery {
        let refuse = reply.refuser();
        let tell = Command::Tell(self.key.clone(), question(reply), Some(refuse));
        Target::deliver(&self.router, tell, from)
    }

    fn target_name(&self) -> Option<Arc<str>> {
        Target::target_name(&self.router)
    }
}

/// The addresses of the keys that live: written by the router alone.
type Directory<K, M> = Arc<DashMap<K, Addr<M>>>;

/// Tells whoever asked why there is no answer.
type Refuse = Box<dyn FnOnce(AskError) + Send>;

/// What a router is told.
enum Command<K, M> {
    /// Hand a message on, and tell whoever asked by it if that cannot be.
    Tell(K, M, Option<Refuse>),
    /// Say where a key's actor is.
    Find(K, Reply<Addr<M>>),
    /// An incarnation has ended: of an idle actor, or of one that crashed.
    Exited(K, ChildExit),
    /// An actor has ended for good.
    Gone(K, Down),
}

/// Starts the actors of its keys and decides on their ends.
struct Router<K, A: Actor> {
    keys: Arc<Keys<K, A>>,
    live: HashMap<K, Live<A::Msg>>,
    directory: Directory<K, A::Msg>,
}

/// The actor of one key.
struct Live<M> {
    addr: Addr<M>,
    intensity: Intensity,
    line: Line,
}

impl<K: Key, A: Actor> Actor for Router<K, A> {
    type Msg = Command<K, A::Msg>;

    fn handle(&mut self, command: Self::Msg, cx: &mut Cx<Self>) {
        match command {
            Command::Tell(key, message, refuse) => match self.place(&key, cx) {
                Ok((addr, line)) => line.send(addr, message, cx),
                Err(why) => self.refuse(message, refuse, why, cx),
            },
            Command::Find(key, to) => match self.actor(&key, cx) {
                Ok(addr) => cx.reply(to, addr),
                Err(why) => cx.refuse(to, why),
            },
            Command::Exited(key, exit) => self.exited(&key, &exit, cx),
            Command::Gone(key, down) => self.forget(&key, down.actor),
        }
    }
}

impl<K: Key, A: Actor> Router<K, A> {
    /// The actor of `key` and its line, if that has room for one more.
    fn place(&mut self, key: &K, cx: &mut Cx<Self>) -> Result<(Addr<A::Msg>, Line), AskError> {
        let addr = self.actor(key, cx)?;
        let line = self.live.get(key).map(|live| live.line.clone()).unwrap_or_default();
        if line.has_room() {
            return Ok((addr, line));
        }
        let text = format!(
            "{KEYED_LINE_MAX} messages wait in line for the mailbox of `{}`; send less, or give it a mailbox that drops",
            addr.name()
        );
        Err(Refusal::new(Code::Overloaded, text).into())
    }

    /// The actor of `key`, started if it does not live.
    fn actor(&mut self, key: &K, cx: &mut Cx<Self>) -> Result<Addr<A::Msg>, AskError> {
        if let Some(live) = self.live.get(key)
            && !live.addr.is_stopped()
        {
            return Ok(live.addr.clone());
        }
        let Keys { name, most, idle, intensity, .. } = &*self.keys;
        if self.live.len() >= *most && !self.live.contains_key(key) {
            let text = format!(
                "{most} keys of `{name}` live, which is the most; let idle ones rest sooner \
                 (`Keys::idle`) or allow more (`Keys::most`)"
            );
            return Err(Refusal::new(Code::Overloaded, text).into());
        }
        let options = AssertUnwindSafe(|| (self.keys.spawn)(key));
        let spawn = std::panic::catch_unwind(options)
            .map_err(|panic| AskError::Failed(panic_text(&*panic)))?
            .passivate(*idle);
        let (keys, own) = (Arc::clone(&self.keys), key.clone());
        let (ended, gone) = (key.clone(), key.clone());
        let addr = cx.spawn_supervised(
            spawn,
            move || (keys.birth)(&own),
            move |exit| Command::Exited(ended.clone(), exit),
        );
        cx.watch(&addr.child(), move |down| Command::Gone(gone, down));
        let (intensity, line) = (intensity.clone(), Line::default());
        let live = Live { addr: addr.clone(), intensity, line };
        drop(self.live.insert(key.clone(), live));
        drop(self.directory.insert(key.clone(), addr.clone()));
        Ok(addr)
    }

    /// An idle actor ends unless something waits for it; a crashed one starts again unless that is too often.
    fn exited(&mut self, key: &K, exit: &ChildExit, cx: &mut Cx<Self>) {
        let of = self.live.get_mut(key).filter(|live| live.addr.id() == exit.child);
        let Some(live) = of else { return };
        let child = live.addr.child();
        if exit.reason.is_failure() && live.intensity.spend(0, cx.now()).is_none() {
            tracing::error!(actor = child.name(), intensity = %live.intensity, "keyed actor given up");
            cx.stop_child(&child);
            self.forget(key, exit.child);
        } else if !exit.reason.is_failure() && child.0.end_if_unused() {
            self.forget(key, exit.child);
        } else {
            cx.restart(&child);
        }
    }

    fn forget(&mut self, key: &K, actor: ActorId) {
        if self.live.get(key).is_some_and(|live| live.addr.id() == actor) {
            self.live.remove(key);
            self.directory.remove(key);
        }
    }

    /// What cannot be handed on ends: a question with its reason, a message as a dead letter.
    fn refuse(&self, message: A::Msg, refuse: Option<Refuse>, why: AskError, cx: &mut Cx<Self>) {
        let (router, name) = (cx.me(), Arc::<str>::from(&*self.keys.name));
        cx.act(move |_| match refuse {
            Some(refuse) => {
                refuse(why);
                drop(message);
            }
            None => {
                let kernel: &Kernel = &router.0.kernel;
                kernel.dead_letter::<A::Msg>(Some(name), why, Box::new(message));
            }
        });
    }
}
