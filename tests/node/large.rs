//! A large real code base: the findings of a run are those of one sequential run with a single part, also when a third of the
//! agents panic, hang or die by SIGKILL in the middle of it; nothing is reported twice.
//!
//! The code base is what some dependencies of this package were built from. `SYNOD_LARGE_TREE` names a larger one.

use std::{
    collections::BTreeSet,
    env, fs,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    pin::Pin,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use synod::{
    actors::{
        agent::{AgentError, Behaviour, CallContext, function::Blocking},
        pattern::map_reduce::{OnPartialFailure, Options, Retries},
    },
    prelude::*,
    review::{
        self, Finding, Review, Reviewer,
        merge::Fold,
        source::{self, Source},
    },
    runtime::backoff::Backoff,
};

use super::place::Place;

/// Packages of more than 300 source files together.
const PACKAGES: [&str; 5] = ["futures-util", "anyhow", "dashmap", "metrics-util", "toml"];
/// The fewest source files that make a code base large.
const SOURCE_FILES_MIN: usize = 300;

/// The reviewers, as the run file calls them, and what each is sent as a program.
const AGENTS: [(&str, &str, &str); 5] = [
    ("rust", "review.rust", "*.rs"),
    ("secrets", "review.secrets", "*"),
    ("typos", "review.typos", "*"),
    ("functions", "review.functions", "*.{py,js,go}"),
    ("duplicates", "review.duplicates", "*.lock"),
];
/// Those of them that are programs in the disturbed run; a third of their instances fail.
const PROGRAMS: usize = 3;
const INSTANCES: usize = 3;

/// Counts how often it was started. Of nine programs the third hangs, the sixth dies by SIGKILL and the ninth exits, each with a
/// request in its hands; the others tell their number of process and become the reviewer.
const SCRIPT: &str = r#"
n=1
while ! mkdir "$3/$n" 2>/dev/null; do n=$((n + 1)); done
case $((n % 9)) in
    3) while read -r request; do :; done; exit ;;
    6) read -r request; kill -9 $$ ;;
    0) read -r request; exit 1 ;;
esac
echo $$ > "$4"
exec "$1" agent "$2"
"#;

#[test]
fn a_run_whose_agents_die_or_hang_finds_what_one_sequential_run_finds() {
    let place = Place::new(&[]);
    let tree = Tree::new(&place);
    let builtins =
        AGENTS.map(|(agent, name, _)| (agent, format!("builtin = {name:?}, timeout = \"10m\"")));
    let sequential = if tree.is_given {
        one_after_the_other(&tree.list())
    } else {
        run_file(&place, &builtins.clone().map(|(name, agent)| (name, agent + ", count = 1")), "");
        let single = ["split.max_files=100000", "split.max_bytes=\"1GiB\"", "split.by=\"size\""];
        let (document, findings) = finished(&run(&place, &tree, &single));
        let units = document["tally"]["units"].as_u64().unwrap();
        assert!(units <= AGENTS.len() as u64, "each agent has a single part, not {units} in all");
        findings
    };
    assert!(sequential.len() > 50, "{sequential:?}");

    run_file(&place, &builtins, "");
    let (calm, findings) = finished(&run(&place, &tree, &["split.max_files=8"]));
    assert!(calm["tally"]["units"].as_u64().unwrap() > 60, "{}", calm["tally"]);
    assert!(findings == sequential, "{:#?}", findings.symmetric_difference(&sequential));

    let killed = {
        let (ended, killed) = disturbed(&place, &tree);
        let (document, findings) = finished(&ended);
        assert!(findings == sequential, "{:#?}", findings.symmetric_difference(&sequential));
        assert_eq!(document["report"]["metrics"], calm["report"]["metrics"]);
        assert!(document["tally"]["retries"].as_u64().unwrap() >= 3, "{}", document["tally"]);
        killed
    };
    assert!(killed > 1, "only {killed} were killed");
}

/// Runs with programs that fail by themselves, and kills a third of the others.
fn disturbed(place: &Place, tree: &Tree) -> (Output, usize) {
    let (script, starts, pipe) = (place.path("agent.sh"), place.path("starts"), place.path("pipe"));
    fs::write(&script, SCRIPT).unwrap();
    fs::create_dir(&starts).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let held = File::options().read(true).write(true).open(&pipe).unwrap();
    let lines = BufReader::new(File::open(&pipe).unwrap()).lines();
    let killer = std::thread::spawn(move || kill_a_third(lines.map(Result::unwrap)));

    let timeout = if tree.is_given { "20s" } else { "5s" };
    let agents: Vec<(&str, String)> = AGENTS
        .iter()
        .enumerate()
        .map(|(at, (agent, name, accepts))| {
            let arguments = [&script, Path::new("{env.SYNOD}"), Path::new(name), &starts, &pipe];
            let process = format!(
                "process = [\"sh\", {}], accepts = {accepts:?}, count = {INSTANCES}, timeout = {timeout:?}",
                arguments.map(|argument| format!("{argument:?}")).join(", ")
            );
            let builtin = format!("builtin = {name:?}");
            (*agent, if at < PROGRAMS { process } else { builtin })
        })
        .collect();
    let pattern =
        "retry = { attempts = 20, backoff = \"1ms\" }\non_partial_failure = \"retry_elsewhere\"";
    run_file(place, &agents, pattern);
    let ended = run(place, tree, &["split.max_files=8"]);
    drop(held);
    (ended, killer.join().unwrap())
}

/// Kills the first of every three programs that told their numbers, once the third began; tells how many were alive.
fn kill_a_third(lines: impl Iterator<Item = String>) -> usize {
    let mut three = Vec::new();
    let mut killed = 0;
    for line in lines {
        three.push(line);
        let [first, _, _] = three.as_slice() else { continue };
        let command = fs::read_to_string(format!("/proc/{first}/cmdline")).unwrap_or_default();
        if command.contains("review.") {
            let pid = Pid::from_raw(first.parse().unwrap()).unwrap();
            killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
        }
        three.clear();
    }
    killed
}

fn run_file<S: AsRef<str>>(place: &Place, agents: &[(&str, S)], pattern: &str) {
    let agents: Vec<(&str, &str)> =
        agents.iter().map(|(name, agent)| (*name, agent.as_ref())).collect();
    place.run_file(&agents, pattern);
}

fn run(place: &Place, tree: &Tree, splits: &[&str]) -> Output {
    let mut command = place.synod(&["run", "run.toml", "--json"]);
    command.env("SYNOD", env!("CARGO_BIN_EXE_synod"));
    command.arg("--set").arg(format!("map_reduce.review.split.path={:?}", tree.path));
    for split in splits {
        command.arg("--set").arg(format!("map_reduce.review.{split}"));
    }
    command.output().unwrap()
}

/// Reads the document of a run that completed without a failed part, and its findings, none of which is there twice.
fn finished(output: &Output) -> (Value, BTreeSet<String>) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        document["failed_parts"].as_array().map(Vec::len),
        Some(0),
        "{}",
        document["failed_parts"]
    );
    let findings: Vec<Finding> =
        serde_json::from_value(document["report"]["findings"].clone()).unwrap();
    (document, set(&findings))
}

fn set(findings: &[Finding]) -> BTreeSet<String> {
    let place = |one: &Finding| {
        (one.file.clone(), one.line, one.column, one.rule.clone(), one.message.clone())
    };
    let places: BTreeSet<_> = findings.iter().map(place).collect();
    assert_eq!(places.len(), findings.len(), "something is reported twice");
    findings.iter().map(|finding| serde_json::to_string(finding).unwrap()).collect()
}

/// The code base.
struct Tree {
    path: PathBuf,
    is_given: bool,
}

impl Tree {
    fn new(place: &Place) -> Self {
        let given = env::var_os("SYNOD_LARGE_TREE");
        let is_given = given.is_some();
        let path =
            given.map_or_else(|| dependencies(place), |given| fs::canonicalize(given).unwrap());
        let tree = Self { path, is_given };
        let files = tree.list().files;
        let sources = files.iter().filter(|file| ["rust", "python"].contains(&file.kind.as_str()));
        let count = sources.count();
        assert!(count >= SOURCE_FILES_MIN, "only {count} source files");
        tree
    }

    fn list(&self) -> Source {
        source::list(&source::Options { path: self.path.clone(), diff: None }).unwrap()
    }
}

/// Copies the sources of some dependencies, which are there because this test was built from them.
fn dependencies(place: &Place) -> PathBuf {
    let said = |command: &mut Command| {
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = said(Command::new(rustc).arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments =
        ["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", host];
    let metadata = said(Command::new(env!("CARGO")).args(arguments));
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let tree = place.path("tree");
    for name in PACKAGES {
        let mut packages = metadata["packages"].as_array().unwrap().iter();
        let package = packages.find(|package| package["name"] == name).unwrap();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        copy(manifest.parent().unwrap(), &tree.join(name));
    }
    tree
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Reviews every file by every reviewer on this thread.
fn one_after_the_other(source: &Source) -> BTreeSet<String> {
    let mut fold = Fold::default();
    for (agent, name, _) in AGENTS {
        let reviewer = review::reviewer(name).unwrap();
        for at in 0..source.files.len() {
            fold.add(review_one(&*reviewer, source, at).by(agent));
        }
    }
    set(&fold.report().findings)
}

fn review_one(reviewer: &dyn Reviewer, source: &Source, at: usize) -> Review {
    let file = &source.files[at];
    if !reviewer.accepts(&file.path) {
        return Review::default();
    }
    let bytes = source::read(&source.root, &file.path).unwrap();
    reviewer.review(&file.source(&bytes))
}

/// An instance of a reviewer in this process.
struct Instance {
    review: Arc<dyn Behaviour<Vec<usize>, Review>>,
    is_faulty: bool,
    calls: AtomicU32,
}

type Answer = Pin<Box<dyn Future<Output = Result<Review, AgentError>> + Send>>;

impl Behaviour<Vec<usize>, Review> for Instance {
    /// Does its work; a faulty instance computes and panics, hangs, crashes its slot, and only then works once.
    fn call(&self, files: Vec<usize>, context: CallContext) -> Answer {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match call % 4 {
            0 if self.is_faulty => {
                let work = self.review.call(files, context);
                Box::pin(async move { panic!("after {} findings", work.await?.findings.len()) })
            }
            1 if self.is_faulty => Box::pin(std::future::pending()),
            2 if self.is_faulty => panic!("before any work"),
            _ => self.review.call(files, context),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_panic_or_hang_in_this_process_change_no_finding() {
    let place = Place::new(&[]);
    let source = Arc::new(Tree::new(&place).list());
    let node = Node::in_memory().unwrap();
    let branches = AGENTS.map(|(agent, name, _)| {
        let (reviewer, source) = (review::reviewer(name).unwrap(), Arc::clone(&source));
        let work = move |files: Vec<usize>, _: CallContext| {
            let mut fold = Fold::default();
            files.iter().for_each(|at| fold.add(review_one(&*reviewer, &source, *at)));
            Ok::<_, String>(fold.into_review().by(agent))
        };
        let review: Arc<dyn Behaviour<Vec<usize>, Review>> = Arc::new(Blocking::new(work, 3));
        let make = move |instance: usize| -> Arc<dyn Behaviour<Vec<usize>, Review>> {
            let is_faulty = instance % INSTANCES == INSTANCES - 1;
            Arc::new(Instance { review: Arc::clone(&review), is_faulty, calls: AtomicU32::new(0) })
        };
        let agent = node.system().agent_each(agent, make).count(INSTANCES);
        Branch::whole(&agent.restarts(1_000, Duration::from_secs(1)).start().unwrap())
    });
    let parts: Vec<Vec<usize>> =
        (0..source.files.len()).collect::<Vec<_>>().chunks(8).map(<[usize]>::to_vec).collect();
    let options = Options {
        retries: Retries {
            attempts: 20,
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(10)),
        },
        on_partial_failure: OnPartialFailure::RetryElsewhere,
        timeout: Duration::from_secs(5),
        ..Options::default()
    };
    let run = MapReduce::new(items(parts), branches.into(), || Collect).options(options);
    let done = node.run(run).deadline(Duration::from_secs(600)).await.unwrap();
    assert_eq!(done.failed, []);
    assert!(done.tally.retries >= 9, "{:?}", done.tally);
    let mut fold = Fold::default();
    done.value.into_iter().for_each(|review| fold.add(review));
    let findings = set(&fold.report().findings);
    let sequential = one_after_the_other(&source);
    assert!(findings == sequential, "{:#?}", findings.symmetric_difference(&sequential));
}
