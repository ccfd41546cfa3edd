//! What the documents say is what the program does.

use std::fs;

use synod::cli::exit::Exit;
use synod::runfile::RunFile;

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

#[test]
fn the_architecture_names_files_that_are_there() {
    let page = fs::read_to_string("docs/ARCHITECTURE.md").unwrap();
    assert!(page.lines().count() <= 300);
    let crates = ["protocol/src", "runtime/src", "actors/src", "review/src", "src", "xtask/src"];
    let places = [
        "actors/src/agent",
        "actors/src/pattern/map_reduce",
        "actors/src/pattern/map_reduce/coordinator",
    ];
    for word in page.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs")) {
        let found = fs::exists(word).unwrap()
            || crates
                .iter()
                .chain(&places)
                .any(|place| fs::exists(format!("{place}/{word}")).unwrap());
        assert!(
            found || word.contains('{'),
            "docs/ARCHITECTURE.md names {word}, which is not there"
        );
    }
}
