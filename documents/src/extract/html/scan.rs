//! Cuts a page into text, opening and closing tags; comments, declarations and instructions fall out.
//!
//! # Invariants
//! Every step moves on, and no byte is looked at more than a bounded number of times.

/// Elements whose content is never markup: it ends with their own closing tag.
const RAW: [&str; 7] = ["script", "style", "iframe", "noframes", "title", "textarea", "xmp"];

/// One piece of a page.
pub(super) enum Piece<'a> {
    Text(&'a str),
    Open {
        /// in small letters
        name: String,
        attributes: Vec<(String, String)>,
        /// whether it closes itself: `<svg/>`
        closed: bool,
    },
    Close(String),
}

/// Walks over a page.
pub(super) struct Scanner<'a> {
    rest: &'a str,
    /// the element whose raw content comes next
    raw: Option<String>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(page: &'a str) -> Self {
        Self { rest: page, raw: None }
    }

    /// Returns the next piece, none at the end.
    pub(super) fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(name) = self.raw.take() {
            let end = closing(self.rest, &name).unwrap_or(self.rest.len());
            if end > 0 {
                return Some(Piece::Text(self.take(end)));
            }
        }
        while !self.rest.is_empty() {
            if !self.rest.starts_with('<') {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                return Some(Piece::Text(self.take(end)));
            }
            let second = self.rest.as_bytes().get(1).copied().unwrap_or(b' ');
            if self.rest.starts_with("<!--") {
                let end = self.rest.get(4..).and_then(|rest| rest.find("-->"));
                self.take(end.map_or(self.rest.len(), |end| end + 7));
            } else if matches!(second, b'!' | b'?') {
                self.skip_tag();
            } else if second == b'/' {
                self.take(2);
                let name = self.name();
                self.skip_tag();
                return Some(Piece::Close(name));
            } else if second.is_ascii_alphabetic() {
                return Some(self.open());
            } else {
                return Some(Piece::Text(self.take(1)));
            }
        }
        None
    }

    fn open(&mut self) -> Piece<'a> {
        self.take(1);
        let name = self.name();
        let mut attributes = Vec::new();
        let mut closed = false;
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                break;
            } else if self.rest.starts_with('>') {
                self.take(1);
                break;
            } else if self.rest.starts_with('/') {
                self.take(1);
                closed = self.rest.starts_with('>');
            } else {
                attributes.push(self.attribute());
            }
        }
        if RAW.contains(&name.as_str()) && !closed {
            self.raw = Some(name.clone());
        }
        Piece::Open { name, attributes, closed }
    }

    /// Takes `key`, `key=value`, `key='value'` or `key="value"`; takes at least one character.
    fn attribute(&mut self) -> (String, String) {
        let first = self.rest.chars().next().map_or(0, char::len_utf8);
        let after = self.rest.get(first..).unwrap_or_default();
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'));
        let key = self.take(first + end.unwrap_or(after.len())).to_ascii_lowercase();
        let Some(value) = self.rest.trim_start().strip_prefix('=') else {
            return (key, String::new());
        };
        self.rest = value.trim_start();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = if let Some(quote) = quote {
            self.take(1);
            let end = self.rest.find(quote).unwrap_or(self.rest.len());
            let value = self.take(end);
            self.take(1);
            value
        } else {
            let end = self.rest.find(|c: char| c.is_whitespace() || c == '>');
            self.take(end.unwrap_or(self.rest.len()))
        };
        (key, value.to_owned())
    }

    fn name(&mut self) -> String {
        let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/' | '<'));
        self.take(end.unwrap_or(self.rest.len())).to_ascii_lowercase()
    }

    fn skip_tag(&mut self) {
        let end = self.rest.find('>').map_or(self.rest.len(), |end| end + 1);
        self.take(end);
    }

    /// Takes so many bytes off the front, or what there is.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (front, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        front
    }
}

/// Finds the closing tag of a raw element.
fn closing(text: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("</")) {
        let at = from + at;
        let found = text.get(at + 2..at + 2 + name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return Some(at);
        }
        from = at + 2;
    }
    None
}
