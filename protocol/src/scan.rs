//! The scan before decoding: counts values and depth, so that no input makes the decoder recurse or allocate without bound.
//!
//! [`Frame`](crate::Frame) scans every payload, as MessagePack or JSON, before it builds a value from it.
//!
//! # Invariants
//! - The scan allocates nothing that grows with its input and reads each byte at most once.
//! - A map counts as two values, for its table costs the most memory: so 65,536 values stay below 16 MiB once they are built.
//! - What passes holds one value, at most 64 levels deep, within the count of values, and not a byte more.

use crate::limits::{DEPTH_MAX, VALUES_MAX};

/// Tells why a payload was refused before decoding; offsets count from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A value is cut off.
    #[error("the payload is cut off: the value at byte {offset} needs more bytes than follow")]
    Short {
        /// Where the value begins.
        offset: usize,
    },
    /// Nesting is over its limit.
    #[error("the payload nests over {DEPTH_MAX} levels at byte {offset}; make it flatter")]
    TooDeep {
        /// Where the level begins.
        offset: usize,
    },
    /// There are too many values.
    #[error(
        "the frame holds over {VALUES_MAX} values, counted up to byte {offset}; send several messages"
    )]
    TooMany {
        /// Where the first value too many begins.
        offset: usize,
    },
    /// The key of a map is no text.
    #[error("the map key at byte {offset} is no text; write field names")]
    Key {
        /// Where the key begins.
        offset: usize,
    },
    /// A MessagePack type that the protocol does not use.
    #[error(
        "the byte {marker:#04x} at {offset} begins an extension or reserved type; use nil, bool, numbers, str, bin, array, map"
    )]
    Type {
        /// The marker.
        marker: u8,
        /// Where it stands.
        offset: usize,
    },
    /// More bytes follow the value.
    #[error("{left} bytes follow the payload's value at byte {offset}; send exactly one value")]
    Trailing {
        /// Where the value ends.
        offset: usize,
        /// Number of bytes left.
        left: usize,
    },
}

impl ScanError {
    /// Tells whether a limit was passed, rather than a rule broken.
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::TooDeep { .. } | Self::TooMany { .. })
    }
}

/// The count of values that a frame may still hold.
#[derive(Debug)]
pub(crate) struct Allowance(usize);

impl Allowance {
    /// Starts the count of one frame.
    pub(crate) const fn of_a_frame() -> Self {
        Self(VALUES_MAX)
    }

    fn spend(&mut self, offset: usize) -> Result<(), ScanError> {
        self.0 = self.0.checked_sub(1).ok_or(ScanError::TooMany { offset })?;
        Ok(())
    }
}

/// Scans one MessagePack value that fills the bytes.
pub(crate) fn scan_packed(bytes: &[u8], allowance: &mut Allowance) -> Result<(), ScanError> {
    let mut rest = bytes;
    let mut levels = Levels::default();
    loop {
        let offset = bytes.len() - rest.len();
        allowance.spend(offset)?;
        let token = next_token(&mut rest, offset)?;
        if levels.expects_key() && token != Token::Text {
            return Err(ScanError::Key { offset });
        }
        levels.count_one();
        match token {
            Token::Scalar | Token::Text => {}
            // Each item takes a byte at least, so a count that cannot fit is refused before it is believed.
            Token::Array(items) | Token::Map(items) if items > rest.len() as u64 => {
                return Err(ScanError::Short { offset });
            }
            Token::Array(items) => levels.open(items, false, offset)?,
            Token::Map(items) => {
                allowance.spend(offset)?;
                levels.open(items, true, offset)?;
            }
        }
        if levels.close_full() {
            break;
        }
    }
    let offset = bytes.len() - rest.len();
    if rest.is_empty() { Ok(()) } else { Err(ScanError::Trailing { offset, left: rest.len() }) }
}

/// The arrays and maps that are open, with the items each still lacks; keys and values of a map are two items.
#[derive(Default)]
struct Levels(Vec<Level>);

struct Level {
    left: u64,
    is_map: bool,
}

impl Levels {
    fn expects_key(&self) -> bool {
        self.0.last().is_some_and(|level| level.is_map && level.left.is_multiple_of(2))
    }

    fn count_one(&mut self) {
        if let Some(level) = self.0.last_mut() {
            level.left -= 1;
        }
    }

    fn open(&mut self, left: u64, is_map: bool, offset: usize) -> Result<(), ScanError> {
        if self.0.len() >= DEPTH_MAX {
            return Err(ScanError::TooDeep { offset });
        }
        self.0.push(Level { left, is_map });
        Ok(())
    }

    /// Closes what is complete, and tells whether nothing is open any more.
    fn close_full(&mut self) -> bool {
        while self.0.pop_if(|level| level.left == 0).is_some() {}
        self.0.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Scalar,
    Text,
    Array(u64),
    Map(u64),
}

/// Reads a marker with its length, and skips the bytes of a scalar.
fn next_token(rest: &mut &[u8], offset: usize) -> Result<Token, ScanError> {
    let short = ScanError::Short { offset };
    let (&marker, after) = rest.split_first().ok_or(short)?;
    *rest = after;
    let token = match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Some(Token::Scalar),
        0x80..=0x8f => Some(Token::Map(2 * u64::from(marker & 0x0f))),
        0x90..=0x9f => Some(Token::Array(u64::from(marker & 0x0f))),
        0xa0..=0xbf => skip(rest, u64::from(marker & 0x1f)).map(|()| Token::Text),
        0xc4..=0xc6 => {
            length(rest, marker - 0xc4).and_then(|len| skip(rest, len)).map(|()| Token::Scalar)
        }
        0xca => skip(rest, 4).map(|()| Token::Scalar),
        0xcb => skip(rest, 8).map(|()| Token::Scalar),
        0xcc..=0xcf => skip(rest, 1 << (marker - 0xcc)).map(|()| Token::Scalar),
        0xd0..=0xd3 => skip(rest, 1 << (marker - 0xd0)).map(|()| Token::Scalar),
        0xd9..=0xdb => {
            length(rest, marker - 0xd9).and_then(|len| skip(rest, len)).map(|()| Token::Text)
        }
        0xdc | 0xdd => length(rest, marker - 0xdc + 1).map(Token::Array),
        0xde | 0xdf => length(rest, marker - 0xde + 1).map(|pairs| Token::Map(2 * pairs)),
        0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return Err(ScanError::Type { marker, offset }),
    };
    token.ok_or(short)
}

/// Reads a length of 1, 2 or 4 bytes (width 0, 1 or 2).
fn length(rest: &mut &[u8], width: u8) -> Option<u64> {
    let (front, back) = rest.split_at_checked(1 << width)?;
    *rest = back;
    Some(front.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
}

fn skip(rest: &mut &[u8], count: u64) -> Option<()> {
    *rest = rest.get(usize::try_from(count).ok()?..)?;
    Some(())
}

/// Scans JSON text for its values and depth; whether it is JSON at all is the parser's to say.
pub(crate) fn scan_text(text: &str, allowance: &mut Allowance) -> Result<(), ScanError> {
    let mut bytes = text.bytes().enumerate().peekable();
    let mut depth = 0_usize;
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => continue,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                continue;
            }
            _ => allowance.spend(offset)?,
        }
        if byte == b'{' {
            allowance.spend(offset)?;
        }
        match byte {
            b'{' | b'[' if depth >= DEPTH_MAX => return Err(ScanError::TooDeep { offset }),
            b'{' | b'[' => depth += 1,
            b'"' => skip_string(&mut bytes),
            _ => while bytes.next_if(|(_, next)| !b" \t\n\r,:{}[]\"".contains(next)).is_some() {},
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut impl Iterator<Item = (usize, u8)>) {
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> Result<(), ScanError> {
        scan_packed(bytes, &mut Allowance::of_a_frame())
    }

    fn text(text: &str) -> Result<(), ScanError> {
        scan_text(text, &mut Allowance::of_a_frame())
    }

    #[test]
    fn depth_64_passes_and_65_is_refused_in_both_forms() {
        let nested = |depth| [vec![0x91; depth], vec![0xc0]].concat();
        assert_eq!(packed(&nested(64)), Ok(()));
        assert_eq!(packed(&nested(65)), Err(ScanError::TooDeep { offset: 64 }));
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(text(&nested(64)), Ok(()));
        assert_eq!(text(&nested(65)), Err(ScanError::TooDeep { offset: 64 }));
    }

    #[test]
    fn value_65536_passes_and_the_next_is_refused_in_both_forms() {
        let array = |items: u32| {
            [[0xdd].as_slice(), &items.to_be_bytes(), &vec![0; items as usize]].concat()
        };
        assert_eq!(packed(&array(65_535)), Ok(()), "with the array itself, 65,536");
        assert_eq!(packed(&array(65_536)), Err(ScanError::TooMany { offset: 5 + 65_535 }));
        let array = |items: usize| format!("[{}1]", "1,".repeat(items - 1));
        assert_eq!(text(&array(65_535)), Ok(()));
        assert!(matches!(text(&array(65_536)), Err(ScanError::TooMany { .. })));
    }

    #[test]
    fn a_map_counts_twice_and_each_key_once() {
        let maps = |count: u16| {
            [[0xdc].as_slice(), &count.to_be_bytes(), &[0x81, 0xa0, 0xc0].repeat(count.into())]
                .concat()
        };
        assert_eq!(packed(&maps(16_383)), Ok(()), "1 and 4 each: 65,533");
        assert!(matches!(packed(&maps(16_384)), Err(ScanError::TooMany { .. })));
        let maps = |count| format!("[{}{{}}]", r#"{"":0},"#.repeat(count));
        assert_eq!(text(&maps(16_383)), Ok(()), "1, 4 each, and 2");
        assert!(matches!(text(&maps(16_384)), Err(ScanError::TooMany { .. })));
    }

    #[test]
    fn a_count_or_length_over_what_follows_is_refused_at_once() {
        for claim in [
            &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            &[0xc6, 0xff, 0, 0, 0],
            &[0xa5, 0],
        ] {
            assert_eq!(packed(claim), Err(ScanError::Short { offset: 0 }), "{claim:?}");
        }
        assert_eq!(packed(&[]), Err(ScanError::Short { offset: 0 }));
    }

    #[test]
    fn foreign_types_keys_that_are_no_text_and_trailing_bytes_are_refused() {
        assert_eq!(packed(&[0xc1]), Err(ScanError::Type { marker: 0xc1, offset: 0 }));
        assert_eq!(packed(&[0x91, 0xd4, 0, 0]), Err(ScanError::Type { marker: 0xd4, offset: 1 }));
        assert_eq!(packed(&[0x81, 0x01, 0x02]), Err(ScanError::Key { offset: 1 }));
        assert_eq!(packed(&[0x81, 0xa1, b'k', 0x02]), Ok(()));
        assert_eq!(packed(&[0xc0, 0xc0]), Err(ScanError::Trailing { offset: 1, left: 1 }));
    }

    #[test]
    fn whatever_the_encoder_writes_passes() {
        let value = serde_json::json!({
            "text": ["", "x".repeat(40), "x".repeat(300), "x".repeat(70_000)],
            "numbers": [0, 200, 70_000, 5_000_000_000_u64, -1, -100, -1000, -70_000, -5_000_000_000_i64, 1.5],
            "rest": [null, true, false, {}, [], (0..20).collect::<Vec<_>>(), (0..70_000).take(9).collect::<Vec<_>>()],
        });
        assert_eq!(packed(&rmp_serde::to_vec_named(&value).unwrap()), Ok(()));
        assert_eq!(text(&value.to_string()), Ok(()));
    }

    #[test]
    fn quotes_and_brackets_within_json_strings_do_not_count() {
        let tricky = format!(r#"["{}\"]]]", 1]"#, "[".repeat(1000));
        assert_eq!(text(&tricky), Ok(()));
    }
}
