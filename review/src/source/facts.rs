//! What a file's text says of the work that its review is.

/// Whether a word branches, in one language or another.
fn branches(word: &str) -> bool {
    matches!(
        word,
        "if" | "elif"
            | "else"
            | "for"
            | "while"
            | "loop"
            | "match"
            | "switch"
            | "case"
            | "catch"
            | "except"
            | "select"
            | "when"
            | "and"
            | "or"
            | "unless"
            | "until"
    )
}

/// Branches of a program's text, counted by words; 1 for what is no program.
pub(super) fn complexity(kind: &str, text: &str) -> u64 {
    let program = !matches!(
        kind,
        "other" | "markdown" | "text" | "json" | "toml" | "yaml" | "html" | "css" | "settings"
    );
    if !program {
        return 1;
    }
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let branches = words.filter(|word| branches(word)).count();
    let logical = text.matches("&&").count() + text.matches("||").count();
    1 + branches as u64 + logical as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_counted_in_programs_only() {
        assert_eq!(complexity("rust", "if a && b { loop {} } elsewhere"), 4);
        assert_eq!(complexity("markdown", "if only for a while"), 1);
    }
}
