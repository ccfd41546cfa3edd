//! Which seeds a simulation runs, and the command that runs one of them again.
//!
//! Called by [`Sim`](super::Sim); the environment and the command line come in as arguments.
//!
//! # Invariants
//! What is asked for is run or refused with words: no number is ignored, and to run nothing is refused too.

use std::{env, thread};

/// Names the one seed to run.
const SEED: &str = "SYNOD_SEED";
/// Says how many seeds to run.
const SEEDS: &str = "SYNOD_SEEDS";

/// Options of the test program whose value is the next word.
const WITH_VALUE: [&str; 7] =
    ["--test-threads", "--skip", "--format", "--logfile", "--color", "--shuffle-seed", "-Z"];

/// The first seed and how many there are: those of the scenario, unless the environment asks for others.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn chosen(
    seeds: u64,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(u64, u64), String> {
    let number = |name: &str| {
        let Some(text) = variable(name) else { return Ok(None) };
        let number = text.parse::<u64>();
        number
            .map(Some)
            .map_err(|_| format!("{name} is `{text}`; write a whole number, as {name}=17"))
    };
    let (one, many) = (number(SEED)?, number(SEEDS)?);
    match (one, many) {
        (_, Some(0)) => Err(format!("{SEEDS} is 0, which runs nothing; write 1 or more")),
        (Some(seed), _) => Ok((seed, 1)),
        (None, Some(seeds)) => Ok((1, seeds)),
        (None, None) if seeds == 0 => Err("`seeds(0)` runs nothing; write 1 or more".to_owned()),
        (None, None) => Ok((1, seeds)),
    }
}

/// The value of an environment variable; one that is no text is given with a sign in place of what cannot be read.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The command that runs one seed of the present test; to be called on the thread that runs the test.
pub(crate) fn command() -> impl Fn(u64) -> String + Sync {
    let thread = thread::current();
    let test = test_name(thread.name(), env::args().skip(1));
    move |seed| match &test {
        Some(test) => format!("{SEED}={seed} cargo test {test}"),
        None => format!("{SEED}={seed} cargo test"),
    }
}

/// The name of a test: that of its thread, else what the test program was told to run.
fn test_name(thread: Option<&str>, mut words: impl Iterator<Item = String>) -> Option<String> {
    if let Some(name) = thread.filter(|name| *name != "main") {
        return Some(name.to_owned());
    }
    // A runner that starts a process a test names it last.
    let mut last = None;
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            words.next();
        } else if !word.starts_with('-') {
            last = Some(word);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seeds: u64, given: &[(&str, &str)]) -> Result<(u64, u64), String> {
        let found = |name: &str| given.iter().find(|(key, _)| *key == name);
        chosen(seeds, |name| found(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_chooses_seeds_and_nothing_in_it_is_ignored() {
        assert_eq!(of(100, &[]), Ok((1, 100)));
        assert_eq!(of(100, &[(SEEDS, "3")]), Ok((1, 3)));
        assert_eq!(of(100, &[(SEEDS, "3"), (SEED, "17")]), Ok((17, 1)));
        assert_eq!(of(0, &[(SEEDS, "3")]), Ok((1, 3)));
        for (seeds, given, says) in [
            (100, (SEED, "0x11"), "SYNOD_SEED is `0x11`"),
            (100, (SEED, ""), "SYNOD_SEED is ``"),
            (100, (SEEDS, "-1"), "SYNOD_SEEDS is `-1`"),
            (100, (SEEDS, "0"), "runs nothing"),
            (0, ("OTHER", "1"), "`seeds(0)` runs nothing"),
        ] {
            let refused = of(seeds, &[given]).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn a_test_is_called_as_its_thread_and_else_as_the_command_line_says() {
        let of = |thread, line: &str| test_name(thread, line.split(' ').map(str::to_owned));
        assert_eq!(of(Some("a::b"), "--exact c").as_deref(), Some("a::b"));
        assert_eq!(of(Some("main"), "--exact a::b --nocapture").as_deref(), Some("a::b"));
        assert_eq!(of(None, "a::b --test-threads 2").as_deref(), Some("a::b"));
        assert_eq!(of(None, "--test-threads 2 --quiet"), None);
    }
}
