//! The long forms of tests: the same tests as always, with more of everything, by environment variables.
//!
//! Each variable has a default in its test that suits every run; here it has the value of a release.
use std::path::Path;

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::large_tree;
use crate::shell::{self, Watch};

/// Which long runs to make.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only these (without it: all)
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// Only list them
    #[arg(long)]
    list: bool,
    /// Run so many seeds (with `--only trees`, or another that has them)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Run this seed alone (with `--only trees`, or another that has seeds)
    #[arg(long, value_name = "S", conflicts_with = "seeds")]
    seed: Option<u64>,
}

/// A long run.
struct Soak {
    name: &'static str,
    /// what it shows
    shows: &'static str,
    /// the variables that its tests read, and their values here
    variables: &'static [(&'static str, &'static str)],
    /// what cargo is told
    cargo: &'static str,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "frames",
        shows: "1,000,000 random and mutated frames decode or refuse, without a panic and within 16 MiB",
        variables: &[("SYNOD_FRAMES", "1000000")],
        cargo: "test --release -p synod-protocol --test mutation",
    },
    Soak {
        name: "trees",
        shows: "100,000 random trees of actors under random faults keep what the kernel promises",
        variables: &[(SEEDS, "100000")],
        cargo: "test --release -p synod-runtime --test simulation trees::random -- --nocapture",
    },
    Soak {
        name: "replays",
        shows: "random trees replay to the identical trace 100 times of 100, and in another process too",
        variables: &[("SYNOD_REPLAYS", "100")],
        cargo: "test --release -p synod-runtime --test simulation -- trees::a --nocapture",
    },
    Soak {
        name: "planted",
        shows: "each fault planted into the kernel is found within 2,000 random trees",
        variables: &[],
        cargo: "test --release -p synod-runtime --features planted --test simulation trees::every -- --nocapture",
    },
    Soak {
        name: "votes",
        shows: "10,000 votes under crashes, lost disks, hangs and delays come to one decision each, and their journals to the same",
        variables: &[("SYNOD_VOTES", "10000")],
        cargo: "test --release -p synod-actors --test patterns consensus_sim:: -- --nocapture",
    },
    Soak {
        name: "pipelines",
        shows: "under 10,000 seeds of crashes, hangs, panics and delays every document of a pipeline is accounted for once",
        variables: &[(SEEDS, "10000")],
        cargo: "test --release -p synod-actors --test patterns pipeline_sim",
    },
    Soak {
        name: "hierarchies",
        shows: "under 10,000 seeds each of crashes and delays, of hangs, and of panics above and below, every task of a hierarchy is accounted for once",
        variables: &[("SYNOD_HIERARCHIES", "10000")],
        cargo: "test --release -p synod-actors --test patterns hierarchy_sim:: -- --nocapture",
    },
    Soak {
        name: "swarms",
        shows: "under 10,000 seeds of all faults a swarm comes to what its journal comes to, bit by bit",
        variables: &[("SYNOD_SWARMS", "10000")],
        cargo: "test --release -p synod-actors --test patterns swarm_sim:: -- --nocapture",
    },
    Soak {
        name: "review",
        shows: "the review of thousands of files finds what one sequential run finds, while agents panic, hang and are killed",
        variables: &[("SYNOD_LARGE_TREE", LARGE_TREE)],
        cargo: "test --release -p synod --test node large::",
    },
];

/// Says how many seeds a simulation runs.
const SEEDS: &str = "SYNOD_SEEDS";
/// Says which seed alone a simulation runs.
const SEED: &str = "SYNOD_SEED";

/// Stands for the folder of the large tree, which is unpacked first.
const LARGE_TREE: &str = "LARGE_TREE";

/// Runs the chosen ones and says how long each took.
///
/// # Errors
/// When a name is not known, a run does not take an option that is given, or a run fails; the others still run.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    for name in &options.only {
        let known: Vec<&str> = SOAKS.iter().map(|soak| soak.name).collect();
        ensure!(
            known.contains(&name.as_str()),
            "there is no long run {name}: choose of {}",
            known.join(", ")
        );
    }
    let chosen =
        |soak: &&Soak| options.only.is_empty() || options.only.iter().any(|name| name == soak.name);
    let soaks: Vec<&Soak> = SOAKS.iter().filter(chosen).collect();
    for soak in &soaks {
        soak.takes(options)?;
    }
    let mut failed = Vec::new();
    for soak in soaks {
        let chosen = soak.variables(options);
        let variables =
            chosen.iter().map(|(key, value)| format!("{key}={value} ")).collect::<String>();
        shell::say(&format!("{}: {}\n   {variables}cargo {}", soak.name, soak.shows, soak.cargo));
        if options.list {
            continue;
        }
        let watch = Watch::start();
        let result = soak.run(root, &chosen);
        let seconds = watch.time().as_secs_f64();
        match result.and_then(|text| closing(&text)) {
            Ok(lines) => shell::say(&format!("{lines}\n   {seconds:.1} s")),
            Err(error) => failed.push(format!("{} after {seconds:.1} s: {error:#}", soak.name)),
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("long runs failed:\n{}", failed.join("\n")) }
}

impl Soak {
    /// Whether one can say how many seeds it runs, and which.
    fn is_seeded(&self) -> bool {
        self.variables.iter().any(|(key, _)| *key == SEEDS)
    }

    /// Refuses options that it would ignore.
    fn takes(&self, options: &Options) -> Result<()> {
        let given = match (options.seeds, options.seed) {
            (Some(_), _) => "--seeds",
            (None, Some(_)) => "--seed",
            (None, None) => return Ok(()),
        };
        let seeded: Vec<&str> =
            SOAKS.iter().filter(|soak| soak.is_seeded()).map(|soak| soak.name).collect();
        ensure!(
            self.is_seeded(),
            "{} takes no {given}, only these do: {}; leave it out or name one of them with `--only`",
            self.name,
            seeded.join(", ")
        );
        Ok(())
    }

    /// Its variables, with the values that were asked for.
    fn variables(&self, options: &Options) -> Vec<(&'static str, String)> {
        let mut chosen: Vec<_> =
            self.variables.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        for (key, value) in &mut chosen {
            match (*key, options.seeds, options.seed) {
                (SEEDS, Some(seeds), _) => *value = seeds.to_string(),
                (SEEDS, None, Some(seed)) => (*key, *value) = (SEED, seed.to_string()),
                _ => {}
            }
        }
        chosen
    }

    /// Runs its tests with these variables and gives what they print.
    fn run(&self, root: &Path, variables: &[(&str, String)]) -> Result<String> {
        let mut cargo = shell::command(root, &format!("cargo {}", self.cargo));
        for (key, value) in variables {
            match value.as_str() {
                LARGE_TREE => cargo.env(key, large_tree::unpack(root)?),
                value => cargo.env(key, value),
            };
        }
        shell::read(&mut cargo)
    }
}

/// Finds the closing lines of tests that ran; a run without a test shows nothing and so fails.
fn closing(text: &str) -> Result<String> {
    let result = |line: &str| line.starts_with("test result") && !line.contains(" 0 passed");
    ensure!(text.lines().any(result), "no test ran");
    // What a test says of itself stands in a line of its own, or in a row of a table.
    let told = |line: &str| line.starts_with("trees:") || line.starts_with("| ");
    let lines: Vec<&str> = text.lines().filter(|line| result(line) || told(line)).collect();
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_test_is_no_success() {
        assert!(closing("test result: ok. 0 passed; 0 failed").is_err());
        let line = "test result: ok. 2 passed; 0 failed";
        assert_eq!(closing(&format!("running 2 tests\n{line}\n")).unwrap(), line);
    }

    #[test]
    fn every_variable_is_read_by_a_test_of_the_tree() {
        let root = shell::root().unwrap();
        for (variable, _) in SOAKS.iter().flat_map(|soak| soak.variables) {
            let search = format!(
                "git grep --untracked --fixed-strings --name-only {variable} -- *.rs :!xtask"
            );
            assert!(
                !shell::read(&mut shell::command(&root, &search)).unwrap().is_empty(),
                "{variable}"
            );
        }
    }

    #[test]
    fn the_number_of_trees_and_the_one_seed_are_those_asked_for() {
        let trees = SOAKS.iter().find(|soak| soak.name == "trees").unwrap();
        let asked =
            |seeds, seed| trees.variables(&Options { only: Vec::new(), list: false, seeds, seed });
        assert_eq!(asked(None, None), [(SEEDS, "100000".to_owned())]);
        assert_eq!(asked(Some(7), None), [(SEEDS, "7".to_owned())]);
        assert_eq!(asked(None, Some(9)), [(SEED, "9".to_owned())]);
    }

    #[test]
    fn an_option_that_a_run_would_ignore_is_refused_with_the_runs_that_take_it() {
        let asked = |only: &[&str], seeds, seed| {
            let only = only.iter().map(ToString::to_string).collect();
            let result = run(Path::new("."), &Options { only, list: true, seeds, seed });
            result.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(asked(&["trees"], Some(5), None), "");
        assert_eq!(asked(&["trees"], None, Some(9)), "");
        for (only, seeds, seed, says) in [
            (vec!["planted"], Some(5), None, "planted takes no --seeds, only these do: trees"),
            (vec!["frames"], None, Some(9), "frames takes no --seed, only these do: trees"),
            (vec!["trees", "replays"], Some(5), None, "replays takes no --seeds"),
            (Vec::new(), None, Some(9), "name one of them with `--only`"),
        ] {
            let refused = asked(&only, seeds, seed);
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let options =
            Options { only: vec!["nothing".to_owned()], list: true, seeds: None, seed: None };
        assert!(run(Path::new("."), &options).unwrap_err().to_string().contains("frames"));
    }
}
