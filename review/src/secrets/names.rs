//! Values behind names that say they are secret, and passwords in URLs.

use super::entropy;
use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};
use crate::text;

/// A secret value behind a name.
#[derive(Debug)]
pub(super) struct Assignment<'a> {
    pub(super) name: &'a str,
    pub(super) start: usize,
    pub(super) length: usize,
}

/// Last words of a name whose value is a secret.
const SECRET_NAMES: &[&str] = &[
    "secret",
    "token",
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "apikey",
    "api_key",
    "secret_key",
    "private_key",
    "access_key",
    "auth_key",
    "signing_key",
    "encryption_key",
    "account_key",
    "credential",
    "credentials",
];

/// Whether values of this file need no quotes.
pub(super) fn allows_unquoted(path: &str) -> bool {
    let name = text::file_name(path);
    name.starts_with(".env")
        || name == ".npmrc"
        || name == ".netrc"
        || matches!(text::language(path), "yaml" | "settings" | "docker")
}

/// Finds a value that looks random behind a name that says it is a secret.
pub(super) fn assignment(line: &str, unquoted: bool) -> Option<Assignment<'_>> {
    let operators = line.char_indices().filter(|(_, c)| matches!(c, '=' | ':'));
    operators.filter_map(|(at, _)| behind(line, at, unquoted)).next()
}

fn behind(line: &str, operator: usize, unquoted: bool) -> Option<Assignment<'_>> {
    let name = name_before(line.get(..operator)?)?;
    if !is_secret_name(name) {
        return None;
    }
    let after = line.get(operator + 1..)?;
    let value = after.trim_start_matches(['=', '>', ':', ' ', '\t']);
    let value_at = operator + 1 + (after.len() - value.len());
    let quoted = value.strip_prefix(['"', '\'', '`']).or_else(|| value.strip_prefix("b\""));
    let (value, start) = match quoted {
        Some(inside) => {
            let quote =
                line.as_bytes().get(value_at + (value.len() - inside.len()) - 1).copied()?;
            (inside.split_once(char::from(quote))?.0, value_at + (value.len() - inside.len()))
        }
        None if unquoted => (value.split([' ', '\t', '#', ';', ',']).next()?, value_at),
        None => return None,
    };
    is_secret_value(value).then_some(Assignment { name, start, length: value.chars().count() })
}

/// The identifier that ends where an operator starts, through quotes and a type.
fn name_before(text: &str) -> Option<&str> {
    let text = text.trim_end();
    // `name: &str =` and `name: string =`: the name stands before the colon
    let text = text.rsplit_once(':').map_or(text, |(name, kind)| {
        let is_type = !kind.is_empty()
            && kind.chars().all(|c| {
                c.is_ascii_alphabetic() || matches!(c, ' ' | '&' | '\'' | '<' | '>' | '[' | ']')
            });
        if is_type { name } else { text }
    });
    let text = text.trim_end_matches([' ', '"', '\'', ']', ')', '?', '!']);
    let start = text
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        .map_or(0, |at| at + 1);
    text.get(start..).filter(|name| name.len() >= 3)
}

/// Whether the last words of a name, in any spelling, name a secret.
fn is_secret_name(name: &str) -> bool {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut before = '_';
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            snake.push('_');
        }
        snake.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
        before = c;
    }
    SECRET_NAMES.iter().any(|secret| {
        snake.strip_suffix(secret).is_some_and(|start| start.is_empty() || start.ends_with('_'))
    })
}

fn is_secret_value(value: &str) -> bool {
    (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_graphic())
        && !is_reference(value)
        && !is_uuid(value)
        && entropy::is_random(value)
}

/// Whether a value names something rather than being it: a template, a path, a URL, a placeholder.
fn is_reference(value: &str) -> bool {
    const MARKS: &[&str] = &[
        "${", "$(", "{{", "}}", "{}", "://", "<", ">", "%s", "%(", "::", "()", "..", "*", "[", "]",
    ];
    const WORDS: &[&str] = &[
        "example",
        "test",
        "dummy",
        "changeme",
        "change_me",
        "your",
        "xxx",
        "placeholder",
        "sample",
        "fake",
        "todo",
        "redacted",
        "secret",
        "password",
        "insert",
        "replace",
        "default",
        "process.env",
        "os.environ",
        "sha256",
        "sha512",
    ];
    let lower = value.to_ascii_lowercase();
    value.starts_with(['$', '%', '@', '/', '.', '{', '#'])
        || MARKS.iter().any(|mark| value.contains(mark))
        || WORDS.iter().any(|word| lower.contains(word))
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Finds `scheme://user:password@host` with a real password and a real host.
pub(super) fn url_password(line: &str) -> Option<usize> {
    line.match_indices("://").find_map(|(at, _)| {
        let start = at + 3;
        let authority = line.get(start..)?;
        let end = authority.find(|c: char| {
            c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '`' | '<' | '>' | '?' | '#')
        });
        let authority = authority.get(..end.unwrap_or(authority.len()))?;
        let (user, host) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        let host = host.split(':').next().unwrap_or(host);
        let local = host.is_empty()
            || host == "localhost"
            || host.starts_with("127.")
            || !host.contains('.')
            || host.contains("example");
        let real = password.len() >= 8
            && !is_reference(password)
            && password != name
            && is_mixed(password);
        (real && !local).then_some(start)
    })
}

fn is_mixed(password: &str) -> bool {
    password.bytes().any(|byte| byte.is_ascii_digit())
        && password.bytes().any(|byte| byte.is_ascii_alphabetic())
        && entropy::bits(password.as_bytes()) >= 2.75
}
