//! The deployment example for real: a service behind a proxy gets another version under load, by programs that are killed.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::place::{Ended, PATIENCE, Pipe, Place, Running};

const FILE: &str = "examples/software_deployment.toml";
const PROGRAM: &str = "examples/software_deployment/agents.py";

/// The machine of the service: it ends, with all that it started, when this does, however that ends.
struct Host {
    place: Place,
    child: Child,
}

impl Host {
    fn new() -> Self {
        let place = Place::new(&[]);
        let mut host = Command::new("python3");
        host.args(["examples/software_deployment/host.py"]).arg(place.path("state")).arg("--tied");
        host.current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut child = host.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("state"), "{line}");
        Self { place, child }
    }

    /// A run of the example with these inputs and options, that tells its result as JSON.
    fn start(&self, inputs: &[(&str, &str)], more: &[&str]) -> Running {
        self.begin(inputs, &[&["--json"], more].concat())
    }

    /// The same, that tells its result as text.
    fn begin(&self, inputs: &[(&str, &str)], more: &[&str]) -> Running {
        let mut synod = self.place.synod(&["run", FILE]);
        synod.current_dir(env!("CARGO_MANIFEST_DIR")).args(more);
        let state = self.place.path("state");
        // However slow this machine is, only what fails counts.
        let usual = [("state", state.to_str().unwrap()), ("millis", "600000"), ("requests", "20")];
        for (name, value) in usual.iter().chain(inputs) {
            synod.arg("--input").arg(format!("{name}={value}"));
        }
        Running::new(synod.spawn().unwrap())
    }

    fn deploy(&self, version: &str, strategy: &str, more: &[&str]) -> Ended {
        self.start(&[("version", version), ("strategy", strategy)], more).end()
    }

    /// Installs the first version.
    fn install(&self) {
        let ended = self.deploy("v1", "blue_green", &[]);
        assert_eq!(
            (ended.code, standing(&ended.json())),
            (0, "rolled_out".to_owned()),
            "{ended:?}"
        );
    }

    fn resume(&self) -> Ended {
        let mut synod = self.place.synod(&["resume", "last", "--json"]);
        Running::new(synod.current_dir(env!("CARGO_MANIFEST_DIR")).spawn().unwrap()).end()
    }

    fn list(&self) -> Value {
        let mut list = Command::new("python3");
        list.arg("examples/software_deployment/host.py").arg(self.place.path("state"));
        let listed = list.arg("--list").current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{listed:?}"))
    }

    fn port(&self) -> u16 {
        u16::try_from(self.list()["proxy"]["port"].as_u64().unwrap()).unwrap()
    }

    /// Checks that these instances run, no others, and that all requests go to them.
    fn is_served_by(&self, names: &[&str]) {
        let listed = self.list();
        let running: Vec<&String> = listed["instances"].as_object().unwrap().keys().collect();
        assert_eq!(running, names, "{listed}");
        let version = names[0].rsplit_once('-').unwrap().0;
        let mut client = Client::new(self.port());
        for _ in 0..40 {
            let (status, answer) = client.get();
            assert_eq!((status, answer["version"].as_str()), (200, Some(version)), "{answer}");
        }
    }

    /// A program in the place of an agent that tells a pipe its number at its `nth` call, and hangs; its next life does its work.
    fn hangs_once(&self, role: &str, nth: u32) -> (Pipe, String) {
        let pipe = self.place.pipe(&format!("{role}-begun"));
        let told = self.place.path(&format!("{role}-hung"));
        let rest = match role {
            "monitoring" => {
                "\"{input.state}\", \"{input.errors}\", \"{input.millis}\", \"{input.requests}\""
            }
            "leader" => "",
            _ => "\"{input.state}\"",
        };
        let script = format!(
            "import os, runpy, sys\n\
             def is_first():\n    try: return os.close(os.open({told:?}, os.O_CREAT | os.O_EXCL)) is None\n    \
             except FileExistsError: return False\n\
             class Lines:\n    def __iter__(self):\n        for number, line in enumerate(sys.__stdin__, 1):\n            \
             if number == {nth} and is_first():\n                \
             with open({pipe:?}, 'w') as pipe: print(os.getpid(), file=pipe)\n                sys.__stdin__.read()\n            yield line\n\
             sys.stdin = Lines()\nsys.argv = sys.argv[1:]\nsys.path.insert(0, os.path.dirname(sys.argv[0]))\n\
             runpy.run_path(sys.argv[0], run_name='__main__')\n",
            pipe = pipe.path(),
        );
        let path = self.place.path(&format!("{role}.py"));
        fs::write(&path, script).unwrap();
        let option = format!(
            "agents.{role}.process=[\"python3\", {path:?}, {PROGRAM:?}, {role:?}{}{rest}]",
            if rest.is_empty() { "" } else { ", " }
        );
        (pipe, option)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.child.stdin.take());
        let ended = self.child.wait();
        assert!(std::thread::panicking() || ended.is_ok_and(|status| status.success()));
    }
}

fn standing(document: &Value) -> String {
    document["hierarchy"]["output"]["outcome"].as_str().unwrap_or_default().to_owned()
}

/// A connection to the proxy that is kept.
struct Client {
    port: u16,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { port, stream: BufReader::new(stream) }
    }

    /// The status and the body of one answer; 0 and why where there is none.
    fn get(&mut self) -> (u16, Value) {
        self.ask().unwrap_or_else(|error| {
            let why = format!("{error}");
            *self = Self::new(self.port);
            (0, Value::from(why))
        })
    }

    fn ask(&mut self) -> std::io::Result<(u16, Value)> {
        self.stream.get_mut().write_all(b"GET /work HTTP/1.1\r\nHost: service\r\n\r\n")?;
        let (mut status, mut length) = (0, 0);
        for number in 0.. {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            match line.split_once(": ") {
                _ if number == 0 => status = line.split(' ').nth(1).unwrap().parse().unwrap(),
                Some(("Content-Length", bytes)) => length = bytes.parse().unwrap(),
                None if line.is_empty() => break,
                Some(_) | None => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// Requests without a pause, on connections that are kept and on new ones, until it is told to end.
struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

/// What came back: by version and status how often, and what was no answer.
#[derive(Debug, Default)]
struct Seen {
    answers: BTreeMap<(String, u16), u64>,
    lost: Vec<Value>,
}

/// The most requests of one client: at the rate of this proxy far more than a test's time has.
const REQUESTS_MAX: u64 = 500_000;

impl Load {
    fn begin(port: u16) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let (mut seen, mut client) = (Seen::default(), Client::new(port));
                for number in 0..REQUESTS_MAX {
                    // At least one after the end of the rollout.
                    let is_last = over.load(Ordering::SeqCst);
                    if number % 10 == 0 {
                        client = Client::new(port);
                    }
                    let (status, answer) = client.get();
                    match answer["version"].as_str() {
                        Some(version) => {
                            *seen.answers.entry((version.to_owned(), status)).or_default() += 1;
                        }
                        None => seen.lost.push(answer),
                    }
                    if is_last {
                        return seen;
                    }
                }
                panic!("the rollout took longer than {REQUESTS_MAX} requests")
            })
        };
        Self { clients: (0..3).map(client).collect(), over }
    }

    fn end(self) -> Seen {
        self.over.store(true, Ordering::SeqCst);
        let mut all = Seen::default();
        for client in self.clients {
            let Seen { answers, lost } = client.join().unwrap();
            answers
                .into_iter()
                .for_each(|(key, count)| *all.answers.entry(key).or_default() += count);
            all.lost.extend(lost);
        }
        all
    }
}

impl Seen {
    fn count(&self, version: &str, status: u16) -> u64 {
        self.answers.get(&(version.to_owned(), status)).copied().unwrap_or_default()
    }

    /// Checks that each request had its answer, and none failed but those that a build fails by itself.
    fn lacks_nothing(&self) {
        assert!(
            self.lost.is_empty(),
            "{} requests had no answer: {:?}",
            self.lost.len(),
            self.lost
        );
        let failed: u64 = self
            .answers
            .iter()
            .filter(|((_, status), _)| *status != 200)
            .map(|(_, count)| count)
            .sum();
        assert_eq!(failed, self.count("faulty", 500), "{:?}", self.answers);
    }
}

/// Deploys another version under load; no request fails.
fn no_request_fails(strategy: &str) {
    let host = Host::new();
    host.install();
    host.is_served_by(&["v1-1", "v1-2"]);
    let load = Load::begin(host.port());
    let ended = host.deploy("v2", strategy, &[]);
    let seen = load.end();
    assert_eq!((ended.code, standing(&ended.json())), (0, "rolled_out".to_owned()), "{ended:?}");
    seen.lacks_nothing();
    assert!(seen.count("v1", 200) > 0 && seen.count("v2", 200) > 0, "{:?}", seen.answers);
    host.is_served_by(&["v2-1", "v2-2"]);
}

#[test]
fn no_request_fails_in_a_blue_green_rollout() {
    no_request_fails("blue_green");
}

#[test]
fn no_request_fails_in_a_canary_rollout() {
    no_request_fails("canary");
}

#[test]
fn no_request_fails_in_a_rolling_rollout() {
    no_request_fails("rolling");
}

/// Deploys a build that fails a fifth of its requests; it is rolled back by itself.
fn is_rolled_back_by_itself(strategy: &str) {
    let host = Host::new();
    host.install();
    let load = Load::begin(host.port());
    let page = host.place.path("out.html");
    let inputs = [("version", "faulty"), ("strategy", strategy)];
    let ended = host.begin(&inputs, &["--report", page.to_str().unwrap()]).end();
    let seen = load.end();
    assert_eq!(ended.code, 3, "{strategy}: {ended:?}");
    assert!(ended.out.contains("rolled back: watch"), "{}", ended.out);
    assert!(ended.out.contains(" % of "), "{}", ended.out);
    seen.lacks_nothing();
    assert!(seen.count("faulty", 500) > 0, "{:?}", seen.answers);
    host.is_served_by(&["v1-1", "v1-2"]);
    let html = fs::read_to_string(&page).unwrap();
    for expected in
        ["class=\"outcome back\"", "faulty-1: with traffic", "to new instances failed", "1: replan"]
    {
        assert!(html.contains(expected), "{strategy}: {expected}");
    }
    assert!(
        !html.replace("http://www.w3.org/2000/svg", "").contains("http"),
        "it needs nothing else"
    );
    let shown = host.place.run(&["show", "last", "--json"]).json();
    assert_eq!(standing(&serde_json::json!({ "hierarchy": shown["hierarchy"] })), "rolled_back");
    let text = host.place.run(&["show", "last", "--events"]).out;
    assert!(text.contains("the supervisor decided to replan: faulty-"), "{text}");
}

#[test]
fn a_blue_green_rollout_of_a_build_that_fails_a_fifth_of_its_requests_is_rolled_back_by_itself() {
    is_rolled_back_by_itself("blue_green");
}

#[test]
fn a_canary_rollout_of_a_build_that_fails_a_fifth_of_its_requests_is_rolled_back_by_itself() {
    is_rolled_back_by_itself("canary");
}

#[test]
fn a_rolling_rollout_of_a_build_that_fails_a_fifth_of_its_requests_is_rolled_back_by_itself() {
    is_rolled_back_by_itself("rolling");
}

/// Kills the program of a worker in the middle of its step; the rollout goes on.
fn goes_on_without(role: &str) {
    let host = Host::new();
    host.install();
    let (pipe, program) = host.hangs_once(role, 1);
    let load = Load::begin(host.port());
    let running = host.start(&[("version", "v2"), ("strategy", "canary")], &["--set", &program]);
    let worker = Pid::from_raw(pipe.line().trim().parse().unwrap()).unwrap();
    kill_process(worker, Signal::KILL).unwrap();
    let ended = running.end();
    let seen = load.end();
    let document = ended.json();
    assert_eq!(
        (ended.code, standing(&document)),
        (0, "rolled_out".to_owned()),
        "{role}: {ended:?}"
    );
    assert_eq!(document["tally"]["retries"], 1, "{role}: its step was done once more");
    seen.lacks_nothing();
    host.is_served_by(&["v2-1", "v2-2"]);
}

#[test]
fn a_rollout_goes_on_though_a_program_is_killed_while_it_starts_an_instance() {
    goes_on_without("infrastructure");
}

#[test]
fn a_rollout_goes_on_though_a_program_is_killed_while_it_verifies_one() {
    goes_on_without("application");
}

#[test]
fn a_rollout_goes_on_though_a_program_is_killed_while_it_watches() {
    goes_on_without("monitoring");
}

#[test]
fn a_rollout_goes_on_though_the_program_of_a_leader_is_killed_while_it_decides() {
    let host = Host::new();
    host.install();
    let (pipe, leader) = host.hangs_once("leader", 1);
    // The first call fails, so that the leader is asked.
    let (path, failed) = (host.place.path("fails.py"), host.place.path("failed"));
    let script = format!(
        "import json, os, runpy, sys\n\
         if not os.path.exists({failed:?}):\n    open({failed:?}, 'w').close()\n    call = json.loads(sys.stdin.readline())\n    \
         print(json.dumps({{'id': call['id'], 'error': 'no port is free'}}), flush=True)\n\
         sys.argv = sys.argv[1:]\nsys.path.insert(0, os.path.dirname(sys.argv[0]))\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    );
    fs::write(&path, script).unwrap();
    let fails = format!(
        "agents.infrastructure.process=[\"python3\", {path:?}, {PROGRAM:?}, \"infrastructure\", \"{{input.state}}\"]"
    );
    let load = Load::begin(host.port());
    let inputs = [("version", "v2"), ("strategy", "canary"), ("instances", "1")];
    let more = ["--set", &leader, "--set", &fails, "--set", "agents.infrastructure.count=1"];
    let running = host.start(&inputs, &more);
    let program = Pid::from_raw(pipe.line().trim().parse().unwrap()).unwrap();
    kill_process(program, Signal::KILL).unwrap();
    let ended = running.end();
    load.end().lacks_nothing();
    // Whoever decides in its place, the rollout ends on one of its two sides.
    match (ended.code, standing(&ended.json()).as_str()) {
        (0, "rolled_out") => host.is_served_by(&["v2-1"]),
        (3, "rolled_back") => host.is_served_by(&["v1-1", "v1-2"]),
        _ => panic!("{ended:?}"),
    }
}

/// Kills a run at its `nth` watch; once it is taken up again it ends as it would have.
fn goes_on_where_it_was(version: &str, nth: u32, expected: &str) {
    let host = Host::new();
    host.install();
    let (pipe, program) = host.hangs_once("monitoring", nth);
    let load = Load::begin(host.port());
    let running = host.start(&[("version", version), ("strategy", "canary")], &["--set", &program]);
    pipe.line();
    running.signal(Signal::KILL);
    running.end();
    let told = host.place.run(&["show", "last"]).out;
    assert!(told.contains("interrupted") && told.contains("the rollout has not ended"), "{told}");
    let ended = host.resume();
    load.end().lacks_nothing();
    let document = ended.json();
    assert_eq!(standing(&document), expected, "{ended:?}");
    assert_eq!(ended.code, if expected == "rolled_out" { 0 } else { 3 });
    assert!(document["tally"]["resumed"].as_u64().unwrap() >= 5, "{document}");
    let decisions = document["hierarchy"]["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), usize::from(expected == "rolled_back"), "it is decided once");
    let names: &[&str] =
        if expected == "rolled_out" { &["v2-1", "v2-2"] } else { &["v1-1", "v1-2"] };
    host.is_served_by(names);
}

#[test]
fn a_rollout_that_was_killed_early_goes_on_where_it_was() {
    goes_on_where_it_was("v2", 1, "rolled_out");
}

#[test]
fn a_rollout_that_was_killed_late_goes_on_where_it_was() {
    goes_on_where_it_was("v2", 3, "rolled_out");
}

#[test]
fn a_rollout_that_was_killed_on_its_way_back_goes_on_back() {
    goes_on_where_it_was("faulty", 2, "rolled_back");
}
