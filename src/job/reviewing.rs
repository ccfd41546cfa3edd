//! What a built-in reviewer does with a part: within Synod, and as a program by `synod agent`.
//!
//! All that it needs is in the part: the files, where they are, and, in the part's data, which of them are for tests.

use std::collections::BTreeSet;

use actors::agent::{CallContext, Part, Progress};
use review::{Review, Reviewer, SourceFile, merge::Fold, source};
use serde_json::Value;

use super::answer;

/// The key of [`Part::data`] that lists the files which only tests, examples, benchmarks or the build use.
pub(super) const TESTS: &str = "tests";

/// Reviews a part and gives the answer of a process agent.
///
/// # Errors
/// That the call was cancelled, or why the review cannot be written.
pub fn answer_of(
    reviewer: &dyn Reviewer,
    part: &Part,
    context: &CallContext,
) -> Result<Value, String> {
    let review = review_part(reviewer, part, context)?;
    answer::to_value(review).map_err(|error| error.to_string())
}

/// Reviews those files of a part that the reviewer understands, one after the other.
///
/// # Errors
/// That the call was cancelled.
pub(super) fn review_part(
    reviewer: &dyn Reviewer,
    part: &Part,
    context: &CallContext,
) -> Result<Review, String> {
    let tests = tests(&part.data);
    let count = f64::from(u32::try_from(part.files.len()).unwrap_or(u32::MAX));
    let mut fold = Fold::default();
    for (done, path) in (0_u32..).zip(&part.files) {
        if context.cancelled.is_set() {
            return Err("cancelled".to_owned());
        }
        if reviewer.accepts(path) {
            fold.add(review_file(reviewer, part, path, &tests));
        }
        if let Some(progress) = Progress::new(f64::from(done) / count) {
            context.progress.report(progress);
        }
    }
    Ok(fold.into_review())
}

fn review_file(reviewer: &dyn Reviewer, part: &Part, path: &str, tests: &BTreeSet<&str>) -> Review {
    match source::read(&part.root, path) {
        Ok(bytes) => {
            let file = SourceFile::new(path, &bytes);
            reviewer.review(&SourceFile { test: file.test || tests.contains(path), ..file })
        }
        Err(reason) => Review::skip(path, reason),
    }
}

fn tests(data: &Value) -> BTreeSet<&str> {
    let listed = data.get(TESTS).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use protocol::TaskId;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_says_which_files_are_for_tests() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.rs", "b.rs", "c.md"] {
            std::fs::write(folder.path().join(name), "fn a() { b().unwrap() }\n").unwrap();
        }
        let files = ["a.rs", "b.rs", "c.md", "d.rs"].map(str::to_owned).to_vec();
        let part = Part {
            files,
            root: folder.path().to_owned(),
            data: json!({ "tests": ["b.rs"] }),
            ..Part::default()
        };
        let reviewer = review::reviewer("review.rust").unwrap();
        let context = CallContext::new(TaskId::from_u128(1));
        let review = review_part(&*reviewer, &part, &context).unwrap();
        let found: Vec<&str> = review.findings.iter().map(|one| one.file.as_str()).collect();
        assert_eq!(found, ["a.rs"], "b.rs is for tests, c.md is not Rust");
        assert_eq!(review.skipped.len(), 1, "d.rs is missing: {:?}", review.skipped);
        let again = answer::read(
            &answer_of(&*reviewer, &part, &context).unwrap(),
            "rust",
            &part,
            &super::super::Files::new(
                source::list(&source::Options { path: folder.path().into(), diff: None }).unwrap(),
            ),
        );
        let again: Review = serde_json::from_value(again.unwrap()).unwrap();
        assert_eq!(again, review.by("rust"), "an answer is read as what was said");
    }

    #[test]
    fn a_cancelled_review_ends() {
        let part = Part { files: vec!["a.rs".to_owned()], ..Part::default() };
        let context = CallContext::new(TaskId::from_u128(1));
        context.cancelled.set();
        let reviewer = review::reviewer("review.rust").unwrap();
        assert_eq!(review_part(&*reviewer, &part, &context), Err("cancelled".to_owned()));
    }
}
