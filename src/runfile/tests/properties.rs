//! Any text is parsed or refused; nothing panics.

use proptest::prelude::*;

use super::*;

/// Parses, and shows the problems if there are any.
fn survives(text: &str, overrides: &[&str]) {
    match parse(text, overrides) {
        Ok(file) => {
            let resolved = resolve(&file, &[("path".to_owned(), "x".to_owned())], &|_| None);
            let _shown = resolved.map_err(|problems| problems.to_string());
        }
        Err(problems) => {
            let shown = problems.to_string();
            assert!(!shown.is_empty() && !shown.contains("please report it"), "{shown}");
            assert!(problems.iter().all(|problem| problems.place(problem).line > 0));
        }
    }
}

/// Replaces a range of characters of a text.
fn mutated(text: &str, (at, length): (usize, usize), with: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let start = at % (chars.len() + 1);
    let end = (start + length).min(chars.len());
    let before = chars[..start].iter();
    before.copied().chain(with.chars()).chain(chars[end..].iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>()) {
        survives(&text, &[]);
    }

    #[test]
    fn a_mutated_file_is_parsed_or_refused(
        changes in prop::collection::vec(
            ((any::<usize>(), 0..12_usize), "[ -~]{0,6}|\\n|\"|[é\u{0}\u{2028}\r]|= \\{|\\[\\["), 1..6)
    ) {
        let text = changes.iter().fold(GOOD.to_owned(), |text, (range, with)| {
            mutated(&text, *range, with)
        });
        survives(&text, &[]);
    }

    #[test]
    fn a_file_of_shuffled_lines_is_parsed_or_refused(
        lines in Just(GOOD.lines().collect::<Vec<_>>()).prop_shuffle()
    ) {
        survives(&lines.join("\n"), &[]);
    }

    #[test]
    fn any_override_is_taken_or_refused(
        option in "(agents|main|limit|input|map_reduce)?(\\.[a-z]{0,6}){0,3}=?.{0,12}"
    ) {
        survives(GOOD, &[&option]);
    }
}
