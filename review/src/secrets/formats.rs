//! Key formats that are told by their prefix, alphabet and length.

use super::entropy;
use crate::finding::Severity;

/// A published key format.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) rule: &'static str,
    pub(super) what: &'static str,
    pub(super) severity: Severity,
    /// The start of every such key, which is no secret.
    pub(super) shown: &'static str,
    alphabet: Alphabet,
    /// Characters behind the prefix: at least, at most.
    length: (usize, usize),
    /// What else must stand in the key.
    contains: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Alphabet {
    UpperDigits,
    Alphanumeric,
    /// Letters, digits, `_` and `-`.
    Url,
    /// As `Url`, and `.`.
    Dotted,
    /// Letters, digits and `/`.
    Path,
}

/// A key in a line.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) format: &'static Format,
    pub(super) start: usize,
    pub(super) length: usize,
}

use Alphabet::{Alphanumeric, Dotted, Path, UpperDigits, Url};

const fn key(
    rule: &'static str,
    what: &'static str,
    shown: &'static str,
    alphabet: Alphabet,
    length: (usize, usize),
) -> Format {
    Format { rule, what, severity: Severity::Error, shown, alphabet, length, contains: "" }
}

const FORMATS: &[Format] = &[
    key("secrets.aws", "an AWS access key id", "AKIA", UpperDigits, (16, 16)),
    key("secrets.aws", "a temporary AWS access key id", "ASIA", UpperDigits, (16, 16)),
    key("secrets.github", "a GitHub personal access token", "ghp_", Alphanumeric, (36, 36)),
    key("secrets.github", "a GitHub OAuth token", "gho_", Alphanumeric, (36, 36)),
    key("secrets.github", "a GitHub user token", "ghu_", Alphanumeric, (36, 36)),
    key("secrets.github", "a GitHub server token", "ghs_", Alphanumeric, (36, 36)),
    key("secrets.github", "a GitHub refresh token", "ghr_", Alphanumeric, (36, 76)),
    key("secrets.github", "a GitHub fine-grained token", "github_pat_", Url, (82, 82)),
    key("secrets.gitlab", "a GitLab access token", "glpat-", Dotted, (20, 64)),
    key("secrets.slack", "a Slack bot token", "xoxb-", Url, (24, 80)),
    key("secrets.slack", "a Slack user token", "xoxp-", Url, (24, 120)),
    key("secrets.slack", "a Slack app token", "xapp-", Url, (40, 160)),
    key("secrets.slack", "a Slack webhook", "https://hooks.slack.com/services/T", Path, (28, 60)),
    key("secrets.stripe", "a live Stripe secret key", "sk_live_", Alphanumeric, (24, 120)),
    key("secrets.stripe", "a live Stripe restricted key", "rk_live_", Alphanumeric, (24, 120)),
    key("secrets.google", "a Google API key", "AIza", Url, (35, 35)),
    key("secrets.google", "a Google OAuth client secret", "GOCSPX-", Url, (28, 28)),
    key("secrets.openai", "an OpenAI key", "sk-proj-", Url, (40, 200)),
    Format {
        contains: "T3BlbkFJ",
        ..key("secrets.openai", "an OpenAI key", "sk-", Alphanumeric, (40, 60))
    },
    key("secrets.anthropic", "an Anthropic key", "sk-ant-", Url, (60, 140)),
    key("secrets.npm", "an npm token", "npm_", Alphanumeric, (36, 36)),
    key("secrets.pypi", "a PyPI token", "pypi-AgEIcHlwaS5vcmc", Url, (50, 400)),
    key("secrets.crates", "a crates.io token", "cio", Alphanumeric, (32, 32)),
    key("secrets.sendgrid", "a SendGrid key", "SG.", Dotted, (66, 66)),
    key("secrets.digitalocean", "a DigitalOcean token", "dop_v1_", Alphanumeric, (64, 64)),
    key("secrets.huggingface", "a Hugging Face token", "hf_", Alphanumeric, (34, 34)),
    Format {
        severity: Severity::Warning,
        contains: ".eyJ",
        ..key("secrets.jwt", "a signed token (JWT)", "eyJ", Dotted, (80, 4096))
    },
];

/// Finds the keys of one line, from left to right.
pub(super) fn find(line: &str) -> impl Iterator<Item = Hit> + '_ {
    let bytes = line.as_bytes();
    let mut starts = memchr_starts(bytes);
    std::iter::from_fn(move || starts.find_map(|start| at(line, start)))
}

/// Positions at which some format's first character follows something that is not part of a word.
fn memchr_starts(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let before = std::iter::once(b' ').chain(bytes.iter().copied());
    before.zip(bytes).enumerate().filter_map(|(at, (before, first))| {
        let edge = !before.is_ascii_alphanumeric() && before != b'_' && before != b'-';
        (edge && b"AgxhsrGnpcSde".contains(first)).then_some(at)
    })
}

fn at(line: &str, start: usize) -> Option<Hit> {
    let rest = line.get(start..)?;
    FORMATS.iter().find_map(|format| {
        let body = rest.strip_prefix(format.shown)?;
        let length = body.bytes().take_while(|byte| format.alphabet.holds(*byte)).count();
        let (least, most) = format.length;
        let key = body.get(..length)?;
        // longer than the format: something else that starts alike
        let fits = (least..=most).contains(&length) && key.contains(format.contains);
        (fits && !is_placeholder(key) && entropy::bits(key.as_bytes()) >= 3.0).then(|| Hit {
            format,
            start,
            length: format.shown.len() + length,
        })
    })
}

/// Whether a key is one of those that documentation shows.
fn is_placeholder(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    [
        "example",
        "xxxx",
        "0000",
        "1234567",
        "abcdefg",
        "your",
        "redacted",
        "placeholder",
        "sample",
        "dummy",
        "fake",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

impl Alphabet {
    fn holds(self, byte: u8) -> bool {
        match self {
            UpperDigits => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphanumeric => byte.is_ascii_alphanumeric(),
            Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Path => byte.is_ascii_alphanumeric() || byte == b'/',
        }
    }
}
