//! Where the reason of an `unsafe` may be written.

/// Lines in which it is looked for.
const REASON_LINES: usize = 12;

/// Whether a comment says why an `unsafe` on a line (from 1) is sound: on the line, above what it is part of, or first
/// in its block, whose inside starts at the line `inside`.
pub(super) fn is_documented(lines: &[&str], line: usize, inside: Option<usize>) -> bool {
    let at = |line: usize| lines.get(line.saturating_sub(1)).map_or("", |line| line.trim());
    let above: Vec<&str> = (line.saturating_sub(REASON_LINES).max(1)..line).rev().map(at).collect();
    let first_inside = |first: usize| {
        let lines = (first..first + REASON_LINES).map(at);
        lines.take_while(|line| is_comment(line) || line.is_empty()).any(is_safety)
    };
    is_safety(at(line)) || is_above(&above) || inside.is_some_and(first_inside)
}

/// Walks up through what a line is part of and the comments above that.
fn is_above(lines: &[&str]) -> bool {
    let mut ended = false;
    for line in lines {
        if is_safety(line) {
            return true;
        }
        if is_comment(line) {
            ended = true;
        } else if !line.starts_with("#[") {
            if ended || is_boundary(line) {
                return false;
            }
            ended = line.ends_with('{');
        }
    }
    false
}

/// Whether a line belongs to something else than the line below it. A comment above `Guard {` is for the fields too,
/// one above a function is for its callers.
fn is_boundary(line: &str) -> bool {
    line.is_empty() || line.ends_with([';', '}']) || (line.ends_with('{') && line.contains("fn "))
}

fn is_comment(line: &str) -> bool {
    line.starts_with("//") || line.starts_with("/*") || line.starts_with('*')
}

fn is_safety(line: &str) -> bool {
    let comment = line.find("//").or_else(|| line.find('*')).and_then(|start| line.get(start..));
    comment.is_some_and(|comment| comment.to_ascii_lowercase().contains("safe"))
}
