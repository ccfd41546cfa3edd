//! Reads the links and headings of a Markdown text.
use std::collections::BTreeSet;

/// A link to a file or heading of the same tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// the line it is on, from 1
    pub(crate) line: usize,
    /// path and anchor as written
    pub(crate) target: String,
}

/// Lists the links that do not leave the tree.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, prose) in prose(text) {
        let mut rest = without_code(prose);
        while let Some((_, after)) = rest.split_once("](") {
            let end = after.find(')').unwrap_or(after.len());
            let target = after
                .get(..end)
                .unwrap_or_default()
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push(Link { line, target });
            }
            rest = after.get(end..).unwrap_or_default().to_owned();
        }
    }
    found
}

/// Lists the anchors that the headings of a text give.
pub(crate) fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| slug(line.trim_start_matches('#').trim())).collect()
}

/// Iterates over the lines outside of fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((at + 1, line))
    })
}

/// Takes the spans between backticks out of a line.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("code")
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_within_the_tree_are_found_and_others_are_not() {
        let text = "[a](docs/a.md) [`b`](b.rs#x \"title\")\n```\n[c](c)\n```\n[d](https://d.example) `[e](e)`\n";
        let targets: Vec<(usize, String)> =
            links(text).into_iter().map(|link| (link.line, link.target)).collect();
        assert_eq!(targets, [(1, "docs/a.md".to_owned()), (1, "b.rs#x".to_owned())]);
    }

    #[test]
    fn a_heading_gives_its_anchor() {
        let anchors = anchors("# The path of a task (1)\ntext\n```\n# no\n```\n## `synod run`\n");
        assert_eq!(anchors.into_iter().collect::<Vec<_>>(), ["synod-run", "the-path-of-a-task-1"]);
    }
}
