//! A pipeline that a run file asks for: its documents listed, its programs found, ready to become a run.
//!
//! # Invariants
//! - The documents are listed once and kept with the run, so that one that is taken up again numbers them alike.
//! - Only names are listed: what is in a document, its first stage finds out, and a bad one fails alone.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actors::{
    agent::{
        Behaviour, Launcher, Part,
        handle::{Agent as Handle, AgentBuilder},
    },
    pattern::pipeline::{About, Document, Pipeline as Run, Stage, pipeline, stage_with},
};
use runtime::budget::Limits;
use serde_json::{Value, json};

use super::{
    Cast, JobError, StandIns, agents, cast,
    hiring::{Employer, Hiring},
};
use crate::{
    limits::{DOCUMENT_FOLDERS_MAX, DOCUMENTS_MAX},
    node::Node,
    runfile::{Agent, Pipeline as Pattern, Resolved, Stage as StagePattern, Transform, crew_of},
};

/// A pipeline of a run file.
#[derive(Debug)]
pub struct Pipeline {
    /// Who takes part, and the documents; kept with the run, so that it can be resumed alike.
    pub cast: Cast,
    /// The stages' agents, then their fallbacks.
    agents: Vec<Agent>,
    pattern: Pattern,
    root: PathBuf,
    deadline: Duration,
    limits: Limits,
    launcher: Launcher,
}

impl Pipeline {
    /// Lists the documents for a cast that is known, unless it knows them; its programs are not looked for. Blocks on the file
    /// system.
    ///
    /// # Errors
    /// [`JobError`], before anything was started.
    pub fn with(
        resolved: &Resolved,
        launcher: &Launcher,
        mut cast: Cast,
    ) -> Result<Self, JobError> {
        let unknown = || JobError::Unknown { name: resolved.main.to_string() };
        let pattern = resolved.pipeline(&resolved.main).ok_or_else(unknown)?.clone();
        let agents = crew_of(&resolved.agents, &pattern.names());
        let path = PathBuf::from(&pattern.documents);
        if cast.documents.is_empty() {
            cast.documents = list(&path, &pattern)?;
        }
        let root = root_of(&path);
        if let Some(absent) = pattern.names().iter().find(|name| !cast.has(name)) {
            let skipped = cast.skipped.iter().find(|skipped| skipped.agent == absent.as_str());
            let reason = skipped.map(|skipped| skipped.reason.clone()).unwrap_or_default();
            let stages = pattern.stages.iter().filter(|stage| stage.agent == *absent);
            let stage = stages.map(|stage| stage.name.to_string()).next().unwrap_or_default();
            return Err(JobError::NoStage { stage, agent: absent.to_string(), reason });
        }
        let agents = agents.into_iter().filter(|agent| cast.has(&agent.name));
        Ok(Self {
            agents: agents.map(|agent| cast::with_heir(agent, &cast, resolved)).collect(),
            cast,
            root,
            deadline: resolved.deadline,
            limits: Limits { messages: resolved.messages, ..Limits::default() },
            launcher: launcher.clone(),
            pattern,
        })
    }

    /// What the run is called in listings.
    pub fn name(&self) -> &str {
        self.pattern.name.as_str()
    }

    /// What the run may use besides time.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long the run may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The folder of the documents.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Counts each agent's pieces of work, if all goes well: a document at a stage is one.
    pub fn shares(&self) -> BTreeMap<String, u64> {
        let mut shares = BTreeMap::new();
        for stage in &self.pattern.stages {
            *shares.entry(stage.agent.to_string()).or_default() += self.cast.documents.len() as u64;
        }
        shares
    }

    /// The agents that take part, their fallbacks behind.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Starts the agents on `node`, or whoever stands in for them, and gives the stages that they do.
    ///
    /// # Errors
    /// [`JobError`] when an agent cannot start.
    pub fn hire(&self, node: &Node, stand_ins: &dyn StandIns) -> Result<Vec<Stage>, JobError> {
        let (root, launcher, hired) = (&*self.root, &self.launcher, BTreeMap::new());
        let (employer, agents) = (self, &*self.agents);
        let mut hiring = Hiring { employer, agents, node, stand_ins, root, launcher, hired };
        let mut stages = Vec::with_capacity(self.pattern.stages.len());
        for own in &self.pattern.stages {
            let unknown = || JobError::Unknown { name: own.agent.to_string() };
            let agent = hiring.hire(own.agent.as_str())?.ok_or_else(unknown)?;
            stages.push(stage(own, &agent, &self.root));
        }
        Ok(stages)
    }

    /// Describes the run of these stages.
    pub fn pattern(&self, stages: Vec<Stage>) -> Run {
        let documents = self.cast.documents.clone().into_iter();
        let documents =
            documents.map(|name| Document::new(name.as_str(), json!({ "path": name.as_str() })));
        let mut run = pipeline(documents, stages).name(self.name());
        if self.pattern.ordered {
            run = run.ordered();
        }
        match &self.pattern.output {
            Some(output) => run.output(output),
            None => run,
        }
    }
}

impl Employer<Part, Value> for Pipeline {
    fn employ(
        &self,
        _: &str,
        program: Arc<dyn Behaviour<Part, Value>>,
    ) -> Arc<dyn Behaviour<Part, Value>> {
        program
    }

    fn built_in(
        &self,
        agent: &Agent,
        builtin: &str,
        node: &Node,
    ) -> Result<AgentBuilder<Part, Value>, JobError> {
        let work = super::document_work(builtin)
            .ok_or_else(|| JobError::Unknown { name: builtin.to_owned() })?;
        let builder =
            node.system().blocking_agent(agent.name.as_str(), move |part: Part, _| work(part));
        Ok(builder.count(agents::instances(agent)).concurrency(agents::concurrency(agent)))
    }
}

/// A stage as the run has it: its agent is given the document as a part, whose file is the document's.
fn stage(own: &StagePattern, agent: &Handle<Part, Value>, root: &Path) -> Stage {
    let (root, kind) = (root.to_owned(), own.name.to_string());
    let take = move |document: &Value, about: &About<'_>| {
        let (id, name) = (about.document, about.name.to_owned());
        let (files, data) = (vec![name.clone()], document.clone());
        Ok(Part { id, name, kind: kind.clone(), bytes: 0, files, root: root.clone(), data })
    };
    let mut stage = stage_with(own.name.as_str(), agent, take)
        .timeout(own.timeout)
        .window(own.window)
        .retries(own.retry);
    if let Some(input) = &own.input {
        stage = stage.input(input);
    }
    if let Some(output) = &own.output {
        stage = stage.output(output);
    }
    match own.transform {
        Some(Transform::Metadata) => stage.transform(with_metadata),
        None => stage,
    }
}

/// Adds to an answer of which document it is, who gave it, and when.
fn with_metadata(mut answer: Value, about: &About<'_>) -> Result<Value, String> {
    let Some(object) = answer.as_object_mut() else {
        return Err("metadata is added to an object, and the answer is none".to_owned());
    };
    let took_ms = u64::try_from(about.took.as_millis()).unwrap_or(u64::MAX);
    let About { name, stage, agent, attempts, at, .. } = about;
    let metadata = json!({ "document": name, "stage": stage, "agent": agent, "attempts": attempts, "took_ms": took_ms, "at": at });
    object.insert("metadata".to_owned(), metadata);
    Ok(answer)
}

/// The folder that documents are below.
fn root_of(path: &Path) -> PathBuf {
    if !path.is_file() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Lists the documents below a folder, in the order of their names; what begins with a dot is left out.
fn list(path: &Path, pattern: &Pattern) -> Result<Vec<String>, JobError> {
    let failed = |at: &Path, error| JobError::Listing { path: at.to_owned(), error };
    let meta = fs::metadata(path).map_err(|error| failed(path, error))?;
    if !meta.is_dir() {
        return Ok(path
            .file_name()
            .into_iter()
            .map(|name| name.to_string_lossy().into())
            .collect());
    }
    let (mut folders, mut found, mut looked_at) = (vec![PathBuf::new()], Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        looked_at += 1;
        let at = path.join(&folder);
        for (name, is_folder) in entries(&at).map_err(|error| failed(&at, error))? {
            let below = folder.join(&name);
            match is_folder {
                true => folders.push(below),
                false if pattern.accepts.matches(&below) => {
                    found.push(below.to_string_lossy().into_owned());
                }
                false => {}
            }
        }
        if found.len() > DOCUMENTS_MAX || looked_at + folders.len() > DOCUMENT_FOLDERS_MAX {
            return Err(JobError::TooMany { path: path.to_owned() });
        }
    }
    if found.is_empty() {
        let accepts = pattern.accepts.globs().join(", ");
        return Err(JobError::NoDocuments { path: path.to_owned(), accepts });
    }
    found.sort();
    Ok(found)
}

/// The files and folders in a folder; a link to a file is one, a link to a folder is left out, since it may lead back.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        let kind = entry.file_type()?;
        let is_file = kind.is_file() || (kind.is_symlink() && entry.path().is_file());
        if (is_file || kind.is_dir()) && !name.as_os_str().as_encoded_bytes().starts_with(b".") {
            entries.push((name, kind.is_dir()));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runfile::{Accepts, Name};

    fn pattern(accepts: &[&str]) -> Pattern {
        Pattern {
            name: Name::new("texts").unwrap(),
            documents: String::new(),
            accepts: Accepts::new(accepts.iter().map(|glob| (*glob).to_owned()).collect()).unwrap(),
            stages: Vec::new(),
            ordered: false,
            output: None,
            after: Vec::new(),
        }
    }

    #[test]
    fn documents_are_listed_by_name_without_hidden_ones_and_circles() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("mail/.old")).unwrap();
        for name in ["b.md", "a.txt", ".hidden.md", "mail/1.eml", "mail/.old/2.eml", "no.png"] {
            fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("mail/circle")).unwrap();
        std::os::unix::fs::symlink(root.join("b.md"), root.join("c.md")).unwrap();
        let found = list(root, &pattern(&["*.md", "*.txt", "mail/*.eml"])).unwrap();
        assert_eq!(found, ["a.txt", "b.md", "c.md", "mail/1.eml"]);
        let one = root.join("no.png");
        assert_eq!(
            list(&one, &pattern(&["*.md"])).unwrap(),
            ["no.png"],
            "one that is named is taken"
        );
        assert_eq!(root_of(&one), root);
        assert_eq!(root_of(Path::new("Cargo.toml")), Path::new("."));
        for (wrong, part) in [(root.join("none"), "none"), (root.join("mail/.old"), "mail/.old")] {
            let error = list(&wrong, &pattern(&["*.md"])).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn metadata_is_added_to_objects_alone() {
        let about = About {
            document: 0,
            name: "a.md",
            stage: "analysis",
            agent: "analyse",
            attempts: 2,
            took: Duration::from_millis(7),
            at: 9,
        };
        let added = with_metadata(json!({ "n": 1 }), &about).unwrap();
        let metadata = json!({ "document": "a.md", "stage": "analysis", "agent": "analyse", "attempts": 2, "took_ms": 7, "at": 9 });
        assert_eq!(added, json!({ "n": 1, "metadata": metadata }));
        assert!(with_metadata(json!([1]), &about).is_err());
    }
}
