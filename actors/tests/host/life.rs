//! Nothing of a program outlives its call: however the call, the program, the launcher or the host ends.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use runtime::node::Node;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use synod_actors::{
    agent::{AgentError, Behaviour, CommandAgent, Launcher, Program, Reads, call::Part},
    pattern::map_reduce::map_reduce,
    system::AgentSystem,
};

use crate::bench::{Bench, Pipe, Test, context, request_loop};

pub(crate) const TABLE: &[Test] = &[
    ("life::what_a_program_leaves_running_dies_when_it_ends", ends),
    ("life::a_program_over_its_time_dies_with_all_it_started", times_out),
    ("life::a_stopped_program_dies_when_its_time_is_over", stops),
    ("life::a_program_that_prints_without_end_is_killed", overflows),
    ("life::dropping_a_call_kills_all_that_it_started", is_dropped),
    ("life::a_program_that_asks_for_it_gets_its_grace", gets_grace),
    ("life::an_emergency_stop_leaves_no_grace", gets_no_grace),
    ("life::an_emergency_stop_lets_no_program_start_any_more", begins_nothing),
    ("life::a_launcher_that_kills_leaves_nothing_and_starts_nothing", kills_all),
    ("life::killing_the_host_kills_all_that_it_started", loses_host),
    ("life::killing_the_launcher_kills_the_program", loses_launcher),
    ("life::dropping_a_process_agent_ends_its_program", drops_process),
    ("life::dropping_the_call_of_a_process_agent_kills_its_program", drops_process_call),
    ("life::an_emergency_stop_kills_the_programs_of_agents_that_work_and_that_wait", emergency),
];

/// Starts two descendants that leave the session, one of them an orphan, and says so through the pipe.
pub(crate) const FAMILY: &str = "exec 3>pipe
    setsid sleep 1000 &
    (setsid sh -c 'trap \"\" TERM; echo orphan >&3; sleep 1000' &)
    echo parent >&3";

const ANSWERS: &str = r#"echo "{\"id\":$id,\"result\":1}""#;
const SOON: Duration = Duration::from_secs(20);

fn family(then: &str) -> String {
    format!("{FAMILY}\n{then}")
}

fn await_family(pipe: &Pipe) {
    let mut lines = [pipe.line(), pipe.line()];
    lines.sort();
    assert_eq!(lines, ["orphan", "parent"]);
}

fn program(then: &str, timeout: Duration) -> Program {
    let mut program = Program::new(["sh", "-c", &family(then)]);
    program.timeout = timeout;
    program
}

fn ends(bench: &Bench) {
    let pipe = bench.pipe();
    let value = bench.ask(&bench.shell(&family("echo done"), Reads::Lines)).unwrap();
    assert_eq!(value, serde_json::json!(["done"]));
    pipe.drain();
}

fn times_out(bench: &Bench) {
    let pipe = bench.pipe();
    let after = Duration::from_secs(1);
    let outcome = bench.ask(&bench.command(program("wait", after), Reads::Exit));
    assert_eq!(outcome, Err(AgentError::TimedOut { after }));
    pipe.drain();
}

fn stops(bench: &Bench) {
    let pipe = bench.pipe();
    let after = Duration::from_secs(1);
    let outcome = bench.ask(&bench.command(program("kill -STOP $$", after), Reads::Exit));
    assert_eq!(outcome, Err(AgentError::TimedOut { after }));
    pipe.drain();
}

fn overflows(bench: &Bench) {
    let pipe = bench.pipe();
    let mut endless = program("yes", Duration::from_secs(20));
    endless.output_bytes_max = 100_000;
    let outcome = bench.ask(&bench.command(endless, Reads::Lines));
    assert_eq!(outcome, Err(AgentError::TooMuchOutput { limit: 100_000 }));
    pipe.drain();
}

fn is_dropped(bench: &Bench) {
    let pipe = bench.pipe();
    let call = bench.shell(&family("wait"), Reads::Exit).call(bench.part(), context());
    let running = bench.runtime.spawn(call);
    await_family(&pipe);
    running.abort();
    pipe.end();
}

fn kills_all(bench: &Bench) {
    let pipe = bench.pipe();
    let mut stubborn = program("trap '' TERM; wait", SOON);
    stubborn.grace = 3 * SOON;
    let launcher = Launcher::at("/proc/self/exe");
    let agent = CommandAgent::new(stubborn, Reads::Exit, None, &launcher).unwrap();
    let working = bench.runtime.spawn(agent.call(bench.part(), context()));
    await_family(&pipe);
    working.abort();
    let kill = async { tokio::time::timeout(SOON, launcher.kill()).await };
    bench.runtime.block_on(kill).expect("its grace is not waited for").unwrap();
    pipe.end();
    let refused = bench.ask(&agent).unwrap_err();
    assert!(matches!(&refused, AgentError::Refused { .. }), "{refused}");
}

fn gets_grace(bench: &Bench) {
    let pipe = bench.pipe();
    let script = "exec 3>pipe; trap 'echo bye >&3; exit' TERM; echo ready >&3; sleep 1000 & wait";
    let mut polite = Program::new(["sh", "-c", script]);
    polite.grace = Duration::from_secs(20);
    let call = bench.command(polite, Reads::Exit).call(bench.part(), context());
    let running = bench.runtime.spawn(call);
    assert_eq!(pipe.line(), "ready");
    running.abort();
    assert_eq!(pipe.line(), "bye");
    pipe.end();
}

/// As above, but nobody is asked.
fn gets_no_grace(bench: &Bench) {
    let pipe = bench.pipe();
    let script = "exec 3>pipe; trap 'echo bye >&3; exit' TERM; echo ready >&3; sleep 1000 & wait";
    let mut polite = Program::new(["sh", "-c", script]);
    polite.grace = Duration::from_secs(20);
    let agent = Arc::new(bench.command(polite, Reads::Exit));
    let _runtime = bench.runtime.enter();
    let (node, privilege) = Node::builder().open_privileged().unwrap();
    let agent = AgentSystem::start(node.clone()).agent_of::<Part, Value>("polite", agent);
    let (agent, part) = (agent.start().unwrap(), bench.part());
    let answer = bench.runtime.spawn(async move { agent.ask(part, SOON).await });
    assert_eq!(pipe.line(), "ready");
    let halted = node.emergency_stop(&privilege, "a test", "they spend too much").unwrap();
    let halted = bench.runtime.block_on(halted);
    assert!(halted.is_quiet(), "{halted:?}");
    pipe.end();
    assert!(bench.runtime.block_on(answer).unwrap().is_err());
}

/// The launcher is only just starting: it does not come as far as the program.
fn begins_nothing(bench: &Bench) {
    let (pipe, path) = (bench.pipe(), bench.folder.path().join("late"));
    let script = "#!/bin/sh
exec 3>pipe; mkfifo gate; echo held >&3; read -r go <gate
";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    let mut program = Program::new(["sh"]);
    program.grace = 3 * SOON;
    let agent = CommandAgent::new(program, Reads::Exit, None, &Launcher::at(path)).unwrap();
    let _runtime = bench.runtime.enter();
    let (node, privilege) = Node::builder().open_privileged().unwrap();
    let system = AgentSystem::start(node.clone());
    let agent = system.agent_of::<Part, Value>("late", Arc::new(agent)).start().unwrap();
    let part = bench.part();
    let answer = bench.runtime.spawn(async move { agent.ask(part, SOON).await });
    assert_eq!(pipe.line(), "held");
    let halted = node.emergency_stop(&privilege, "a test", "they spend too much").unwrap();
    let halted = bench.runtime.block_on(halted);
    assert!(halted.is_quiet(), "{halted:?}");
    pipe.end();
    assert!(bench.runtime.block_on(answer).unwrap().is_err());
}

fn loses_host(bench: &Bench) {
    let pipe = bench.pipe();
    let mut host = bench.host(&family("wait"));
    await_family(&pipe);
    host.kill().unwrap();
    host.wait().unwrap();
    pipe.end();
}

fn loses_launcher(bench: &Bench) {
    let pipe = bench.pipe();
    let script = "exec 3>pipe; echo $PPID >&3; exec sleep 1000";
    let call = bench.shell(script, Reads::Exit).call(bench.part(), context());
    let running = bench.runtime.spawn(call);
    let launcher = pipe.line().parse().unwrap();
    kill_process(Pid::from_raw(launcher).unwrap(), Signal::KILL).unwrap();
    pipe.end();
    let lost = bench.runtime.block_on(running).unwrap().unwrap_err().to_string();
    assert!(lost.contains("its launcher: signal: 9"), "{lost}");
}

/// A process agent that answers once and says so when its input ends.
fn polite_process(answer: &str) -> Program {
    let body = request_loop(answer);
    let mut program = Program::new(["sh", "-c", &format!("{FAMILY}; {body}; echo bye >&3")]);
    program.grace = Duration::from_secs(20);
    program
}

fn drops_process(bench: &Bench) {
    let pipe = bench.pipe();
    let agent = bench.process_of(polite_process(r#"echo "{\"id\":$id,\"result\":1}""#));
    assert_eq!(bench.ask(&agent), Ok(serde_json::json!(1)));
    await_family(&pipe);
    drop(agent);
    assert_eq!(pipe.line(), "bye");
    pipe.end();
}

fn drops_process_call(bench: &Bench) {
    let pipe = bench.pipe();
    let mut silent = polite_process("echo asked >&3; sleep 1000");
    silent.grace = Duration::ZERO;
    let agent = bench.process_of(silent);
    let running = bench.runtime.spawn(agent.call(bench.part(), context()));
    let mut lines = [pipe.line(), pipe.line(), pipe.line()];
    lines.sort();
    assert_eq!(lines, ["asked", "orphan", "parent"]);
    running.abort();
    pipe.end();
}

fn emergency(bench: &Bench) {
    // One that works, with its grandchildren, and one that waits for its next request.
    for (body, lines) in [("echo asked >&3; sleep 1000", 3), (ANSWERS, 2)] {
        let pipe = bench.pipe();
        let script = format!("{FAMILY}; {}", request_loop(body));
        let agent = Arc::new(bench.process_of(Program::new(["sh", "-c", &script])));
        let _runtime = bench.runtime.enter();
        let (node, privilege) = Node::builder().open_privileged().unwrap();
        let system = AgentSystem::start(node.clone());
        let agent = system.agent_of::<Part, Value>("process", agent).start().unwrap();
        let (asked, part) = (agent.clone(), bench.part());
        let answer = bench.runtime.spawn(async move { asked.ask(part, SOON).await });
        (0..lines).for_each(|_| drop(pipe.line()));
        if lines == 2 {
            assert_eq!(bench.runtime.block_on(answer).unwrap(), Ok(serde_json::json!(1)));
        }
        let halted = node.emergency_stop(&privilege, "a test", "they spend too much").unwrap();
        let halted = bench.runtime.block_on(halted);
        assert!(halted.is_quiet(), "{halted:?}");
        // Though the handle of the agent is still held.
        pipe.end();
        pipe.remove();
        let refused =
            bench.runtime.block_on(system.run(map_reduce([bench.part()], &agent)).start());
        let refused = refused.map(drop).unwrap_err();
        assert!(refused.to_string().contains("stopped in an emergency"), "{refused}");
    }
}
