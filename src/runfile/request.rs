//! What a user asked for, in the form that is kept with the run: enough to resume it.

use serde::{Deserialize, Serialize};

use super::catalogue::Catalogue;
use super::model::{Resolved, RunFile};
use super::problem::Problems;
use super::resolve::resolve;

/// One `--set PATH=VALUE`, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Set(pub String);

/// The text of a run file with the options that change it.
///
/// It holds texts only, so that it can be journaled, read back and parsed again with the same
/// result. Values of environment variables are not part of it: they may be secrets.
///
/// ```
/// use synod::runfile::{Catalogue, RunRequest};
///
/// let request = RunRequest {
///     name: "review.toml".into(),
///     text: r#"
///         synod = 1
///         main = "review"
///         agents.secrets = { builtin = "review.secrets" }
///         map_reduce.review = { split = { use = "code.files" }, all_of = ["secrets"] }
///     "#.into(),
///     overrides: vec![],
///     inputs: vec![],
/// };
/// let run = request.resolve(&Catalogue::default(), &|_| None)?;
/// assert_eq!(run.main.as_str(), "review");
/// # Ok::<(), synod::runfile::Problems>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// What messages call the file.
    pub name: String,
    /// The file.
    pub text: String,
    /// Every `--set`, in order.
    pub overrides: Vec<Set>,
    /// Every `--input`, in order.
    pub inputs: Vec<(String, String)>,
}

impl RunRequest {
    /// Parses the file with its overrides.
    ///
    /// # Errors
    /// All problems of the file and the overrides.
    pub fn parse(&self, catalogue: &Catalogue) -> Result<RunFile, Problems> {
        RunFile::parse_for(catalogue, &self.name, &self.text, &self.overrides)
    }

    /// Parses the file and gives its inputs their values; `env` looks up an environment variable.
    ///
    /// # Errors
    /// All problems of the file and the overrides; if there are none, all of the inputs.
    pub fn resolve(
        &self,
        catalogue: &Catalogue,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Resolved, Problems> {
        resolve(&self.parse(catalogue)?, &self.inputs, env)
    }

    /// Gives a number that tells requests apart for people and logs: 64-bit FNV-1a of all texts.
    ///
    /// Equal requests have equal numbers on every machine; whoever needs certainty compares them.
    pub fn fingerprint(&self) -> u64 {
        let numbers =
            |text: &str| -> Vec<u64> { text.bytes().map(u64::from).chain([TEXT_END]).collect() };
        let file = [&self.name, &self.text].into_iter().flat_map(|text| numbers(text));
        let overrides = self.overrides.iter().flat_map(|set| numbers(&set.0));
        let inputs = self.inputs.iter().flat_map(|(name, value)| [name, value]);
        file.chain(overrides)
            .chain([LIST_END])
            .chain(inputs.flat_map(|text| numbers(text)))
            .fold(FNV_BASIS, |hash, number| (hash ^ number).wrapping_mul(FNV_PRIME))
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// Ends every text, so that no two texts run together; no byte has this value.
const TEXT_END: u64 = 256;
/// Ends the list of overrides.
const LIST_END: u64 = 257;
