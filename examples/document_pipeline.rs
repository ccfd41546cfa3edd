//! Sends the documents of a folder through three stages: their text is extracted, analysed and summarised.
//!
//! Each stage says what may go in and come out, and how long a call may take; analysis adds metadata to what goes on. A document
//! that cannot be read is named with its stage and why, and the others are unharmed.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{fs, io, path::Path, time::Duration};

use serde_json::{Value, json};
use synod::{
    actors::{
        agent::StartError,
        pattern::{
            Completed,
            pipeline::{Document, Report, Stage, pipeline, stage},
        },
    },
    document::{self, Analysed, Extracted},
    prelude::Node,
    runtime::retry::Retries,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned());
    let done = process(Path::new(&folder)).await?;
    for passage in &done.value.documents {
        let Some(output) = passage.output() else { continue };
        let text = |at: &str| output.pointer(at).and_then(Value::as_str);
        let language = text("/analysis/language/name").unwrap_or("unknown language");
        let summary = text("/summary/text").unwrap_or_default();
        println!("{} ({language})\n  {summary}", passage.name);
    }
    for failed in &done.failed {
        println!("{}: {}", failed.name, failed.error);
    }
    for stage in &done.value.stages {
        let (passed, took) = (stage.passed, Duration::from_micros(stage.took.total_micros));
        println!("{}: {passed} passed, {} failed, {took:?} of work", stage.name, stage.failed);
    }
    Ok(())
}

/// Runs the pipeline over the files of a folder, in the order of their names.
async fn process(folder: &Path) -> Result<Completed<Report>, Failure> {
    let node = Node::in_memory()?;
    let run = pipeline(documents(folder)?, stages(&node)?).name("documents");
    Ok(node.run(run).deadline(Duration::from_secs(600)).await?)
}

fn documents(folder: &Path) -> io::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            documents.push(Document::new(name, json!({ "path": entry.path() })));
        }
    }
    documents.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(documents)
}

fn stages(node: &Node) -> Result<[Stage; 3], StartError> {
    let extract = node.blocking_agent("document.extract", |raw: Value, _| {
        let path = raw.get("path").and_then(Value::as_str).ok_or("there is no path")?;
        Ok(document::extract(path)?)
    });
    let analyse = node.blocking_agent("document.analyse", |extracted: Extracted, _| {
        Ok(document::analyse(extracted))
    });
    let summarise = node.blocking_agent("document.summarise", |analysed: Analysed, _| {
        Ok(document::summarise(analysed))
    });
    let raw = json!({ "type": "object", "required": ["path"], "properties": { "path": { "type": "string" } } });
    let extracted = json!({
        "type": "object",
        "required": ["path", "document"],
        "properties": { "document": { "required": ["text"], "properties": { "text": { "type": "string", "minLength": 1 } } } },
    });
    let analysed = json!({ "type": "object", "required": ["path", "document", "analysis"] });
    let summary = json!({
        "type": "object",
        "required": ["summary"],
        "properties": { "summary": { "required": ["text"], "properties": { "text": { "type": "string" } } } },
    });
    Ok([
        // What a file says does not change, so it is read once.
        stage("extraction", &extract.count(2).start()?)
            .input(&raw)
            .output(&extracted)
            .retries(Retries::NEVER)
            .timeout(Duration::from_secs(30)),
        stage("analysis", &analyse.count(2).start()?)
            .input(&extracted)
            .output(&analysed)
            .transform(|mut analysed, about| {
                let took = u64::try_from(about.took.as_millis()).unwrap_or(u64::MAX);
                let object = analysed.as_object_mut().ok_or("the analysis is no object")?;
                let metadata = json!({ "stage": about.stage, "agent": about.agent, "took_ms": took, "at": about.at });
                object.insert("metadata".to_owned(), metadata);
                Ok(analysed)
            })
            .timeout(Duration::from_secs(45)),
        stage("summarization", &summarise.count(2).start()?)
            .input(&json!({ "allOf": [analysed], "required": ["metadata"] }))
            .output(&summary)
            .timeout(Duration::from_secs(20)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn bad_documents_fail_alone_with_a_clear_error_each() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("a.md", b"# Tea\n\nGreen tea comes from China. Black tea comes from China and India. It rained.\n");
        write("b.html", b"<title>Ships</title><p>The old ship sails to the harbour. The harbour waits for the ship.");
        write("empty.txt", b"");
        write("none.pdf", b"this is no PDF at all");
        write("wrong.txt", b"caf\xc3\xa9 and then \xff\xfe\x9d\x81 no text");
        let large = fs::File::create(folder.path().join("z.txt")).unwrap();
        large.set_len(200 << 20).unwrap();
        let done = process(folder.path()).await.unwrap();
        let outputs: Vec<(u32, &Value)> = done.value.outputs().collect();
        assert_eq!(outputs.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1]);
        let output = outputs[0].1;
        assert!(output["summary"]["text"].as_str().unwrap().contains("tea"), "{output}");
        assert_eq!(output["analysis"]["language"]["name"], "English");
        let analysis = &done.value.documents[1].steps[1];
        assert_eq!(
            (&*analysis.stage, &analysis.output["metadata"]["agent"]),
            ("analysis", &json!("document.analyse"))
        );
        let expected = [
            ("empty.txt", "0 bytes"),
            ("none.pdf", "it is no PDF"),
            ("wrong.txt", "is not UTF-8"),
            ("z.txt", "209715200 bytes, more than"),
        ];
        assert_eq!(done.failed.len(), expected.len());
        for (failed, (name, error)) in done.failed.iter().zip(expected) {
            assert_eq!((failed.name.as_str(), failed.attempts), (name, 1));
            assert!(failed.error.starts_with("stage `extraction`: "), "{}", failed.error);
            assert!(failed.error.contains(error), "{}", failed.error);
        }
    }
}
