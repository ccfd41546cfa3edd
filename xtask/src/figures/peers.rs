//! Other frameworks beside Synod: builds or installs what can be, and tells the workloads how to run each.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{shell, tools};

/// The actor libraries of the package benches/peers, and what they are compared in.
const LIBRARIES: [&str; 2] = ["kameo", "actix"];
const ACTORS: [&str; 9] = [
    "actor.idle_bytes",
    "mailbox.tell",
    "mailbox.fan_in",
    "mailbox.ring",
    "mailbox.ask",
    "mailbox.ask_in_flight",
    "mailbox.swarm_tick",
    "mailbox.spawn",
    "mailbox.batch",
];
/// The agent frameworks of Python, each a script and its pinned packages in benches/peers.
const FRAMEWORKS: [&str; 5] = ["asyncio", "autogen", "agent_framework", "langgraph", "ray"];
/// What they are compared in.
const PATTERNS: [&str; 5] = [
    "map_reduce.parts",
    "pipeline.documents",
    "consensus.rounds",
    "hierarchy.missions",
    "swarm.agent_ticks",
];

/// Builds and installs the peers; returns a file that says how to run each, by figure and peer.
///
/// A framework that cannot be installed on this machine is named and left out.
///
/// # Errors
/// When the actor libraries do not build.
pub(crate) fn install(root: &Path, profile: &str) -> Result<PathBuf> {
    let mut commands: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    let home = root.join("benches/peers");
    let target = shell::target(root).join("peers");
    let program = build(&home, "peers", &target, profile)?;
    for figure in ACTORS {
        let libraries = LIBRARIES
            .map(|library| (library, vec![program.clone(), library.to_owned(), figure.to_owned()]));
        commands.entry(figure).or_default().extend(libraries);
    }
    // It needs libraries of the system, for fonts.
    match build(&root.join("benches/krabmaga"), "krabmaga-flockers", &target, profile) {
        Ok(program) => {
            commands.entry("swarm.flocking").or_default().insert("krabmaga", vec![program]);
        }
        Err(error) => shell::complain(&format!("without krabmaga: {error:#}")),
    }
    for framework in FRAMEWORKS {
        match python(root, &home, framework) {
            Ok(command) => {
                for figure in PATTERNS {
                    let words = [command.as_slice(), &[figure.to_owned()]].concat();
                    commands.entry(figure).or_default().insert(framework, words);
                }
            }
            Err(error) => shell::complain(&format!("without {framework}: {error:#}")),
        }
    }
    let path = target.join("commands.json");
    let text = serde_json::to_string(&commands).context("describe the peers")?;
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Builds a package of libraries and tells where its program is.
fn build(home: &Path, name: &str, target: &Path, profile: &str) -> Result<String> {
    let build = format!("cargo build --locked --quiet --profile {profile}");
    shell::read(shell::command(home, &build).env("CARGO_TARGET_DIR", target))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(folder).join(name).to_string_lossy().into_owned())
}

/// Installs the pinned packages of a framework and tells how its script is run.
fn python(root: &Path, home: &Path, framework: &str) -> Result<Vec<String>> {
    let list = home.join(format!("{framework}.txt"));
    let pinned = fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))?;
    let environment = tools::environment(root, framework, &pinned, tools::Brings::Dependencies)?;
    let words = [environment.join("bin/python3"), home.join(format!("{framework}_peer.py"))];
    Ok(words.iter().map(|word| word.to_string_lossy().into_owned()).collect())
}
