//! What the documents say is what the program does.

use std::{collections::BTreeSet, fs, process::Command};

use synod::cli::exit::Exit;
use synod::runfile::RunFile;

use super::place::{Place, Running};

fn readme() -> String {
    fs::read_to_string("README.md").unwrap()
}

/// The code blocks of a language, in order.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    text.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_readmes_first_code_is_the_example() {
    let example = fs::read_to_string("examples/code_review.rs").unwrap();
    assert_eq!(blocks(&readme(), "rust,no_run"), [example]);
    assert!(
        readme().lines().count() > 50 && blocks(&readme(), "rust,no_run")[0].lines().count() < 60
    );
}

#[test]
fn the_readmes_run_file_has_no_mistake() {
    let text = readme();
    let files = blocks(&text, "toml");
    assert_eq!(files.len(), 1);
    let file = RunFile::parse_for(&synod::job::catalogue(), "README.md", files[0], &[]);
    assert_eq!(file.map_err(|problems| problems.to_string()).map(|file| file.agents.len()), Ok(3));
}

#[test]
fn the_readmes_exit_codes_are_the_programs() {
    let text = readme();
    let rows: Vec<String> = Exit::TABLE
        .iter()
        .map(|(exit, meaning)| format!("| {} | {meaning} |", exit.code()))
        .collect();
    for row in &rows {
        assert!(text.contains(row.as_str()), "the README lacks {row}");
    }
    let start = text.find("| exit code | meaning |").unwrap();
    let table = text[start..].lines().skip(2).take_while(|line| line.starts_with('|'));
    assert_eq!(table.count(), rows.len());
}

/// The program as it is called in a clone of the project.
const FROM_SOURCE: &str = "cargo run --release --";

/// A small repository with the examples, to try commands in.
fn clone() -> Place {
    let place = Place::new(&[("notes.md", "This is recieve end.\n"), ("src/a.rs", "fn a() {}\n")]);
    let tree = place.path("tree");
    fs::create_dir(tree.join("examples")).unwrap();
    fs::copy("examples/code_review.toml", tree.join("examples/code_review.toml")).unwrap();
    place.git(&["init", "--quiet", "--initial-branch=main"]);
    place.git(&["add", "."]);
    place.git(&["commit", "--quiet", "-m", "one"]);
    place
}

/// Runs a line of a document in a shell, where `synod` is the program; gives its exit code and what it said.
fn try_line(place: &Place, line: &str) -> (i32, String) {
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_synod")).parent().unwrap();
    let path = std::env::join_paths(
        [bin.to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(place.path("tree"));
    shell.env("PATH", path.unwrap()).env("SYNOD_DATA", place.path("data")).env_remove("SYNOD_LOG");
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ended = Running::new(shell.spawn().unwrap()).end();
    (ended.code, ended.out + &ended.err)
}

#[test]
fn the_commands_of_the_readme_work_in_a_clone() {
    let (place, text) = (clone(), readme());
    let (mut tried, mut named) = (0, 0);
    for line in blocks(&text, "sh").iter().flat_map(|block| block.lines()) {
        if let Some(arguments) = line.strip_prefix(FROM_SOURCE) {
            let line = format!("synod{arguments}").replace("/your/project", "src");
            let (code, said) = try_line(&place, &line);
            assert_eq!(code, 0, "{line}: {said}");
            tried += 1;
        } else if let Some((_, example)) = line.split_once(" --example ") {
            // Building it takes more than seconds; its own tests run it.
            let mut words = example.split('#').next().unwrap().split_whitespace();
            let source = format!("examples/{}.rs", words.next().unwrap());
            let source = fs::read_to_string(&source).unwrap_or_else(|_| panic!("no {source}"));
            let option = words.find(|word| word.len() > 2 && word.starts_with("--"));
            assert!(option.is_none_or(|option| source.contains(&format!("{option:?}"))), "{line}");
            named += 1;
        } else {
            assert_eq!(line, "cargo xtask test");
        }
    }
    assert_eq!((tried, named), (2, 3));
    assert!(place.path("tree/review.html").exists());
}

#[test]
fn the_commands_of_the_command_lines_page_work() {
    let (place, text) = (clone(), fs::read_to_string("docs/CLI.md").unwrap());
    let lines = blocks(&text, "console").into_iter().flat_map(str::lines);
    let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(lines.len(), 3);
    for line in lines {
        let (code, said) = try_line(&place, line);
        assert_eq!(code, 0, "{line}: {said}");
    }
}

#[test]
fn every_command_and_option_that_the_documents_name_is_one() {
    let text = readme() + &fs::read_to_string("docs/CLI.md").unwrap();
    let outside_blocks: String = text.split("```").step_by(2).collect();
    let code: Vec<&str> = outside_blocks.split('`').skip(1).step_by(2).collect();
    let place = Place::new(&[]);
    let named = code.iter().filter_map(|code| code.strip_prefix("synod "));
    let commands: BTreeSet<&str> = named
        .filter_map(|words| words.split_whitespace().next())
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
        .collect();
    assert!(commands.len() > 8, "{commands:?}");
    let help = commands.iter().map(|command| {
        let ended = place.run(&[*command, "--help"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out
    });
    let help: String = help.collect();
    let ours = code.iter().filter(|code| !code.starts_with("cargo "));
    let words = ours.flat_map(|code| code.split_whitespace());
    let options: BTreeSet<&str> = words.filter(|word| word.starts_with("--")).collect();
    assert!(options.len() > 8, "{options:?}");
    for option in options {
        assert!(help.contains(option), "no command has {option}");
    }
}

#[test]
fn the_architecture_names_files_that_are_there() {
    let page = fs::read_to_string("docs/ARCHITECTURE.md").unwrap();
    assert!(page.lines().count() <= 300);
    let crates = ["protocol", "runtime", "actors", "review", "documents", ".", "xtask"]
        .map(|of| format!("{of}/src"));
    let places = [
        "actors/src/agent",
        "actors/src/pattern/map_reduce",
        "actors/src/pattern/map_reduce/coordinator",
    ];
    for word in page.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs")) {
        let found = fs::exists(word).unwrap()
            || crates
                .iter()
                .map(String::as_str)
                .chain(places)
                .any(|place| fs::exists(format!("{place}/{word}")).unwrap());
        assert!(
            found || word.contains('{'),
            "docs/ARCHITECTURE.md names {word}, which is not there"
        );
    }
}
