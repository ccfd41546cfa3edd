//! How deep a Rust file nests, told by its tokens before anything recursive reads them.
//!
//! The parser, its tree's destructor and every visitor recurse once a level of syntax, so a file of ten thousand
//! `(` would overflow the stack. [`depth`] over-estimates the levels in one pass without recursion: each open
//! delimiter is one, and within a delimiter each operator since the last `,`, `;` or block may be one.

/// Levels of syntax that a source text may reach, at most.
pub(super) fn depth(text: &str) -> usize {
    let mut scan = Scan {
        bytes: text.as_bytes(),
        at: 0,
        frames: vec![Frame::default()],
        below: 0,
        deepest: 0,
    };
    while let Some(byte) = scan.peek(0) {
        scan.token(byte);
    }
    scan.deepest
}

/// Operators of a chain that cost as much stack as one delimiter.
const OPERATORS_A_LEVEL: usize = 4;
/// Words that open a level of expression or type by themselves.
const NESTING_WORDS: &[&[u8]] = &[
    b"return", b"break", b"yield", b"else", b"as", b"dyn", b"impl", b"fn", b"for", b"move", b"mut",
    b"become",
];

#[derive(Default, Clone, Copy)]
struct Frame {
    /// Operators since the last separator.
    chain: usize,
    /// Open `<`, which a comma does not close.
    angles: usize,
}

impl Frame {
    /// Weight of what this frame may nest; a type in `<…>` costs as much stack as a delimiter.
    fn operators(self) -> usize {
        self.chain + self.angles * OPERATORS_A_LEVEL
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    frames: Vec<Frame>,
    /// Weights of the frames below the top.
    below: usize,
    deepest: usize,
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn token(&mut self, byte: u8) {
        match byte {
            b'/' if self.peek(1) == Some(b'/') => self.skip_line(),
            b'/' if self.peek(1) == Some(b'*') => self.skip_block_comment(),
            b'"' => self.skip_string(),
            b'\'' => self.skip_quote(),
            b'(' | b'[' | b'{' => self.open(),
            b')' | b']' | b'}' => self.close(byte),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80.. => self.word(),
            b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
            _ => self.operator(byte),
        }
    }

    fn top(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    fn note(&mut self) {
        let operators = self.below + self.frames.last().map_or(0, |frame| frame.operators());
        self.deepest = self.deepest.max(self.frames.len() + operators / OPERATORS_A_LEVEL);
    }

    fn open(&mut self) {
        self.at += 1;
        self.below += self.frames.last().map_or(0, |frame| frame.operators());
        self.frames.push(Frame::default());
        self.note();
    }

    fn close(&mut self, byte: u8) {
        self.at += 1;
        if self.frames.len() > 1 {
            self.frames.pop();
            self.below -= self.frames.last().map_or(0, |frame| frame.operators());
        }
        if byte == b'}' && self.ends_statement() {
            self.separate(true);
        }
    }

    /// Whether what follows a block starts something new rather than going on with its expression.
    fn ends_statement(&self) -> bool {
        let rest = self.rest().trim_ascii_start();
        match rest.first() {
            None | Some(b'#' | b'}' | b'_' | b'\'' | b'"' | b'0'..=b'9' | b'/') => true,
            Some(byte) if byte.is_ascii_alphabetic() => {
                !rest.starts_with(b"else") && !rest.starts_with(b"as ")
            }
            Some(_) => false,
        }
    }

    fn separate(&mut self, all: bool) {
        if let Some(frame) = self.top() {
            frame.chain = 0;
            if all {
                frame.angles = 0;
            }
        }
    }

    fn operator(&mut self, byte: u8) {
        let before = self.at.checked_sub(1).and_then(|at| self.bytes.get(at)).copied();
        self.at += 1;
        match byte {
            b';' => self.separate(true),
            b',' => self.separate(false),
            // an arm of a match closes no `<`: what looked like one was a comparison
            b'>' if before == Some(b'=') => self.separate(true),
            b'>' if before != Some(b'-') => {
                if let Some(frame) = self.top() {
                    frame.angles = frame.angles.saturating_sub(1);
                }
            }
            b'<' => {
                if let Some(frame) = self.top() {
                    frame.angles += 1;
                }
                self.note();
            }
            _ => self.lengthen(),
        }
    }

    fn lengthen(&mut self) {
        if let Some(frame) = self.top() {
            frame.chain += 1;
        }
        self.note();
    }

    fn word(&mut self) {
        let length = self.rest().iter().take_while(|byte| is_word(**byte)).count();
        let (word, rest) = self.rest().split_at(length);
        let nests = NESTING_WORDS.contains(&word);
        let literal = matches!(word, b"r" | b"br" | b"cr" | b"b" | b"c");
        let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
        let raw = literal && word.ends_with(b"r") && rest.get(hashes) == Some(&b'"');
        let raw_identifier = word == b"r" && hashes == 1 && !raw;
        self.at += length;
        if raw {
            self.skip_raw_string(hashes);
        } else if raw_identifier {
            self.at += 1;
        } else if nests {
            self.lengthen();
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().iter().take_while(|byte| **byte != b'\n').count();
    }

    fn skip_block_comment(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'/', Some(b'*')) => (open, self.at) = (open + 1, self.at + 2),
                (b'*', Some(b'/')) => (open, self.at) = (open - 1, self.at + 2),
                _ => self.at += 1,
            }
            if open == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    fn skip_raw_string(&mut self, hashes: usize) {
        self.at += hashes + 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == b'"'
                && self.rest().iter().take(hashes).filter(|byte| **byte == b'#').count() == hashes
            {
                self.at += hashes;
                return;
            }
        }
    }

    /// Skips a character literal; a lifetime is left to be read as a word.
    fn skip_quote(&mut self) {
        self.at += 1;
        match self.peek(0) {
            Some(b'\\') => {
                self.at += 2;
                self.at +=
                    self.rest().iter().take(16).take_while(|byte| **byte != b'\'').count() + 1;
            }
            Some(_) => {
                let end = self.rest().iter().take(5).skip(1).position(|byte| *byte == b'\'');
                let lifetime = self.peek(0).is_some_and(is_word) && self.peek(1) != Some(b'\'');
                let ascii = self.peek(0).is_some_and(|byte| byte.is_ascii());
                if let (Some(end), false) = (end, lifetime && ascii) {
                    self.at += end + 2;
                }
            }
            None => {}
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_levels() {
        assert_eq!(depth("fn a() { b([1]) }"), 4);
    }

    #[test]
    fn delimiters_in_text_are_not_levels() {
        let text = "// ((((((\n/* {{{{ /* [[ */ */ let a = \"((((\\\"((\"; let b = r##\"((((\"#((\"##; let c = '(';";
        assert_eq!(depth(text), 1);
        assert_eq!(depth("fn a<'a>(b: &'a str) -> char { '\\u{28}' }"), 2);
    }

    #[test]
    fn operators_that_nest_are_levels() {
        assert!(depth(&format!("let a = {}b;", "!".repeat(4000))) >= 1000);
        assert!(depth(&format!("let a: {}u8", "A<B,".repeat(4000))) >= 1000);
        assert!(depth(&format!("let a = b{};", ".c()".repeat(4000))) >= 1000);
        assert!(depth(&format!("a = {}b;", "return ".repeat(4000))) >= 1000);
    }

    #[test]
    fn a_long_file_of_short_items_is_not_deep() {
        assert!(depth(&"fn a<T: B>(x: &T) -> Option<T> { x.b().c()? }\n".repeat(4000)) < 8);
        assert!(depth(&"A => &b, ".repeat(4000)) < 4);
        assert!(depth(&"a if b < c => d, ".repeat(4000)) < 4);
    }
}
