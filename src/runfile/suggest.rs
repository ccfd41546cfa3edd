//! "Did you mean …?"

/// Suggests the nearest of the known names, or lists them all behind `lead`.
pub(crate) fn suggest(wrong: &str, known: &[&str], lead: &str) -> String {
    if known.is_empty() {
        return "there are none".to_owned();
    }
    match nearest(wrong, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{lead} {}", list(known)),
    }
}

/// Lists names as a sentence does: `a`, `b` and `c`.
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Finds the name that takes the fewest edits, if those are a third of its letters at most.
fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let edits = |name: &str| strsim::damerau_levenshtein(&wrong, &name.to_lowercase());
    let (edits, name) = known.iter().map(|name| (edits(name), *name)).min()?;
    (edits <= name.chars().count().div_ceil(3)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = ["builtin", "command", "process"];
        assert_eq!(suggest("comand", &known, "the keys are"), "did you mean `command`?");
        assert_eq!(suggest("BUILTIN", &known, "the keys are"), "did you mean `builtin`?");
    }

    #[test]
    fn without_a_near_name_all_are_listed() {
        let known = ["builtin", "command", "process"];
        let listed = "the keys are `builtin`, `command` and `process`";
        assert_eq!(suggest("xyz", &known, "the keys are"), listed);
        assert_eq!(suggest("xyz", &[], "the keys are"), "there are none");
    }
}
