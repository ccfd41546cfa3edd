//! `synod agent`: serves one built-in agent over standard input and output, as the process agent of docs/AGENTS.md.
//!
//! So a built-in agent runs in a process of its own, with the limits and the end of any other program.
//!
//! # Invariants
//! - Requests are answered one after the other, each once; what is no request ends the program with a reason.

use std::io::{self, BufRead, Read};

use actors::agent::{CallContext, Part, ProgressSink};
use protocol::TaskId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    exit::Exit,
    output::{Failure, print},
};
use crate::{job, limits::AGENT_REQUEST_BYTES_MAX};

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    id: u64,
    task: TaskId,
    attempt: u32,
    part: Part,
}

/// Answers every line of standard input until its end.
///
/// # Errors
/// [`Failure`] for a name that no agent has, a line that is no request, and input that cannot be read.
pub fn serve(name: &str) -> Result<(), Failure> {
    let work = job::built_in_of(name).ok_or_else(|| unknown(name))?;
    let mut input = io::stdin().lock();
    while let Some(Request { id, task, attempt, part }) = next(&mut input)? {
        let progress = ProgressSink::new(move |progress| {
            // Nobody reads any more when this fails; the answer meets the same.
            print(&line(&json!({ "id": id, "progress": progress.share() }))).ok();
        });
        let mut context = CallContext::new(task);
        (context.attempt, context.progress) = (attempt, progress);
        let answer = match work(&part, &context) {
            Ok(result) => json!({ "id": id, "result": result }),
            Err(why) => json!({ "id": id, "error": why }),
        };
        print(&line(&answer))?;
    }
    Ok(())
}

fn unknown(name: &str) -> Failure {
    let names = job::catalogue().builtins.unwrap_or_default().join(", ");
    Failure::words(Exit::Usage, format!("there is no built-in agent `{name}`; choose of {names}"))
}

fn line(value: &Value) -> String {
    let mut line = value.to_string();
    line.push('\n');
    line
}

/// Reads the next request; `None` at the end of the input.
fn next(input: &mut impl BufRead) -> Result<Option<Request>, Failure> {
    let mut line = Vec::new();
    let read = input.by_ref().take(AGENT_REQUEST_BYTES_MAX + 1).read_until(b'\n', &mut line);
    let read = read.map_err(|error| {
        Failure::words(Exit::Failed, format!("cannot read standard input: {error}"))
    })?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 > AGENT_REQUEST_BYTES_MAX {
        let words =
            format!("a request has more than {AGENT_REQUEST_BYTES_MAX} bytes; make smaller parts");
        return Err(Failure::words(Exit::Failed, words));
    }
    let request = serde_json::from_slice(&line).map_err(|error| {
        let words = format!("a line of standard input is no request of docs/AGENTS.md: {error}");
        Failure::words(Exit::Failed, words)
    })?;
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_until_the_end() {
        let line = r#"{"id":7,"task":"018bcfe5-6800-7fff-bfff-ffffffffffff","attempt":2,"part":{"id":0,"name":"a","kind":"rust","bytes":1,"files":["a.rs"],"root":"/tmp","data":null}}"#;
        let mut input = io::Cursor::new(format!("{line}\n{line}"));
        for _ in 0..2 {
            let request = next(&mut input).unwrap().unwrap();
            assert_eq!((request.id, request.attempt, request.part.files.len()), (7, 2, 1));
        }
        assert!(next(&mut input).unwrap().is_none());
    }

    #[test]
    fn what_is_no_request_is_an_error_that_says_so() {
        for text in ["hello\n", "{}\n", "\n"] {
            let failure = next(&mut io::Cursor::new(text)).err().unwrap();
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.message.contains("no request of docs/AGENTS.md"), "{text}");
        }
        let endless = io::BufReader::new(io::repeat(b'['));
        let failure = next(&mut { endless }).err().unwrap();
        assert!(failure.message.contains("smaller parts"), "{}", failure.message);
    }
}
