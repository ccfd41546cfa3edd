//! What happened in a run, in the order of time, as its journal tells it.

use runtime::emergency::StopRecord;

use super::{
    brought::Brought,
    history::{History, Work, end},
    missions,
    output::clean,
    result::outcome_word,
};

/// One event of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in Unix milliseconds.
    pub at: i64,
    /// What, in one line.
    pub what: String,
}

/// Tells what happened; with `all`, of each piece of work too.
pub fn events(history: &History, all: bool) -> Vec<Event> {
    let mut events = vec![event(history.request.at, "accepted".to_owned())];
    if let Some(at) = history.began {
        let parts = match history.parts {
            0 => String::new(),
            parts => format!(" with {parts} parts"),
        };
        events.push(event(at, format!("began{parts}")));
    }
    if all {
        for work in &history.work {
            events.push(event(work.at, format!("{} began {}", clean(&work.agent), named(work))));
            events.push(event(end(work), ending(work)));
            let left = work.instead_of.iter().map(|fall| {
                let (agent, error) = (clean(&fall.agent), clean(&fall.error));
                event(fall.at, format!("{agent} left {} to its fallback: {error}", named(work)))
            });
            events.extend(left);
        }
    }
    if let Some(Brought::Hierarchy(account)) = &history.brought {
        let decided = account.decisions.iter();
        events.extend(decided.map(|own| event(own.at, missions::decision(own))));
    }
    if let Some(ended) = &history.ended {
        let word = outcome_word(ended.failure.as_ref()).replace('_', " ");
        events.push(event(ended.at, format!("ended: {word}")));
    }
    events.extend(history.stops.iter().map(|stop| event(millis(stop), stopped(stop))));
    events.sort_by_key(|event| event.at);
    events
}

/// Says who stopped a run in an emergency, and why.
pub fn stopped(stop: &StopRecord) -> String {
    format!("stopped in an emergency by {}: {}", clean(&stop.by), clean(&stop.stop.reason))
}

/// When it was stopped, in Unix milliseconds.
pub const fn millis(stop: &StopRecord) -> i64 {
    stop.at / 1_000_000
}

/// Writes events as lines, each with its time since the first.
pub fn lines(events: &[Event]) -> String {
    let first = events.first().map_or(0, |event| event.at);
    let line = |event: &Event| {
        let millis = event.at.saturating_sub(first);
        format!("{:>6}.{:03} s  {}\n", millis / 1_000, millis.rem_euclid(1_000), event.what)
    };
    events.iter().map(line).collect()
}

fn event(at: i64, what: String) -> Event {
    Event { at, what }
}

fn ending(work: &Work) -> String {
    let agent = clean(&work.agent);
    match &work.error {
        None => format!("{agent} did {} at attempt {}", named(work), work.attempt),
        Some(error) => format!(
            "{agent} failed {} after {} attempts: {}",
            named(work),
            work.attempt,
            clean(error)
        ),
    }
}

/// The name of a piece of work, with that of its pattern where several ran.
pub fn named(work: &Work) -> String {
    let name = if work.name.is_empty() { format!("part {}", work.part) } else { clean(&work.name) };
    work.pattern
        .as_ref()
        .map_or_else(|| name.clone(), |pattern| format!("{}: {name}", clean(pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_with_the_time_since_the_first() {
        let told = [event(1_000, "accepted".into()), event(2_250, "ended: completed".into())];
        assert_eq!(lines(&told), "     0.000 s  accepted\n     1.250 s  ended: completed\n");
        assert_eq!(lines(&[]), "");
    }
}
