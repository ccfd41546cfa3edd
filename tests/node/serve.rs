//! A user's own program that serves until it is told to end: what it then still takes, and in which order it stops.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    process::{Child, Command, Stdio},
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use rustix::process::Signal;
use synod::{
    prelude::*,
    serve::{ServeError, Served},
};
use tokio::sync::{mpsc, watch};
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _};

use super::place::{PATIENCE, Pipe, Place, Running};

/// The folder of the program, which is the very test that starts it.
const CHILD: &str = "SYNOD_TEST_SERVES";

/// Beside the runs, something that a supervisor has to stop.
struct Shelf;

impl Actor for Shelf {
    type Msg = ();
    fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
}

/// Logs what the program says of its end where it prints.
fn log() {
    let log = tracing_subscriber::fmt::layer().with_ansi(false).without_time();
    let log = log.with_filter(Targets::new().with_target("synod", tracing::Level::DEBUG));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log)).unwrap();
}

/// Squares the numbers that it reads, each in a run of its own, of which two at a time go on; none ends before it reads `go`.
fn squaring_program(folder: &str, watched: Watched) {
    log();
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().for_each(|line| sender.send(line.unwrap()).unwrap());
    });
    let ended = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let node = Node::open(folder).await.unwrap();
        let shelves = Supervisor::one_for_one("shelves");
        node.supervise(shelves.child("upper", || Shelf).child("lower", || Shelf));
        let work = square_all(&node, lines);
        match watched {
            Watched::Not => ended(synod::serve(&node, PATIENCE, work).await),
            Watched::Within => {
                ended(synod::serve(&node, PATIENCE, synod::watch(&node, work)).await)
            }
            Watched::Around => {
                let served = async {
                    let served = synod::serve(&node, PATIENCE, work).await;
                    // What a program does after it.
                    tokio::task::yield_now().await;
                    ended(served)
                };
                synod::watch(&node, served).await.unwrap_or_else(|error| error.to_string())
            }
        }
    });
    println!("{ended}");
}

/// Where the program also watches its node.
#[derive(Clone, Copy)]
enum Watched {
    Not,
    Within,
    Around,
}

fn ended<T>(served: Result<Served<T>, ServeError>) -> String {
    served.map_or_else(|error| error.to_string(), |served| format!("{:?}", served.drained))
}

async fn square_all(node: &Node, mut lines: mpsc::UnboundedReceiver<String>) {
    let go = watch::Sender::new(false);
    let gate = go.clone();
    let square = node.agent("square", move |n: u64, _| {
        let mut gate = gate.subscribe();
        async move {
            println!("{n} has begun");
            gate.wait_for(|open| *open).await?;
            Ok(n * n)
        }
    });
    let square = square.count(2).start().unwrap();
    let mut runs = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(line) = lines.recv() => match line.parse::<u64>() {
                Ok(n) => {
                    let run = node.run(map_reduce([n], &square).reduce(sum()));
                    let run = async move {
                        let accepted = run.start().await?;
                        println!("{n} was accepted");
                        accepted.outcome().await
                    };
                    runs.push(run.map(move |outcome| (n, outcome)));
                }
                Err(_) => drop(go.send_replace(true)),
            },
            Some((n, outcome)) = runs.next() => match outcome {
                Ok(done) => println!("{n} squared is {}", done.value),
                Err(error) => println!("{n}: {error}"),
            },
        }
    }
}

/// The program, which is the very test `myself`; what it prints and logs comes through the pipe.
fn started(place: &Place, myself: &str) -> (Pipe, Child) {
    let pipe = place.pipe("told");
    let told = || File::options().write(true).open(pipe.path()).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([myself, "--exact", "--nocapture"]).env(CHILD, place.path("data"));
    let child = command.stdin(Stdio::piped()).stdout(told()).stderr(told()).spawn().unwrap();
    (pipe, child)
}

/// The program under load: eight runs were accepted, two of them have begun; what it prints comes through the pipe.
fn serving(place: &Place, myself: &str) -> (Pipe, Running, impl FnMut(&str)) {
    let (pipe, mut child) = started(place, myself);
    let mut stdin = child.stdin.take().unwrap();
    let mut say = move |line: &str| writeln!(stdin, "{line}").unwrap();
    (1..=8).for_each(|n| say(&n.to_string()));
    let (mut accepted, mut begun) = (0, 0);
    while accepted < 8 || begun < 2 {
        let line = pipe.line();
        accepted += usize::from(line.ends_with(" was accepted"));
        begun += usize::from(line.ends_with(" has begun"));
        assert!(!line.contains("admission closed"), "{line}");
    }
    (pipe, Running::new(child), say)
}

/// The first line through the pipe that is meant.
fn until(pipe: &Pipe, is_meant: impl Fn(&str) -> bool) -> String {
    std::iter::repeat_with(|| pipe.line()).find(|line| is_meant(line)).unwrap()
}

#[test]
fn sigterm_under_load_refuses_new_runs_ends_those_that_go_on_and_stops_in_reverse() {
    if let Ok(folder) = std::env::var(CHILD) {
        return squaring_program(&folder, Watched::Not);
    }
    let place = Place::new(&[]);
    let myself =
        "serve::sigterm_under_load_refuses_new_runs_ends_those_that_go_on_and_stops_in_reverse";
    let (pipe, running, mut say) = serving(&place, myself);
    running.signal(Signal::TERM);
    until(&pipe, |line| line.contains("admission closed active=8"));
    say("9");
    let refusal = until(&pipe, |line| line.starts_with('9'));
    assert!(refusal.contains("the node is stopping and takes nothing new"), "{refusal}");
    say("go");
    assert_eq!(running.end().code, 0);
    let lines = pipe.drain();
    all_squared(&lines);
    let expected = [
        "runs",
        "agent/square/1/slot",
        "agent/square/1",
        "agent/square/0/slot",
        "agent/square/0",
        "shelves/lower",
        "shelves/upper",
        "shelves",
        "agents/roster",
        "agents",
    ];
    let stopped = lines.iter().filter_map(|line| line.split_once(" stopped ")?.1.split('"').nth(1));
    assert_eq!(stopped.collect::<Vec<_>>(), expected, "{lines:#?}");
}

/// The runs that went on have all ended, and then the node, which flushed its journal last.
fn all_squared(lines: &[String]) {
    let done = lines.iter().filter_map(|line| line.split_once(" squared is "));
    let squares: BTreeSet<u64> = done.map(|(_, square)| square.parse().unwrap()).collect();
    assert_eq!(squares, (1..=8).map(|n| n * n).collect(), "{lines:#?}");
    let last = lines.iter().position(|line| line.contains("journal flushed")).unwrap();
    assert!(lines[last..].iter().all(|line| !line.contains(" stopped ")), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line == "Drained { cut_off: 0, stopped: Clean }"),
        "{lines:#?}"
    );
}

/// A program that also watches its node ends as one that does not.
fn ends_in_order_though_watched(myself: &str, watched: Watched) {
    if let Ok(folder) = std::env::var(CHILD) {
        return squaring_program(&folder, watched);
    }
    let place = Place::new(&[]);
    let (pipe, running, mut say) = serving(&place, myself);
    running.signal(Signal::TERM);
    until(&pipe, |line| line.contains("admission closed active=8"));
    say("9");
    let refusal = until(&pipe, |line| line.starts_with("9:") || line.contains("stopped watching"));
    assert!(refusal.contains("the node is stopping and takes nothing new"), "{refusal}");
    say("go");
    assert_eq!(running.end().code, 0);
    all_squared(&pipe.drain());
}

#[test]
fn a_program_that_watches_within_serving_ends_in_order() {
    let myself = "serve::a_program_that_watches_within_serving_ends_in_order";
    ends_in_order_though_watched(myself, Watched::Within);
}

#[test]
fn a_program_that_watches_around_serving_ends_in_order() {
    let myself = "serve::a_program_that_watches_around_serving_ends_in_order";
    ends_in_order_though_watched(myself, Watched::Around);
}

/// Serves a run whose agent blocks its thread, until the end of its input.
fn blocked_program() {
    log();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = runtime.block_on(async {
        let node = Node::in_memory().unwrap();
        let stuck = node.blocking_agent("stuck", |n: u64, _| {
            println!("{n} has begun");
            std::io::read_to_string(std::io::stdin())?;
            Ok(n)
        });
        let stuck = stuck.start().unwrap();
        let work = async { node.run(map_reduce([1], &stuck).reduce(sum())).await };
        synod::serve(&node, PATIENCE * 10, work).await
    });
    runtime.shutdown_background();
    served.expect("it ends in order");
}

#[test]
fn a_second_signal_ends_a_program_whose_agent_blocks_its_thread() {
    if std::env::var_os(CHILD).is_some() {
        return blocked_program();
    }
    let place = Place::new(&[]);
    let myself = "serve::a_second_signal_ends_a_program_whose_agent_blocks_its_thread";
    let (pipe, mut child) = started(&place, myself);
    let _held = child.stdin.take();
    let running = Running::new(child);
    until(&pipe, |line| line.ends_with("1 has begun"));
    running.signal(Signal::TERM);
    until(&pipe, |line| line.contains("admission closed active=1"));
    running.signal(Signal::INT);
    assert_eq!(running.end().code, 101, "as a program whose `main` has failed");
    let lines = pipe.drain().join("\n");
    assert!(lines.contains("it ends in order: AtOnce { active: 1 }"), "{lines}");
}

#[test]
fn a_second_signal_ends_a_serving_program_at_once() {
    if let Ok(folder) = std::env::var(CHILD) {
        return squaring_program(&folder, Watched::Not);
    }
    let place = Place::new(&[]);
    let (pipe, running, _say) =
        serving(&place, "serve::a_second_signal_ends_a_serving_program_at_once");
    running.signal(Signal::TERM);
    until(&pipe, |line| line.contains("admission closed"));
    running.signal(Signal::INT);
    running.end();
    let lines = pipe.drain().join("\n");
    assert!(lines.contains("told twice to end, so 8 runs were left as they are"), "{lines}");
    assert!(!lines.contains(" squared is "), "{lines}");
}
