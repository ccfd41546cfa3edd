//! The objects that a PDF is made of, and the lexer that reads them (ISO 32000-1, 7.2 and 7.3).

use std::collections::BTreeMap;
use std::ops::Range;

use encoding_rs::{UTF_16BE, WINDOWS_1252};

use crate::limits::{PDF_NESTING_MAX, PDF_STRING_BYTES_MAX};

/// The entries of a dictionary by their names.
pub(super) type Dictionary = BTreeMap<String, Object>;

/// Any object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Null,
    Boolean,
    Number(f64),
    Name(String),
    Text(Vec<u8>),
    Array(Vec<Self>),
    Dictionary(Dictionary),
    /// its dictionary, and where its bytes are in the file
    Stream(Dictionary, Range<usize>),
    Reference(u32),
}

impl Object {
    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    pub(super) fn integer(&self) -> Option<u32> {
        self.number().and_then(integer)
    }

    pub(super) fn name(&self) -> Option<&str> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    pub(super) fn array(&self) -> &[Self] {
        if let Self::Array(list) = self { list } else { &[] }
    }

    /// Returns the dictionary, that of a stream too.
    pub(super) fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Dictionary(dictionary) | Self::Stream(dictionary, _) => Some(dictionary),
            Self::Null
            | Self::Boolean
            | Self::Number(_)
            | Self::Name(_)
            | Self::Text(_)
            | Self::Array(_)
            | Self::Reference(_) => None,
        }
    }
}

/// Returns a whole number from 0 on.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
pub(super) fn integer(number: f64) -> Option<u32> {
    (number.fract().abs() < f64::EPSILON && (0.0..=f64::from(u32::MAX)).contains(&number))
        .then_some(number as u32)
}

/// Decodes a text string: UTF-16 or UTF-8 with a mark, else as Windows-1252, which is close to `PDFDocEncoding`.
pub(super) fn text(bytes: &[u8]) -> String {
    if let Some(wide) = bytes.strip_prefix(b"\xfe\xff") {
        return UTF_16BE.decode_without_bom_handling(wide).0.into_owned();
    }
    if let Some(utf8) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return String::from_utf8_lossy(utf8).into_owned();
    }
    WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}

/// What comes next: a value, or a word such as `obj` or the operator `Tj`.
#[derive(Debug, PartialEq)]
pub(super) enum Item<'a> {
    Object(Object),
    Word(&'a [u8]),
}

/// Reads objects one after the other.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Tells where the next byte is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Moves to another place.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// Returns the next item, none at the end or where something is broken.
    pub(super) fn item(&mut self) -> Option<Item<'a>> {
        self.nested(0)
    }

    /// Returns the next object, one that is a reference too.
    pub(super) fn object(&mut self) -> Option<Object> {
        let Some(Item::Object(object)) = self.item() else { return None };
        let after = self.at;
        if let Some(number) = object.integer()
            && let Some(Item::Object(Object::Number(_))) = self.item()
            && self.item() == Some(Item::Word(b"R"))
        {
            return Some(Object::Reference(number));
        }
        self.at = after;
        Some(object)
    }

    /// Skips white space and comments.
    pub(super) fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {
                    self.at += 1;
                }
            } else if is_space(byte) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn ahead(&self, by: usize) -> Option<u8> {
        self.bytes.get(self.at + by).copied()
    }

    fn nested(&mut self, depth: usize) -> Option<Item<'a>> {
        self.skip_space();
        if depth > PDF_NESTING_MAX {
            return None;
        }
        let object = match self.peek()? {
            b'/' => self.name(),
            b'(' => self.string()?,
            b'<' if self.ahead(1) == Some(b'<') => {
                self.at += 2;
                self.dictionary(depth)?
            }
            b'<' => self.hexadecimal()?,
            b'[' => {
                self.at += 1;
                Object::Array(self.list(depth, b"]")?)
            }
            b'>' if self.ahead(1) == Some(b'>') => return Some(self.word(2)),
            b']' | b'{' | b'}' | b')' | b'>' => return Some(self.word(1)),
            b'0'..=b'9' | b'+' | b'-' | b'.' => self.number(),
            _ => return Some(self.keyword()),
        };
        Some(Item::Object(object))
    }

    fn word(&mut self, length: usize) -> Item<'a> {
        let word = self.bytes.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        Item::Word(word)
    }

    fn keyword(&mut self) -> Item<'a> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| !is_regular(*byte)).unwrap_or(rest.len());
        match self.word(end) {
            Item::Word(b"true" | b"false") => Item::Object(Object::Boolean),
            Item::Word(b"null") => Item::Object(Object::Null),
            word @ (Item::Word(_) | Item::Object(_)) => word,
        }
    }

    /// Reads values up to a closing word, turning `1 0 R` into references.
    fn list(&mut self, depth: usize, end: &[u8]) -> Option<Vec<Object>> {
        let mut list = Vec::new();
        loop {
            let before = self.at;
            match self.nested(depth + 1)? {
                Item::Object(object) => list.push(object),
                Item::Word(word) if word == end => return Some(list),
                Item::Word(b"R") => {
                    list.pop();
                    let number = list.pop().and_then(|number| number.integer())?;
                    list.push(Object::Reference(number));
                }
                Item::Word(_) => {
                    // the object ends too early: what follows may be the next one
                    self.at = before;
                    return None;
                }
            }
        }
    }

    fn dictionary(&mut self, depth: usize) -> Option<Object> {
        let mut entries = Dictionary::new();
        let mut list = self.list(depth, b">>")?.into_iter();
        while let (Some(key), Some(value)) = (list.next(), list.next()) {
            if let Object::Name(key) = key {
                entries.insert(key, value);
            }
        }
        Some(Object::Dictionary(entries))
    }

    fn name(&mut self) -> Object {
        self.at += 1;
        let mut name = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| is_regular(*byte)) {
            let code = (byte == b'#').then(|| Some((hex(self.ahead(1)?)?, hex(self.ahead(2)?)?)));
            if let Some(Some((high, low))) = code {
                name.push(high * 16 + low);
                self.at += 3;
            } else {
                name.push(byte);
                self.at += 1;
            }
        }
        Object::Name(String::from_utf8_lossy(&name).into_owned())
    }

    /// Reads a number; what is none, such as `--5`, is read as far as it goes, as other readers do.
    fn number(&mut self) -> Object {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_digit = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
        let end = rest.iter().position(|byte| !is_digit(byte)).unwrap_or(rest.len());
        let digits = rest.get(..end).unwrap_or_default();
        self.at += end;
        let text = std::str::from_utf8(digits).unwrap_or_default();
        let number = text.parse().or_else(|_| {
            let body = text.trim_start_matches(['+', '-']);
            let end = body.find(['+', '-']).unwrap_or(body.len());
            body.get(..end)
                .unwrap_or_default()
                .parse::<f64>()
                .map(|n| if text.starts_with('-') { -n } else { n })
        });
        Object::Number(number.ok().filter(|number: &f64| number.is_finite()).unwrap_or_default())
    }

    fn string(&mut self) -> Option<Object> {
        self.at += 1;
        let mut string = Vec::new();
        let mut depth = 1_usize;
        while string.len() <= PDF_STRING_BYTES_MAX {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(Object::Text(string));
                    }
                }
                b'\\' => {
                    string.extend(self.escape()?);
                    continue;
                }
                _ => {}
            }
            string.push(byte);
        }
        None
    }

    /// Reads what follows a backslash: one byte, or none for a line that goes on.
    fn escape(&mut self) -> Option<Option<u8>> {
        let byte = self.peek()?;
        self.at += 1;
        Some(Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\n' => return Some(None),
            b'\r' => {
                self.at += usize::from(self.peek() == Some(b'\n'));
                return Some(None);
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                u8::try_from(code & 0xff).unwrap_or_default()
            }
            other => other,
        }))
    }

    fn hexadecimal(&mut self) -> Option<Object> {
        self.at += 1;
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().take(2 * PDF_STRING_BYTES_MAX).position(|byte| *byte == b'>')?;
        let digits: Vec<u8> = rest.get(..end)?.iter().filter_map(|byte| hex(*byte)).collect();
        self.at += end + 1;
        let pair = |pair: &[u8]| match pair {
            [high, low] => high * 16 + low,
            [high] => high * 16,
            _ => 0,
        };
        Some(Object::Text(digits.chunks(2).map(pair).collect()))
    }
}

/// Tells the value of a hexadecimal digit.
pub(super) fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Tells whether a byte is white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ')
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte)
        && !matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}
