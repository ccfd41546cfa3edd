//! What happened in a world, in order: hashed step by step, so that a second run can be compared with the first.
//!
//! # Invariants
//! - A trace is made of times, names, types and counts, never of addresses.
//! - The comparison stops at the first difference, which names who made it.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{
    clock::Moment,
    lab::Fingerprint,
    limits::{SIM_TRACE_LINES_SHOWN, SIM_TRACE_STEPS_MAX},
};

/// One entry of a trace.
pub(crate) struct Line<'a> {
    pub(crate) at: Moment,
    pub(crate) node: usize,
    pub(crate) name: &'a Arc<str>,
    pub(crate) what: What,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A task ran.
    Poll,
    /// An actor took a step.
    Step { incarnation: u32, variant: u64, effects: usize, message: &'static str },
    /// A fault was injected.
    Fault(&'static str),
    /// A node has thrown its dice so often.
    Dice(u64),
}

/// The trace of one run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: Fingerprint,
    steps: Vec<u64>,
    expected: Option<Vec<u64>>,
    difference: Option<String>,
    latest: VecDeque<Latest>,
    /// Who ran, by node and name, while somebody wants to know.
    runners: Option<BTreeSet<(usize, Arc<str>)>>,
}

#[derive(Debug)]
struct Latest {
    at: Moment,
    node: usize,
    name: Arc<str>,
    what: What,
}

impl Trace {
    /// A trace that must be the same as `expected`.
    pub(crate) fn like(expected: Vec<u64>) -> Self {
        Self { expected: Some(expected), ..Self::default() }
    }

    pub(crate) fn add(&mut self, line: &Line<'_>) {
        self.hash.write_u64(line.at.as_nanos());
        self.hash.write_u64(line.node as u64);
        self.hash.write(line.name.as_bytes());
        match line.what {
            What::Poll => self.hash.write_u64(1),
            What::Step { incarnation, variant, effects, .. } => {
                self.hash.write_u64(u64::from(incarnation));
                self.hash.write_u64(variant);
                self.hash.write_u64(effects as u64);
            }
            What::Fault(kind) => kind.hash(&mut self.hash),
            What::Dice(throws) => self.hash.write_u64(throws),
        }
        self.compare(line);
        if self.steps.len() < SIM_TRACE_STEPS_MAX {
            self.steps.push(self.hash.finish());
        }
        if line.what == What::Poll {
            if let Some(runners) = &mut self.runners {
                runners.insert((line.node, Arc::clone(line.name)));
            }
            return;
        }
        if self.latest.len() == SIM_TRACE_LINES_SHOWN {
            self.latest.pop_front();
        }
        let (at, node, name, what) = (line.at, line.node, Arc::clone(line.name), line.what);
        self.latest.push_back(Latest { at, node, name, what });
    }

    fn compare(&mut self, line: &Line<'_>) {
        let Some(expected) = &self.expected else { return };
        let at = self.steps.len();
        if self.difference.is_some() || at >= SIM_TRACE_STEPS_MAX {
            return;
        }
        if expected.get(at) != Some(&self.hash.finish()) {
            let line = Latest {
                at: line.at,
                node: line.node,
                name: Arc::clone(line.name),
                what: line.what,
            };
            self.difference = Some(format!(
                "the second run of the seed differs at step {at}: {line}; it, or whoever sent to it, does not depend on the \
                 seed alone (a hash table's order, the machine's clock, dice or addresses)"
            ));
        }
    }

    /// Notes from now on who runs.
    pub(crate) fn note_runners(&mut self) {
        self.runners = Some(BTreeSet::new());
    }

    /// Who has run since it was noted, by node and name.
    pub(crate) fn take_runners(&mut self) -> BTreeSet<(usize, Arc<str>)> {
        self.runners.take().unwrap_or_default()
    }

    /// The hash of everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// The hash after each step.
    pub(crate) fn into_steps(self) -> Vec<u64> {
        self.steps
    }

    /// Where this run differs from the one before, if it does.
    pub(crate) fn difference(&self) -> Option<String> {
        if let Some(expected) = &self.expected
            && self.difference.is_none()
            && expected.len() > self.steps.len()
        {
            let (first, second) = (expected.len(), self.steps.len());
            return Some(format!(
                "the second run of the seed ended after {second} steps, the first after {first}"
            ));
        }
        self.difference.clone()
    }

    /// Where this run differs, if it does so already.
    pub(crate) fn differs(&self) -> Option<String> {
        self.difference.clone()
    }

    /// The last lines, for people.
    pub(crate) fn latest(&self) -> String {
        self.latest.iter().map(|line| format!("    {line}\n")).collect()
    }
}

impl fmt::Display for Latest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = std::time::Duration::from_nanos(self.at.as_nanos()).as_secs_f64();
        write!(out, "{seconds:>12.6} s  node {}  {}: ", self.node, self.name)?;
        match self.what {
            What::Poll => out.write_str("ran"),
            What::Step { variant: 0, incarnation, effects, .. } => {
                write!(out, "incarnation {incarnation} started, {effects} effects")
            }
            What::Step { incarnation, variant, effects, message } => write!(
                out,
                "incarnation {incarnation} handled a {} (variant {:04x}), {effects} effects",
                short(message),
                variant & 0xffff
            ),
            What::Fault(kind) => write!(out, "fault: {kind}"),
            What::Dice(throws) => write!(out, "threw dice {throws} times"),
        }
    }
}

/// The last two words of a type's path, without what it is generic over: `slot::Msg`.
fn short(message: &'static str) -> &'static str {
    let path = message.split('<').next().unwrap_or(message);
    let cut = path.rmatch_indices("::").nth(1);
    cut.and_then(|(at, sign)| path.get(at + sign.len()..)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_shown_without_what_surrounds_it() {
        assert_eq!(short("synod_actors::agent::slot::Msg<a::Part, b::Value>"), "slot::Msg");
        assert_eq!((short("u64"), short("till::Sell")), ("u64", "till::Sell"));
        assert_eq!(short("core::option::Option<u64>"), "option::Option");
    }
}
