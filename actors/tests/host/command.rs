//! Command agents: what they are given, and how each end of a program is named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use synod_actors::agent::{AgentError, CommandAgent, Part, Program, Reads, program::VARIABLES};

use crate::bench::{Bench, Test};

pub(crate) const TABLE: &[Test] = &[
    ("command::a_program_gets_files_and_its_output_is_read", reads_output),
    ("command::a_program_sees_a_cleared_environment", clears_environment),
    ("command::a_program_reads_nothing_and_leads_its_own_session", isolates),
    ("command::an_exit_code_outside_of_exit_ok_fails_with_what_was_said", fails_by_code),
    ("command::exit_ok_makes_another_code_good", accepts_codes),
    ("command::exit_137_is_a_code_and_sigkill_is_a_loss", tells_codes_from_signals),
    ("command::a_missing_program_is_not_found", misses_programs),
    ("command::a_missing_directory_is_refused", misses_directories),
    ("command::a_program_that_cannot_be_started_is_a_loss_with_the_reason", cannot_run),
    ("command::garbage_is_shown", shows_garbage),
    ("command::errors_without_end_keep_their_end", keeps_tail),
    ("command::limits_reach_the_program", limits),
    ("command::a_program_over_its_processor_time_is_lost_for_that", limits_cpu),
];

fn lines(bench: &Bench, script: &str) -> Vec<String> {
    let value = bench.ask(&bench.shell(script, Reads::Lines)).unwrap();
    serde_json::from_value(value).unwrap()
}

fn error(bench: &Bench, script: &str) -> AgentError {
    bench.ask(&bench.shell(script, Reads::Json)).unwrap_err()
}

fn reads_output(bench: &Bench) {
    fs::write(bench.folder.path().join("-a b"), "[1]").unwrap();
    let program = Program::new(["cat", "{files}"]);
    let part = Part { files: vec!["-a b".to_owned()], ..bench.part() };
    assert_eq!(bench.call(&bench.command(program, Reads::Json), part), Ok(json!([1])));
    let sarif = bench.shell(r#"echo '{"runs":[]}'"#, Reads::Sarif);
    assert_eq!(bench.ask(&sarif), Ok(json!({"runs": []})));
}

fn clears_environment(bench: &Bench) {
    let value = bench.ask(&bench.command(Program::new(["env"]), Reads::Lines)).unwrap();
    let seen: Vec<String> = serde_json::from_value(value).unwrap();
    let ours = ["SYNOD_TASK", "SYNOD_PART", "SYNOD_ATTEMPT"];
    for line in &seen {
        let name = line.split('=').next().unwrap();
        assert!(VARIABLES.contains(&name) || ours.contains(&name), "{line}");
    }
    assert!(seen.iter().any(|line| line.starts_with("PATH=")));
    assert!(seen.contains(&"SYNOD_TASK=00000000-0000-0000-0000-000000000007".to_owned()));
    assert!(seen.contains(&"SYNOD_ATTEMPT=1".to_owned()));
}

fn isolates(bench: &Bench) {
    let script =
        "cat; read -r pid _ _ _ group session _ < /proc/$$/stat; echo $pid $group $session";
    let seen = lines(bench, script);
    let ids = seen[0].split(' ').collect::<Vec<_>>();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
}

fn fails_by_code(bench: &Bench) {
    let AgentError::Failed { message } = error(bench, "echo out; echo why >&2; exit 3") else {
        panic!("not failed");
    };
    assert_eq!(message, "sh exited with code 3, expected 0; it said \"why\"");
}

fn accepts_codes(bench: &Bench) {
    let agent = |code: u8| {
        let program = Program::new(["sh", "-c", &format!("echo 1; exit {code}")]);
        CommandAgent::new(program, Reads::Json, Some([0, 4].into()), &bench.launcher).unwrap()
    };
    assert_eq!(bench.ask(&agent(4)), Ok(json!(1)));
    let failed = bench.ask(&agent(5)).unwrap_err();
    assert!(failed.to_string().contains("code 5, expected 0 or 4"), "{failed}");
}

fn tells_codes_from_signals(bench: &Bench) {
    assert_eq!(bench.ask(&bench.shell("exit 137", Reads::Exit)), Ok(json!({"exit": 137})));
    let killed = bench.ask(&bench.shell("kill -9 $$", Reads::Exit)).unwrap_err();
    assert_eq!(killed, AgentError::Lost { reason: "killed by signal 9".to_owned() });
    let broken = bench.ask(&bench.shell("kill -PIPE $$", Reads::Exit)).unwrap_err();
    assert_eq!(broken, AgentError::Lost { reason: "killed by signal 13".to_owned() });
}

fn misses_programs(bench: &Bench) {
    let agent = bench.command(Program::new(["no-such-program"]), Reads::Json);
    let program = "no-such-program".to_owned();
    assert_eq!(bench.ask(&agent), Err(AgentError::NotFound { program }));
}

fn misses_directories(bench: &Bench) {
    let part = Part { root: bench.folder.path().join("gone"), ..Part::default() };
    let refused = bench.call(&bench.shell("echo 1", Reads::Json), part).unwrap_err();
    assert!(refused.to_string().contains("gone is not a directory"), "{refused}");
}

fn cannot_run(bench: &Bench) {
    let path = bench.folder.path().join("tool");
    fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let agent = bench.command(Program::new([path.to_str().unwrap()]), Reads::Json);
    let lost = bench.ask(&agent).unwrap_err().to_string();
    assert!(lost.contains("cannot run") && lost.contains("No such file"), "{lost}");
}

fn shows_garbage(bench: &Bench) {
    let text = error(bench, r"printf 'Traceback \033[31m'").to_string();
    assert!(
        text.starts_with(r#"sh printed "Traceback \u{1b}[31m", expected a JSON value"#),
        "{text}"
    );
}

fn keeps_tail(bench: &Bench) {
    let script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 2";
    let text = error(bench, script).to_string();
    assert!(text.ends_with("xend\"") && text.len() < 2_000, "{text}");
}

fn limits(bench: &Bench) {
    let mut program =
        Program::new(["sh", "-c", "ulimit -c; ulimit -n; ulimit -t; ulimit -d; ulimit -f"]);
    program.limits.open_files = Some(99);
    program.limits.cpu_seconds = Some(77);
    program.limits.memory_bytes = Some(256 << 20);
    program.limits.file_bytes = Some(1 << 20);
    let seen = bench.ask(&bench.command(program.clone(), Reads::Lines));
    assert_eq!(seen, Ok(json!(["0", "99", "77", (256 << 10).to_string(), "2048"])));
    program.command = vec!["sh".into(), "-c".into(), "exec head -c 2000000 /dev/zero > big".into()];
    let lost = bench.ask(&bench.command(program, Reads::Exit)).unwrap_err().to_string();
    assert!(lost.contains("signal 25, its limit of file size"), "{lost}");
}

fn limits_cpu(bench: &Bench) {
    let mut program = Program::new(["sh", "-c", "while :; do :; done"]);
    program.limits.cpu_seconds = Some(1);
    program.timeout = Duration::from_secs(20);
    let outcome: Result<Value, _> = bench.ask(&bench.command(program, Reads::Exit));
    let lost = outcome.unwrap_err().to_string();
    assert!(lost.contains("signal 24, its limit of processor time"), "{lost}");
}
