//! A task that is done by events alone: nobody here knows anybody's address.
//!
//! `cargo run --example events` lets a desk hand out texts to count, two agents vote on the result, and an actor keep the books.
//! Each only hears what it subscribed to and says what it did; the books are complete when the milestone is reached.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use synod::{
    prelude::*,
    protocol::event::{
        CONSENSUS_REACHED, MILESTONE_REACHED, SYNC_REQUESTED, TASK_COMPLETED, TASK_CREATED,
        VOTE_REQUESTED,
    },
    runtime::{
        backoff::Backoff,
        events::{Draft, Event, Filter, Received, Target},
    },
};

/// A word of our own; the others are Synod's.
const BALLOT_CAST: &str = "ballot_cast";
const VOTERS: [&str; 2] = ["cautious", "bold"];
const MINUTE: Duration = Duration::from_secs(60);

/// Splits the task into parts, one for each text, and asks for a vote when all are counted.
struct Desk {
    texts: Vec<&'static str>,
    words: BTreeMap<String, u64>,
    votes: usize,
}

impl Actor for Desk {
    type Msg = Received;

    fn start(&mut self, cx: &mut Cx<Self>) {
        listen(cx, Filter::new().kinds([SYNC_REQUESTED, TASK_COMPLETED, BALLOT_CAST]));
    }

    fn handle(&mut self, heard: Received, cx: &mut Cx<Self>) {
        // What this actor missed, nobody repeats: a fresh start is better than a wrong sum.
        let Received::Event(event) = heard else { return cx.crash("events were missed") };
        match &*event.kind {
            SYNC_REQUESTED => {
                for text in &self.texts {
                    say(cx, Draft::new(TASK_CREATED).data((*text).into()));
                }
            }
            TASK_COMPLETED => {
                let Ok((text, words)) = event.read::<(String, u64)>() else { return };
                self.words.insert(text, words);
                if self.words.len() == self.texts.len() {
                    let vote = Draft::new(VOTE_REQUESTED).data(self.sum().into());
                    say(cx, vote.to(Target::Name("agent".into())));
                }
            }
            _ => {
                self.votes += usize::from(event.data == true);
                if self.votes == VOTERS.len() {
                    say(cx, Draft::new(CONSENSUS_REACHED).data(self.sum().into()));
                }
            }
        }
    }
}

impl Desk {
    fn new(texts: Vec<&'static str>) -> Self {
        Self { texts, words: BTreeMap::new(), votes: 0 }
    }

    fn sum(&self) -> u64 {
        self.words.values().sum()
    }
}

/// Writes down every event of the task; tells when the end is reached.
#[derive(Default)]
struct Books(BTreeMap<String, u64>);

impl Actor for Books {
    type Msg = Received;

    fn start(&mut self, cx: &mut Cx<Self>) {
        listen(cx, Filter::new());
    }

    fn handle(&mut self, heard: Received, cx: &mut Cx<Self>) {
        let Received::Event(event) = heard else { return cx.crash("events were missed") };
        *self.0.entry(event.kind.clone()).or_default() += 1;
        if event.kind == CONSENSUS_REACHED {
            let books = self.0.iter().map(|(kind, count)| (kind.clone(), (*count).into()));
            let data = [("words".to_owned(), event.data.clone())].into_iter().chain(books);
            say(cx, Draft::new(MILESTONE_REACHED).data(data.collect()));
        }
    }
}

fn listen<A: Actor<Msg = Received>>(cx: &mut Cx<A>, filter: Filter) {
    if let Err(refusal) = cx.subscribe(filter, |received| received) {
        cx.crash(refusal.text);
    }
}

fn say<A: Actor>(cx: &mut Cx<A>, draft: Draft) {
    if let Err(error) = cx.publish_event(draft) {
        cx.crash(error.to_string());
    }
}

/// Two agents that are called by events: one counts, all vote.
fn agents(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    let counter = node.agent("counter", |text: String, cx| async move {
        let words = text.split_whitespace().count();
        let done = Draft::new(TASK_COMPLETED);
        cx.publish(done.data(json!([text, words])))?;
        Ok(())
    });
    let counter = counter.count(2).start()?;
    node.on(Filter::new().kinds([TASK_CREATED]), &counter, MINUTE, read::<String>)?;
    for name in VOTERS {
        let voter = node.agent(name, |words: u64, cx| async move {
            cx.publish(Draft::new(BALLOT_CAST).data((words > 0).into()))?;
            Ok(())
        });
        node.on(Filter::new().kinds([VOTE_REQUESTED]), &voter.start()?, MINUTE, read::<u64>)?;
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(heard: Received) -> Option<T> {
    let Received::Event(event) = heard else { return None };
    event.read().ok()
}

async fn count(texts: Vec<&'static str>) -> Result<Event, Box<dyn std::error::Error>> {
    let node = Node::in_memory()?;
    let kernel = node.kernel();
    let mut milestone = kernel.events().subscribe(Filter::new().kinds([MILESTONE_REACHED]))?;
    agents(&node)?;
    // Whoever cannot subscribe, since too many do, fails, and is started again a while later.
    let team = Supervisor::one_for_one("team").intensity(10, MINUTE).backoff(Backoff::default());
    let team = team.child("desk", move || Desk::new(texts.clone())).child("books", Books::default);
    kernel.supervise(team);
    // Everyone listens: the milestone's, the counter's, the voters', the desk's and the books' subscription.
    while kernel.events().subscriptions() < 6 {
        tokio::task::yield_now().await;
    }
    kernel.publish_event(Draft::new(SYNC_REQUESTED), "main")?;
    match milestone.next().await {
        Some(Received::Event(event)) => Ok(Event::clone(&event)),
        other => Err(format!("no milestone: {other:?}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let texts = vec!["one", "one two", "one two three"];
    let milestone = tokio::time::timeout(MINUTE, count(texts)).await??;
    let books = &milestone.data;
    assert_eq!(books["words"], 6, "all texts are counted: {books}");
    assert_eq!(books[TASK_CREATED], 3, "{books}");
    assert_eq!(books[TASK_COMPLETED], 3, "{books}");
    assert_eq!(books[BALLOT_CAST], 2, "both agents have voted: {books}");
    assert_eq!((&*milestone.source, milestone.coordinator_id.is_some()), ("team/books", true));
    println!(
        "{} words, counted and agreed on by events alone; heard by the books:",
        books["words"]
    );
    for (kind, count) in
        books.as_object().into_iter().flatten().filter(|(kind, _)| *kind != "words")
    {
        println!("{count:>3} {kind}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desk_hands_out_its_texts_when_it_is_told_to_begin() {
        let mut desk = Probe::new(Desk::new(vec!["a", "b c"]));
        let mut created = desk.events().subscribe(Filter::new()).unwrap();
        desk.publish(Draft::new(SYNC_REQUESTED), "test").unwrap();
        let heard = std::iter::from_fn(|| created.try_next()).filter_map(read::<String>);
        assert_eq!(heard.collect::<Vec<_>>(), ["a", "b c"]);
    }

    #[tokio::test]
    async fn texts_are_counted_by_events_alone() {
        let milestone = count(vec!["one two", "three"]).await.unwrap();
        assert_eq!(milestone.data["words"], 3);
    }
}
