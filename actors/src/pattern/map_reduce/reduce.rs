//! How results are put together.

use std::{fmt, iter::Sum as Add, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{agent::CallContext, dispatch::Pattern, pattern::FailedPart};

/// The result of one agent for one part.
#[derive(Clone, Debug, PartialEq)]
pub struct Done<O> {
    /// The part's number in the split.
    pub part: u32,
    /// The part's name.
    pub name: Arc<str>,
    /// The agent that did it.
    pub agent: Arc<str>,
    /// What it came to.
    pub output: O,
}

/// Puts results together. `reduce` and `reduce_partial` run on a thread of their own, `absorb` between messages: it should be quick.
///
/// A panic in any of them counts as failing.
///
/// ```
/// use synod_actors::pattern::{FailedPart, map_reduce::{Done, Reduce}};
///
/// /// The longest result, found as results arrive.
/// #[derive(Clone, Default)]
/// struct Longest(Option<String>);
///
/// impl Reduce<String> for Longest {
///     type Output = String;
///
///     fn absorb(&mut self, done: Done<String>) -> Option<Done<String>> {
///         let longest = [self.0.take(), Some(done.output)].into_iter().flatten();
///         self.0 = longest.max_by_key(String::len);
///         None
///     }
///
///     fn reduce(&mut self, _: &[Done<String>]) -> Result<String, String> {
///         self.0.take().ok_or_else(|| "there was no text".to_owned())
///     }
///
///     fn reduce_partial(
///         &mut self,
///         rest: &[Done<String>],
///         missing: &[FailedPart],
///         _why: Option<&str>,
///     ) -> Result<String, String> {
///         let longest = self.reduce(rest)?;
///         Ok(format!("{longest} (without {} parts)", missing.len()))
///     }
/// }
///
/// let mut longest = Longest::default();
/// for (part, text) in (0..).zip(["one", "three", "two"]) {
///     let done = Done { part, name: "".into(), agent: "reader".into(), output: text.to_owned() };
///     assert_eq!(longest.absorb(done), None);
/// }
/// assert_eq!(longest.reduce(&[]), Ok("three".to_owned()));
/// ```
pub trait Reduce<O>: Send + 'static {
    /// What the run is for.
    type Output: Send + 'static;

    /// Takes a result as it arrives, where the reduction is associative and commutative; gives it back where it is not, to be kept
    /// for [`reduce`](Self::reduce).
    fn absorb(&mut self, done: Done<O>) -> Option<Done<O>> {
        Some(done)
    }

    /// Puts the results that were not absorbed together with those that were; they come in the order of the split.
    ///
    /// # Errors
    /// Why that is not possible; [`reduce_partial`](Self::reduce_partial) is then tried.
    fn reduce(&mut self, results: &[Done<O>]) -> Result<Self::Output, String>;

    /// Puts the results together where that takes agents, by a run below this one for example; none, the default, lets
    /// [`reduce`](Self::reduce) do it. Not called where the run is cut off.
    ///
    /// What is returned is dropped when the run is.
    fn reduce_by(
        &mut self,
        results: &[Done<O>],
        missing: &[FailedPart],
        call: CallContext,
    ) -> Option<Reducing<Self::Output>> {
        let _ = (results, missing);
        drop(call);
        None
    }

    /// Makes what can be made when parts are missing or [`reduce`](Self::reduce) failed, `why` then says how.
    ///
    /// # Errors
    /// Why nothing can be made.
    fn reduce_partial(
        &mut self,
        results: &[Done<O>],
        missing: &[FailedPart],
        why: Option<&str>,
    ) -> Result<Self::Output, String>;
}

/// A reduction that goes on.
pub type Reducing<T> = BoxFuture<'static, Result<T, String>>;

/// Lets a run of another pattern put the results together; made by [`by_run`].
pub struct ByRun<F> {
    name: Arc<str>,
    make: Arc<F>,
}

/// Lets the run that `make` makes of the results put them together, as the run `name` below theirs.
///
/// Of a run that is cut off there is no partial result.
pub fn by_run<O, P: Pattern, F: Fn(&[Done<O>], &[FailedPart]) -> P>(
    name: &str,
    make: F,
) -> ByRun<F> {
    ByRun { name: name.into(), make: Arc::new(make) }
}

impl<F> Clone for ByRun<F> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), make: Arc::clone(&self.make) }
    }
}

impl<F> fmt::Debug for ByRun<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ByRun({})", self.name)
    }
}

impl<O, P, F> Reduce<O> for ByRun<F>
where
    P: Pattern,
    F: Fn(&[Done<O>], &[FailedPart]) -> P + Send + Sync + 'static,
{
    type Output = P::Output;

    fn reduce_by(
        &mut self,
        results: &[Done<O>],
        missing: &[FailedPart],
        call: CallContext,
    ) -> Option<Reducing<P::Output>> {
        let (name, pattern) = (Arc::clone(&self.name), (self.make)(results, missing));
        Some(Box::pin(async move {
            let done = call.run(&name, pattern).await;
            done.map(|done| done.value)
                .map_err(|error| format!("the run `{name}` below it: {error}"))
        }))
    }

    fn reduce(&mut self, _: &[Done<O>]) -> Result<P::Output, String> {
        Err(format!("the run `{}` puts these results together, and did not begin", self.name))
    }

    fn reduce_partial(
        &mut self,
        results: &[Done<O>],
        _: &[FailedPart],
        _: Option<&str>,
    ) -> Result<P::Output, String> {
        self.reduce(results)
    }
}

/// Adds all results as they arrive; made by [`sum`].
#[derive(Clone, Debug)]
pub struct Sum<O>(Option<O>);

/// Adds all results as they arrive; parts without one count as nothing.
pub const fn sum<O>() -> Sum<O> {
    Sum(None)
}

impl<O: Add<O> + Send + 'static> Reduce<O> for Sum<O> {
    type Output = O;

    fn absorb(&mut self, done: Done<O>) -> Option<Done<O>> {
        self.0 = Some(self.0.take().into_iter().chain([done.output]).sum());
        None
    }

    fn reduce(&mut self, _: &[Done<O>]) -> Result<O, String> {
        Ok(self.0.take().into_iter().sum())
    }

    fn reduce_partial(
        &mut self,
        results: &[Done<O>],
        _: &[FailedPart],
        _: Option<&str>,
    ) -> Result<O, String> {
        self.reduce(results)
    }
}

/// Collects all results in the order of the split.
#[derive(Clone, Copy, Debug, Default)]
pub struct Collect;

impl<O: Clone + Send + 'static> Reduce<O> for Collect {
    type Output = Vec<O>;

    fn reduce(&mut self, results: &[Done<O>]) -> Result<Vec<O>, String> {
        Ok(results.iter().map(|done| done.output.clone()).collect())
    }

    fn reduce_partial(
        &mut self,
        results: &[Done<O>],
        _: &[FailedPart],
        _: Option<&str>,
    ) -> Result<Vec<O>, String> {
        self.reduce(results)
    }
}
