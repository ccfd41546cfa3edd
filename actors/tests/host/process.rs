//! Process agents: what is kept between calls, and how each fault ends the right call and no other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::node::Node;
use serde_json::{Value, json};
use synod_actors::agent::{AgentError, Behaviour, Part, ProcessAgent, Program, ProgressSink};
use synod_actors::system::AgentSystem;

use crate::bench::{Bench, Test, context, request_loop};
use crate::life::FAMILY;

pub(crate) const TABLE: &[Test] = &[
    ("process::one_program_answers_many_calls_and_reports_progress", answers),
    ("process::calls_at_the_same_time_are_answered_in_turn", takes_turns),
    ("process::an_error_fails_its_call_and_keeps_the_program", reports_errors),
    ("process::a_death_loses_the_call_and_the_next_call_restarts_it", restarts),
    ("process::an_exit_without_answer_is_named_with_what_was_said", exits),
    ("process::a_closed_output_loses_the_call", closes_output),
    ("process::a_closed_input_ends_by_the_timeout", closes_input),
    ("process::garbage_fails_its_call_and_the_next_call_restarts_it", prints_garbage),
    ("process::an_unknown_request_number_fails_the_call_in_flight", mixes_numbers),
    ("process::a_second_answer_spoils_no_other_call", answers_twice),
    ("process::a_line_without_end_is_too_much", prints_one_line),
    ("process::progress_without_end_is_too_much", prints_progress),
    ("process::large_requests_and_loud_errors_do_not_block", is_loud),
    (
        "process::a_program_that_beats_and_then_hangs_is_ended_with_its_family_and_started_anew",
        falls_silent,
    ),
    ("process::a_missing_program_is_not_found", is_missing),
    ("process::the_documented_program_answers_as_documented", is_documented),
];

const ANSWER: &str = r#"echo "{\"id\":$id,\"result\":$$}""#;

fn limited(body: &str, change: impl FnOnce(&mut Program)) -> Program {
    let mut program = Program::new(["sh", "-c", &request_loop(body)]);
    change(&mut program);
    program
}

/// Asks twice: the first call must fail, the second be answered by another program.
fn fails_once(bench: &Bench, agent: &ProcessAgent) -> AgentError {
    let error = bench.ask(agent).unwrap_err();
    assert!(bench.ask(agent).is_ok());
    error
}

/// Does `fault` at the first request and answers all others.
fn once(fault: &str) -> String {
    format!("case $id in 1) {fault};; *) {ANSWER};; esac")
}

fn answers(bench: &Bench) {
    let agent = bench.process(&format!(r#"echo "{{\"id\":$id,\"progress\":0.5}}"; {ANSWER}"#));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut first = context();
    let sink = Arc::clone(&seen);
    first.progress = ProgressSink::new(move |progress| sink.lock().unwrap().push(progress.share()));
    let one = bench.runtime.block_on(agent.call(bench.part(), first)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [0.5]);
    assert!(one.is_number());
    for _ in 0..20 {
        assert_eq!(bench.ask(&agent), Ok(one.clone()));
    }
}

fn takes_turns(bench: &Bench) {
    let agent = bench.process(ANSWER);
    let calls = (0..8).map(|_| agent.call(bench.part(), context()));
    let answers = bench.runtime.block_on(futures_util::future::join_all(calls));
    let first: &Value = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref() == Ok(first)), "{answers:?}");
}

fn reports_errors(bench: &Bench) {
    let agent = bench.process(r#"echo "{\"id\":$id,\"error\":\"no $$\"}""#);
    let failed = bench.ask(&agent).unwrap_err();
    assert!(matches!(failed, AgentError::Failed { .. }));
    assert_eq!(bench.ask(&agent), Err(failed));
}

fn restarts(bench: &Bench) {
    let error = fails_once(bench, &bench.process(&once("kill -9 $$")));
    assert_eq!(error, AgentError::Lost { reason: "killed by signal 9".to_owned() });
}

fn exits(bench: &Bench) {
    let error = fails_once(bench, &bench.process(&once("echo oops >&2; exit 3")));
    let reason = "it exited with code 3 before it answered; it said \"oops\"".to_owned();
    assert_eq!(error, AgentError::Lost { reason });
}

fn closes_output(bench: &Bench) {
    let pipe = bench.pipe();
    let error = fails_once(bench, &bench.process(&once("exec 3>pipe >&-; sleep 1000")));
    assert_eq!(
        error,
        AgentError::Lost { reason: "it closed its output before it answered".to_owned() }
    );
    pipe.end();
}

fn closes_input(bench: &Bench) {
    let pipe = bench.pipe();
    let after = Duration::from_secs(1);
    let body = once("exec 3>pipe <&-; sleep 1000");
    let program = limited(&body, |program| program.timeout = after);
    assert_eq!(fails_once(bench, &bench.process_of(program)), AgentError::TimedOut { after });
    pipe.drain();
}

fn prints_garbage(bench: &Bench) {
    let error = fails_once(bench, &bench.process(&once("echo hello"))).to_string();
    assert!(
        error.starts_with(r#"sh printed "hello\n", expected a line of the protocol"#),
        "{error}"
    );
}

fn mixes_numbers(bench: &Bench) {
    let body = r#"case $id in 2) echo '{"id":1,"result":1}';; *) echo "{\"id\":$id,\"result\":$id}";; esac"#;
    let agent = bench.process(body);
    assert_eq!(bench.ask(&agent), Ok(json!(1)));
    let error = bench.ask(&agent).unwrap_err().to_string();
    assert!(error.contains("expected an answer to request 2"), "{error}");
    assert_eq!(bench.ask(&agent), Ok(json!(3)));
}

fn answers_twice(bench: &Bench) {
    let agent =
        bench.process(r#"printf '{"id":%s,"result":%s}\n{"id":%s,"result":0}\n' $id $$ $id"#);
    let first = bench.ask(&agent).unwrap();
    let second = bench.ask(&agent).unwrap();
    assert_ne!(first, second);
}

fn prints_one_line(bench: &Bench) {
    let program = limited(&once("yes | tr -d '\\n'"), |program| program.output_bytes_max = 100_000);
    let error = fails_once(bench, &bench.process_of(program));
    assert_eq!(error, AgentError::TooMuchOutput { limit: 100_000 });
}

fn prints_progress(bench: &Bench) {
    let body = once(r#"yes '{"id":1,"progress":0.1}'"#);
    let program = limited(&body, |program| program.output_bytes_max = 100_000);
    let error = fails_once(bench, &bench.process_of(program));
    assert_eq!(error, AgentError::TooMuchOutput { limit: 100_000 });
}

fn is_loud(bench: &Bench) {
    let loud = "head -c 1000000 /dev/zero | tr '\\0' x >&2";
    let program = Program::new([
        "sh",
        "-c",
        &format!("{loud}; {}", request_loop(&format!("{loud}; {ANSWER}"))),
    ]);
    let agent = bench.process_of(program);
    let large = json!("x".repeat(300_000));
    let one = bench.call(&agent, large.clone()).unwrap();
    assert_eq!(bench.call(&agent, large), Ok(one));
}

fn falls_silent(bench: &Bench) {
    let pipe = bench.pipe();
    let beat = r#"echo "{\"id\":$id,\"progress\":0.1}""#;
    let hang = format!("{FAMILY}; {beat}; {beat}; kill -STOP $$");
    let program = Program::new(["sh", "-c", &request_loop(&once(&hang))]);
    let timeout = program.timeout;
    let agent = Arc::new(bench.process_of(program));
    let _runtime = bench.runtime.enter();
    let system = AgentSystem::start(Node::in_memory().unwrap());
    let moody = system.agent_of::<Part, Value>("moody", agent).heartbeat(Duration::from_secs(1));
    let moody = moody.start().unwrap();
    let error = bench.runtime.block_on(moody.ask(bench.part(), timeout)).unwrap_err().to_string();
    assert!(error.contains("it showed no sign of life for"), "{error}");
    // Every one of its processes is gone, and another program answers.
    pipe.drain();
    let answer = bench.runtime.block_on(moody.ask(bench.part(), timeout));
    assert!(answer.is_ok_and(|answer| answer.is_number()));
}

fn is_missing(bench: &Bench) {
    let agent = bench.process_of(Program::new(["no-such-program"]));
    assert!(matches!(bench.ask(&agent), Err(AgentError::NotFound { .. })));
}

/// The text of each code block of the documentation in this language.
fn documented(language: &str) -> Vec<&'static str> {
    let page = include_str!("../../../docs/AGENTS.md");
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn is_documented(bench: &Bench) {
    let request: Value = serde_json::from_str(documented("json")[0]).unwrap();
    let part: Part = serde_json::from_value(request["part"].clone()).unwrap();
    let files = part.files.len();
    let agent = bench.process_of(Program::new(["python3", "-c", documented("python")[0]]));
    assert_eq!(bench.call(&agent, part), Ok(json!({ "files": files })));
    let echo = bench.process(r#"printf '{"id":%s,"result":%s}\n' $id "$line""#);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let seen = bench.ask(&echo).unwrap();
    assert_eq!((keys(&seen), keys(&seen["part"])), (keys(&request), keys(&request["part"])));
}
