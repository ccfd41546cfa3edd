//! Which package may depend on which, and which file may name which foreign crate.
use super::lexer;

/// The packages of the workspace that depend on one another: folder, name in code, what it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("runtime", &["protocol"]),
    ("actors", &["protocol", "runtime"]),
    ("cluster", &["protocol", "runtime"]),
    ("review", &[]),
    ("documents", &[]),
    ("", &["protocol", "runtime", "actors", "cluster", "review", "documents"]),
    ("xtask", &[]),
];

/// Crates that a package must not know of, though nothing else would stop it.
const UNKNOWN: &[(&str, &[&str])] = &[
    ("protocol", &["tokio", "futures-util", "redb", "rustix"]),
    ("runtime", &["axum", "clap", "async-nats"]),
    ("actors", &["axum", "clap", "async-nats", "redb"]),
    ("cluster", &["axum", "clap", "redb"]),
    ("review", &["tokio", "redb", "clap"]),
    ("documents", &["tokio", "redb", "clap"]),
];

/// The root package: the product, what tests it from outside, and what shows how to use it.
const ROOT: &[&str] = &["src/", "tests/", "examples/"];

/// The numbers of consensus.
const EXACT: &[&str] =
    &["actors/src/pattern/consensus/number.rs", "actors/src/pattern/consensus/number/"];

/// A foreign crate and the places that may name it; everything in `FREE` may name all.
const FOREIGN: &[(&str, &[&str])] = &[
    ("redb", &["runtime/src/engine/local.rs", "runtime/src/engine/local/"]),
    ("dashmap", &["runtime/"]),
    ("foldhash", &["actors/", "runtime/"]),
    ("jsonschema", &["actors/src/pattern/pipeline/schema.rs"]),
    ("num_bigint", EXACT),
    ("num_rational", EXACT),
    ("num_traits", EXACT),
    ("metrics", &["runtime/", "actors/tests/"]),
    ("rmp_serde", &["protocol/", "runtime/"]),
    ("uuid", &["protocol/"]),
    ("flate2", &["protocol/", "documents/"]),
    ("zstd", &["protocol/"]),
    ("lz4_flex", &["protocol/"]),
    ("async_nats", &["cluster/src/nats.rs", "cluster/src/nats/"]),
    ("syn", &["review/"]),
    ("proc_macro2", &["review/"]),
    ("tree_sitter", &["review/"]),
    ("typos", &["review/"]),
    ("typos_dict", &["review/"]),
    ("encoding_rs", &["documents/"]),
    ("mail_parser", &["documents/"]),
    ("pulldown_cmark", &["documents/"]),
    ("whatlang", &["documents/"]),
    ("clap", ROOT),
    ("toml", ROOT),
    ("ariadne", ROOT),
    ("indicatif", ROOT),
    ("axum", &["src/gateway.rs", "src/gateway/"]),
];

/// What measures and mends the workspace from outside.
const FREE: &[&str] = &["xtask/", "benches/"];

/// What uses the product as its users do.
const OUTSIDE: &[&str] = &["examples/", "tests/", "benches/figures/"];

/// Dependencies between packages go one way.
pub(crate) fn arrows(path: &str, manifest: &str) -> Vec<String> {
    let folder = path.strip_suffix("Cargo.toml").unwrap_or(path).trim_end_matches('/');
    let named = dependencies(manifest);
    let allowed =
        ARROWS.iter().find(|(package, _)| *package == folder).map(|(_, allowed)| *allowed);
    let unknown =
        UNKNOWN.iter().find(|(package, _)| *package == folder).map_or(&[][..], |(_, list)| *list);
    let mut problems = Vec::new();
    for name in named {
        let ours = ARROWS.iter().any(|(package, _)| *package == name);
        if ours && allowed.is_some_and(|allowed| !allowed.contains(&name.as_str())) {
            problems.push(format!("{path}: {folder} must not depend on {name}"));
        }
        if unknown.contains(&name.as_str()) {
            problems.push(format!("{path}: {folder} must not know of {name}"));
        }
    }
    problems
}

/// A foreign crate is named only where it may be.
pub(crate) fn foreign(path: &str, code: &str) -> Vec<String> {
    if FREE.iter().any(|free| path.starts_with(free)) {
        return Vec::new();
    }
    let forbidden =
        FOREIGN.iter().filter(|(_, places)| !places.iter().any(|place| is_in(path, place)));
    let mut problems = Vec::new();
    for (name, places) in forbidden {
        if let Some(at) = named(code, name) {
            let line = lexer::line(code, at);
            problems
                .push(format!("{path}:{line}: names {name}, which only {} may", places.join(", ")));
        }
    }
    problems
}

/// What looks at the product from outside sees only the root's public API.
pub(crate) fn inner(path: &str, code: &str) -> Vec<String> {
    if !OUTSIDE.iter().any(|outside| path.starts_with(outside)) {
        return Vec::new();
    }
    let ours = ARROWS.iter().map(|(package, _)| *package).filter(|package| !package.is_empty());
    // a module of the same name hides the crate, and so does an import from the root
    let ours = ours.filter(|package| !code.contains(&format!("mod {package};")));
    let imported = |package: &&str| {
        let groups = code.split("use synod::").skip(1).filter_map(|rest| rest.split(';').next());
        groups.into_iter().any(|group| group.contains(package))
    };
    let ours = ours.filter(|package| !imported(package));
    let found = ours.filter_map(|package| Some((package, named(code, package)?)));
    let say = |(package, at)| {
        let line = lexer::line(code, at);
        format!("{path}:{line}: names {package}: use synod's own API, as a user does")
    };
    found.map(say).collect()
}

/// Tells whether a path is the place, or in it if it ends with a slash.
fn is_in(path: &str, place: &str) -> bool {
    if place.ends_with('/') { path.starts_with(place) } else { path == place }
}

/// Finds where code names a crate: `name::…` with nothing before it, or `use name;`.
fn named(code: &str, name: &str) -> Option<usize> {
    lexer::words(code).filter(|(_, word)| *word == name).map(|(at, _)| at).find(|at| {
        let before = code.get(..*at).unwrap_or_default().trim_end();
        let after = code.get(at + name.len()..).unwrap_or_default();
        let path = after.starts_with("::") && (!before.ends_with("::") || before.ends_with(" ::"));
        let whole =
            after.starts_with(';') && (before.ends_with("use") || before.ends_with("crate"));
        path || whole
    })
}

/// Lists what the dependency tables of a manifest name, development and build tables too.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies") && table != "workspace.dependencies";
            if let Some((kind, name)) = table.rsplit_once('.')
                && kind.ends_with("dependencies")
                && kind != "workspace.dependencies"
            {
                names.push(name.to_owned());
            }
        } else if inside && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(0);
            names.extend(line.get(..end).filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    names.into_iter().map(|name| name.trim_start_matches("synod-").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_never_depend_on_each_other() {
        let manifest =
            "[dependencies]\nruntime.workspace = true\ncluster = { path = \"../cluster\" }\n";
        assert_eq!(
            arrows("actors/Cargo.toml", manifest),
            ["actors/Cargo.toml: actors must not depend on cluster"]
        );
        assert!(arrows("Cargo.toml", manifest).is_empty());
        assert_eq!(arrows("review/Cargo.toml", manifest).len(), 2);
    }

    #[test]
    fn a_test_dependency_is_a_dependency() {
        let manifest = "[dev-dependencies.actors]\npath = \"../actors\"\n[features]\nactors = []\n";
        assert_eq!(arrows("runtime/Cargo.toml", manifest).len(), 1);
        assert!(
            arrows("runtime/Cargo.toml", "[workspace.dependencies]\nactors = \"1\"\n").is_empty()
        );
    }

    #[test]
    fn the_words_know_no_executor() {
        assert_eq!(
            arrows("protocol/Cargo.toml", "[dependencies]\ntokio = \"1\"\nserde = \"1\"\n").len(),
            1
        );
        assert!(arrows("runtime/Cargo.toml", "[dependencies]\ntokio = \"1\"\n").is_empty());
    }

    #[test]
    fn a_foreign_crate_is_named_in_its_place_only() {
        let code = "use std::fmt;\nuse redb::Database;\n";
        assert_eq!(foreign("runtime/src/router.rs", code).len(), 1);
        assert!(
            foreign("runtime/src/router.rs", code).concat().contains("router.rs:2: names redb")
        );
        assert!(foreign("runtime/src/engine/local/redb_journal.rs", code).is_empty());
        assert!(foreign("benches/figures/src/mailbox.rs", code).is_empty());
        assert_eq!(foreign("actors/src/a.rs", "fn f() -> ::uuid::Uuid {}").len(), 1);
        assert_eq!(foreign("src/cli.rs", "use redb;").len(), 1);
    }

    #[test]
    fn examples_see_only_the_public_api() {
        assert_eq!(inner("examples/quota.rs", "use runtime::Actor;").len(), 1);
        assert!(inner("examples/quota.rs", "use synod::runtime::Actor;").is_empty());
        assert!(inner("tests/node/main.rs", "mod review; review::run()").is_empty());
        assert!(inner("src/node.rs", "use runtime::Actor;").is_empty());
    }

    #[test]
    fn a_module_or_a_variable_of_the_same_name_is_no_crate() {
        for code in [
            "runtime::telemetry::metrics::describe()",
            "metrics.len()",
            "use crate::metrics::Names;",
            "mod metrics;",
        ] {
            assert!(foreign("src/node.rs", code).is_empty(), "{code}");
        }
    }
}
