//! Reviews a folder with two agents: every file to each of them, what they find put together.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{sync::Arc, time::Duration};

use synod::{
    prelude::*,
    review::{self, merge::Fold, source},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "examples".to_owned());
    let source = source::list(&source::Options { path: folder.into(), diff: None })?;
    let source = Arc::new(source);

    let node = Node::in_memory()?;
    let mut branches = Vec::new();
    for name in ["review.rust", "review.secrets"] {
        let reviewer = review::reviewer(name).ok_or("no such reviewer")?;
        let files = Arc::clone(&source);
        let agent = node.blocking_agent(name, move |file: usize, _cx| {
            let fact = files.files.get(file).ok_or("no such file")?;
            if !reviewer.accepts(&fact.path) {
                return Ok(review::Review::default());
            }
            let bytes = source::read(&files.root, &fact.path)?;
            Ok(reviewer.review(&fact.source(&bytes)).by(name))
        });
        branches.push(Branch::whole(&agent.count(2).start()?));
    }

    let run = MapReduce::new(items(0..source.files.len()), branches, || Collect);
    let done = node.run(run).deadline(Duration::from_secs(60)).await?;
    assert_eq!(done.tally.done, 2 * source.files.len() as u64, "every file went to both agents");

    let mut fold = Fold::default();
    done.value.into_iter().for_each(|review| fold.add(review));
    for finding in fold.report().findings {
        println!("{}:{} {}", finding.file, finding.line, finding.message);
    }
    Ok(())
}
