//! `review.wall`: how long the review of a large tree takes, beside one sequential run.
//!
//! Synod does what `synod run` does with a run file of the built-in reviewers: list, split by size, review, journal on disk,
//! merge. The reference does the same work on one thread, without an actor: every reviewer over every file, in turn.
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use synod::{
    Node,
    actors::agent::Launcher,
    job::{Job, catalogue},
    review::{
        self, Review,
        merge::{Fold, Report},
        source,
    },
    runfile::{Resolved, RunRequest},
    runtime::engine::local::RedbJournal,
};

use crate::clock::{Watch, on_workers};
use crate::figure::{Contender, Figure, Goal, Outcome, Settings};

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "review.wall",
    unit: "s",
    rounds: None,
    goal: Goal::at_most(0.6, "sequential"),
    contenders: &[Contender::synod(synod_review), Contender::floor("sequential", sequential)],
}];

/// The folder of the large tree that is reviewed; all of it takes minutes.
const FOLDER: &str = "python";
/// The same in the short form.
const FOLDER_SHORT: &str = "python/sympy/polys";

/// Why this has no number.
const NO_TREE: &str = "no tree was given with --tree; `cargo xtask large-tree` unpacks one";

/// The reviewers, as run files call them, each under the name that its findings bear.
const AGENTS: &[(&str, &str)] = &[
    ("rust", "review.rust"),
    ("functions", "review.functions"),
    ("secrets", "review.secrets"),
    ("typos", "review.typos"),
    ("duplicates", "review.duplicates"),
];

/// Reviews the tree as a user's run does.
fn synod_review(settings: &Settings) -> Outcome {
    let Some(path) = folder(settings) else { return Ok(Err(NO_TREE.to_owned())) };
    let run = resolved(&path)?;
    let (time, report) = on_workers(async move {
        let folder =
            tempfile::tempdir_in(std::env::current_dir().context("find the working folder")?)?;
        let watch = Watch::start();
        let report = reviewed(&run, folder.path()).await?;
        Ok((watch.time(), report))
    })?;
    settings.agree(&report.findings)?;
    Ok(Ok(time.as_secs_f64()))
}

async fn reviewed(run: &Resolved, folder: &Path) -> Result<Report> {
    // No program is an agent of this run, so nothing is launched.
    let job = Job::prepare(run, &Launcher::at("/nonexistent"), None).context("prepare the job")?;
    let journal = RedbJournal::open(&folder.join("figures.redb")).context("open a journal")?;
    let node = Node::of(Node::builder().journal(Arc::new(journal)).open().context("open a node")?);
    let pattern = job.start(&node).context("start the agents")?;
    let done = node.run(pattern).deadline(job.deadline()).await?;
    ensure!(done.failed.is_empty(), "parts failed: {:?}", done.failed);
    node.kernel().close().await.context("stop the node")?;
    Ok(done.value)
}

/// Reviews the tree file by file.
fn sequential(settings: &Settings) -> Outcome {
    let Some(path) = folder(settings) else { return Ok(Err(NO_TREE.to_owned())) };
    let watch = Watch::start();
    let source = source::list_on(&source::Options { path, diff: None }, NonZeroUsize::MIN)
        .context("list the files")?;
    let mut fold = Fold::default();
    fold.add(Review { skipped: source.skipped.clone(), ..Review::default() });
    for (agent, name) in AGENTS {
        let reviewer = review::reviewer(name).with_context(|| format!("find {name}"))?;
        for file in source.files.iter().filter(|file| reviewer.accepts(&file.path)) {
            match source::read(&source.root, &file.path) {
                Ok(bytes) => fold.add(reviewer.review(&file.source(&bytes)).by(agent)),
                Err(reason) => fold.add(Review::skip(&file.path, reason)),
            }
        }
    }
    let report = fold.report();
    let time = watch.time();
    settings.agree(&report.findings)?;
    Ok(Ok(time.as_secs_f64()))
}

/// Tells which folder is reviewed.
fn folder(settings: &Settings) -> Option<PathBuf> {
    let tree = settings.tree.as_deref()?;
    Some(tree.join(if settings.short { FOLDER_SHORT } else { FOLDER }))
}

/// The run file: that of the example, with the built-in reviewers alone.
fn resolved(path: &Path) -> Result<Resolved> {
    let agents: String = AGENTS
        .iter()
        .map(|(agent, name)| format!("{agent} = {{ builtin = {name:?} }}\n"))
        .collect();
    let names: Vec<&str> = AGENTS.iter().map(|(agent, _)| *agent).collect();
    let path = path.to_str().context("read the tree's path as text")?;
    let text = format!(
        "synod = 1\nmain = \"review\"\n[agents]\n{agents}[map_reduce.review]\n\
         split = {{ use = \"code.files\", by = [\"type\", \"size\"], path = {path:?}, max_bytes = \"256KiB\" }}\n\
         all_of = {names:?}\nreduce = \"findings.merge\"\n"
    );
    let request = RunRequest {
        name: "review.toml".to_owned(),
        text,
        overrides: Vec::new(),
        inputs: Vec::new(),
    };
    request
        .resolve(&catalogue(), &|_| None)
        .map_err(|problems| anyhow::anyhow!("read the run file: {}", problems.render(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_file_is_right_and_splits_as_the_example_does() {
        let run = resolved(Path::new("a \"tree\"")).unwrap();
        let ours = run.map_reduce(&run.main).unwrap();
        assert_eq!(ours.split.path, "a \"tree\"");
        let text = include_str!("../../../examples/code_review.toml");
        let request = RunRequest {
            name: "code_review.toml".to_owned(),
            text: text.to_owned(),
            overrides: Vec::new(),
            inputs: Vec::new(),
        };
        let example = request.resolve(&catalogue(), &|_| None).unwrap();
        let example = example.map_reduce(&example.main).unwrap();
        assert_eq!(ours.split.max_bytes, example.split.max_bytes);
        assert_eq!(ours.split.max_files, example.split.max_files);
        assert_eq!(ours.split.by, example.split.by);
        let builtins = example.workers.names().iter().map(|name| name.as_str());
        let ours: Vec<_> = ours.workers.names().iter().map(|name| name.as_str()).collect();
        assert!(builtins.take(ours.len()).eq(ours));
    }

    #[test]
    fn both_sides_find_the_same() {
        let tree = tempfile::tempdir().unwrap();
        let settings = Settings::new(true, Some(tree.path().to_owned()));
        let folder = folder(&settings).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.rs"), "fn a() {\n    b().unwrap();\n}\n").unwrap();
        std::fs::write(folder.join("b.md"), "recieve\n").unwrap();
        assert!(sequential(&settings).unwrap().is_ok());
        assert!(synod_review(&settings).unwrap().is_ok());
        let one = review::Finding::new("a.rs", 2, "rust.unwrap", "one of the two");
        let error = settings.agree(&[one]).unwrap_err().to_string();
        assert_eq!(error, "one review found 2, another 1, not the same");
    }
}
