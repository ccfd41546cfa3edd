//! What the pattern of an entity cannot say.

use crate::analyse::EntityKind;

/// Drops what ends a sentence or a bracket around the entity rather than the entity.
pub(super) fn trim(kind: EntityKind, text: &str) -> &str {
    if !matches!(kind, EntityKind::Url | EntityKind::Doi) {
        return text;
    }
    let mut text = text;
    loop {
        let before = text;
        text = text.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '"', '…', '’', '”', '»']);
        for (open, close) in [('(', ')'), ('[', ']')] {
            if text.ends_with(close) && text.matches(close).count() > text.matches(open).count() {
                text = text.strip_suffix(close).unwrap_or(text);
            }
        }
        if text == before {
            return text;
        }
    }
}

/// Tells whether there is a host after the scheme.
pub(super) fn is_url(text: &str) -> bool {
    let host = text.split_once("://").map_or(text, |(_, host)| host);
    let host = host.strip_prefix("www.").unwrap_or(host);
    host.starts_with(char::is_alphanumeric) || host.starts_with('[')
}

/// Tells whether the check digits of an account are right (ISO 7064, MOD 97-10).
pub(super) fn is_iban(text: &str) -> bool {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let Some((front, back)) = compact.split_at_checked(4).filter(|_| compact.len() <= 34) else {
        return false;
    };
    let mut digits = back.chars().chain(front.chars()).map(|c| c.to_digit(36));
    let rest = digits.try_fold(0_u32, |rest, digit| {
        digit.map(|digit| (rest * if digit > 9 { 100 } else { 10 } + digit) % 97)
    });
    rest == Some(1)
}

/// Tells whether there are as many digits as a telephone number has (ITU-T E.164: at most 15).
pub(super) fn is_phone(text: &str) -> bool {
    (7..=15).contains(&text.chars().filter(char::is_ascii_digit).count())
}
