//! Other frameworks, each a program that runs one workload and prints a line with its figure.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// How each framework is run, by figure and name.
#[derive(Default)]
pub(crate) struct Peers(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Peers {
    /// Reads a JSON object of figures, each an object of names and their command's words.
    ///
    /// # Errors
    /// When the file cannot be read or has another form.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).map(Self).with_context(|| format!("parse {}", path.display()))
    }

    /// Tells who takes part in a figure.
    pub(crate) fn of(&self, figure: &str) -> Vec<Peer> {
        let all = self.0.get(figure).into_iter().flatten();
        all.map(|(name, words)| Peer { name: name.clone(), words: words.clone() }).collect()
    }
}

/// One framework in one figure.
pub(crate) struct Peer {
    pub(crate) name: String,
    words: Vec<String>,
}

impl Peer {
    /// Runs the program; it prints `{"per_second": …}` or `{"bytes": …}`.
    ///
    /// # Errors
    /// When it fails or prints something else.
    pub(crate) fn measure(&self) -> Result<f64> {
        let (program, arguments) =
            self.words.split_first().with_context(|| format!("run {}: no command", self.name))?;
        let output = Command::new(program)
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("run {}: {program}", self.name))?;
        ensure!(output.status.success(), "{} ended with {}", self.name, output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        figure(&text)
            .with_context(|| format!("find the figure of {} in `{}`", self.name, text.trim()))
    }
}

/// Finds the figure in the last line that has one; what a framework says of itself may stand around it.
fn figure(text: &str) -> Option<f64> {
    let value = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line.get("per_second").or_else(|| line.get("bytes"))?.as_f64()
    };
    text.lines().rev().find_map(value).filter(|value| value.is_finite() && *value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(words: &[&str]) -> Peer {
        Peer {
            name: "other".to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn the_figure_is_read_from_the_last_line_that_has_one() {
        for unit in ["per_second", "bytes"] {
            let line = format!("{{\"{unit}\": 12.5}}");
            let line = peer(&["printf", "%s\\n", "starting", "{\"bytes\": 9}", &line, "a warning"]);
            assert!((line.measure().unwrap() - 12.5).abs() < 1e-9);
        }
    }

    #[test]
    fn a_program_without_a_figure_is_an_error_with_its_name() {
        for words in [&["printf", "{\"per_second\": 0}"][..], &["false"], &[]] {
            assert!(format!("{:#}", peer(words).measure().unwrap_err()).contains("other"));
        }
    }
}
