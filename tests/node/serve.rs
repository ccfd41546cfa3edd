//! A user's own program that serves until it is told to end: what it then still takes, and in which order it stops.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use rustix::process::Signal;
use synod::prelude::*;
use tokio::sync::{mpsc, watch};
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _};

use super::place::{Pipe, Place, Running};

/// The folder of the program, which is the very test that starts it.
const CHILD: &str = "SYNOD_TEST_SERVES";

/// Beside the runs, something that a supervisor has to stop.
struct Shelf;

impl Actor for Shelf {
    type Msg = ();
    fn handle(&mut self, (): (), _: &mut Cx<Self>) {}
}

/// Squares the numbers that it reads, each in a run of its own, of which two at a time go on; none ends before it reads `go`.
fn squaring_program(folder: &str) {
    let log = tracing_subscriber::fmt::layer().with_ansi(false).without_time();
    let log = log.with_filter(Targets::new().with_target("synod", tracing::Level::DEBUG));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log)).unwrap();
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().for_each(|line| sender.send(line.unwrap()).unwrap());
    });
    let drained = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let node = Node::open(folder).await.unwrap();
        let shelves = Supervisor::one_for_one("shelves");
        node.supervise(shelves.child("upper", || Shelf).child("lower", || Shelf));
        synod::serve(&node, Duration::from_secs(60), square_all(&node, lines)).await
    });
    println!(
        "{}",
        drained.map_or_else(|error| error.to_string(), |drained| format!("{drained:?}"))
    );
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

/// The program under load: eight runs were accepted, two of them have begun; what it prints and logs comes through the pipe.
fn serving(place: &Place, myself: &str) -> (Pipe, Running, impl FnMut(&str)) {
    let pipe = place.pipe("told");
    let told = || File::options().write(true).open(pipe.path()).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([myself, "--exact", "--nocapture"]).env(CHILD, place.path("data"));
    let mut child = command.stdin(Stdio::piped()).stdout(told()).stderr(told()).spawn().unwrap();
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
        return squaring_program(&folder);
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
    let done = lines.iter().filter_map(|line| line.split_once(" squared is "));
    let squares: BTreeSet<u64> = done.map(|(_, square)| square.parse().unwrap()).collect();
    assert_eq!(squares, (1..=8).map(|n| n * n).collect(), "{lines:#?}");
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
    let last = lines.iter().position(|line| line.contains("journal flushed")).unwrap();
    assert!(lines[last..].iter().all(|line| !line.contains(" stopped ")), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line == "Drained { cut_off: 0, stopped: Clean }"),
        "{lines:#?}"
    );
}

#[test]
fn a_second_signal_ends_a_serving_program_at_once() {
    if let Ok(folder) = std::env::var(CHILD) {
        return squaring_program(&folder);
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
