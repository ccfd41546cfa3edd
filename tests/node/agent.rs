//! `synod agent`: a built-in agent as a program that answers by JSON lines.

use std::{
    io::{Read, Write},
    process::Stdio,
};

use serde_json::{Value, json};

use super::place::Place;

fn request(place: &Place, id: u64, file: &str, data: &Value) -> String {
    let part = json!({
        "id": 0, "name": file, "kind": "rust", "bytes": 1, "files": [file], "root": place.path("tree"), "data": data,
    });
    let task = "018bcfe5-6800-7fff-bfff-ffffffffffff";
    json!({ "id": id, "task": task, "attempt": 1, "part": part }).to_string() + "\n"
}

/// What an agent prints when it reads this, and how it ends.
fn said(place: &Place, name: &str, input: &str) -> (Vec<Value>, Option<i32>, String) {
    let mut child = place.synod(&["agent", name]).stdin(Stdio::piped()).spawn().unwrap();
    // An agent that ends at once does not read.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, child.wait().unwrap().code(), err)
}

#[test]
fn every_request_is_answered_once_and_in_turn() {
    let place = Place::new(&[("a.rs", "fn a() {\n    b().unwrap();\n}\n")]);
    let input = [
        request(&place, 7, "a.rs", &Value::Null),
        request(&place, 8, "a.rs", &json!({ "tests": ["a.rs"] })),
        request(&place, 9, "gone.rs", &Value::Null),
    ];
    let (lines, code, err) = said(&place, "review.rust", &input.concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let answers: Vec<&Value> = lines.iter().filter(|line| line.get("result").is_some()).collect();
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [7, 8, 9]);
    assert_eq!(answers[0]["result"]["findings"][0]["rule"], "rust.unwrap");
    assert_eq!(answers[1]["result"]["findings"], json!([]), "tests may panic");
    assert_eq!(answers[2]["result"]["skipped"][0]["file"], "gone.rs");
    assert!(lines.iter().any(|line| line["id"] == 7 && line["progress"].is_number()), "{lines:?}");
}

#[test]
fn a_built_in_agent_for_documents_answers_as_one_for_code_does() {
    let place = Place::new(&[("a.md", "# Tea\n\nGreen tea comes from China.\n")]);
    let input = [
        request(&place, 1, "a.md", &json!({ "path": "a.md" })),
        request(&place, 2, "gone.md", &json!({ "path": "gone.md" })),
    ];
    let (lines, code, err) = said(&place, "document.extract", &input.concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let document = &lines[0]["result"]["document"];
    assert_eq!((&document["title"], &document["format"]), (&json!("Tea"), &json!("markdown")));
    assert!(lines[1]["error"].as_str().unwrap().contains("gone.md"), "{lines:?}");
    let next = request(&place, 3, "a.md", &lines[0]["result"]);
    let (lines, ..) = said(&place, "document.analyse", &next);
    assert!(lines[0]["result"]["analysis"].is_object(), "{lines:?}");
    let (lines, ..) = said(&place, "document.summarise", &next);
    assert!(lines[0]["error"].as_str().unwrap().contains("`document.analyse`"), "{lines:?}");
}

#[test]
fn a_wrong_name_and_a_wrong_line_say_what_is_wrong() {
    let place = Place::new(&[]);
    let (lines, code, err) = said(&place, "review.ruts", "");
    assert_eq!((lines, code), (Vec::new(), Some(2)));
    assert!(
        err.contains("no built-in agent `review.ruts`") && err.contains("review.rust"),
        "{err}"
    );
    let (lines, code, err) = said(&place, "review.rust", "hello\n");
    assert_eq!((lines, code), (Vec::new(), Some(1)));
    assert!(err.contains("is no request of docs/AGENTS.md"), "{err}");
}
