//! The tables by which a font says which characters its codes are (ISO 32000-1, 9.10.3).

use std::collections::BTreeMap;

use encoding_rs::UTF_16BE;

use super::object::{Item, Lexer, Object};
use crate::limits::PDF_FONT_ENTRIES_MAX;

/// Characters by codes.
#[derive(Debug, Default)]
pub(super) struct CMap {
    /// bytes of a code
    pub(super) bytes: Option<usize>,
    single: BTreeMap<u32, String>,
    /// first code, last code, text of the first code
    ranges: Vec<(u32, u32, Vec<u8>)>,
}

impl CMap {
    /// Reads a table; what is broken ends it.
    pub(super) fn parse(source: &[u8]) -> Self {
        let mut map = Self::default();
        let mut lexer = Lexer::new(source, 0);
        let mut operands = Vec::new();
        while let Some(item) = lexer.item() {
            match item {
                Item::Object(object) if operands.len() < PDF_FONT_ENTRIES_MAX => {
                    operands.push(object);
                }
                Item::Object(_) => break,
                Item::Word(word) => {
                    map.apply(word, &operands);
                    operands.clear();
                }
            }
        }
        map.ranges.sort();
        map
    }

    /// Returns the text of a code.
    pub(super) fn text(&self, code: u32) -> Option<String> {
        if let Some(text) = self.single.get(&code) {
            return Some(text.clone());
        }
        let after = self.ranges.partition_point(|(first, ..)| *first <= code);
        let (first, last, text) = self.ranges.get(after.checked_sub(1)?)?;
        (code <= *last).then(|| shifted(text, code - first))
    }

    fn apply(&mut self, word: &[u8], operands: &[Object]) {
        let room = PDF_FONT_ENTRIES_MAX.saturating_sub(self.single.len() + self.ranges.len());
        match word {
            b"endcodespacerange" => {
                if let Some(Object::Text(first)) = operands.first() {
                    self.bytes = Some(first.len().clamp(1, 4));
                }
            }
            b"endbfchar" => {
                for pair in operands.chunks_exact(2).take(room) {
                    if let [Object::Text(code), Object::Text(text)] = pair {
                        self.single.insert(number(code), utf16(text));
                    }
                }
            }
            b"endbfrange" => {
                for triple in operands.chunks_exact(3).take(room) {
                    self.range(triple, room);
                }
            }
            _ => {}
        }
    }

    fn range(&mut self, triple: &[Object], room: usize) {
        match triple {
            [Object::Text(first), Object::Text(last), Object::Text(text)] => {
                self.ranges.push((number(first), number(last), text.clone()));
            }
            [Object::Text(first), Object::Text(_), Object::Array(texts)] => {
                for (code, text) in (number(first)..).zip(texts.iter().take(room)) {
                    if let Object::Text(text) = text {
                        self.single.insert(code, utf16(text));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Reads a code, the highest byte first.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}

/// Returns the text whose last character lies so many further.
fn shifted(text: &[u8], by: u32) -> String {
    let text = utf16(text);
    let mut chars: Vec<char> = text.chars().collect();
    if let Some(last) = chars.last_mut() {
        *last = char::from_u32(u32::from(*last).saturating_add(by)).unwrap_or('\u{fffd}');
    }
    chars.into_iter().collect()
}

fn utf16(bytes: &[u8]) -> String {
    match bytes {
        [byte] => char::from(*byte).to_string(),
        bytes => UTF_16BE.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_alone_in_ranges_and_in_lists() {
        let map = CMap::parse(
            b"/CIDInit /ProcSet findresource begin 1 begincodespacerange <0000> <FFFF> endcodespacerange\n\
            2 beginbfchar <0003> <0020> <0005> <00660069> endbfchar\n\
            2 beginbfrange <0010> <0012> <0041> <0020> <0021> [<D83DDE00> <0062>] endbfrange",
        );
        assert_eq!(map.bytes, Some(2));
        let text: Vec<_> = [3, 5, 0x10, 0x12, 0x13, 0x20, 0x21].map(|code| map.text(code)).into();
        let want = [Some(" "), Some("fi"), Some("A"), Some("C"), None, Some("😀"), Some("b")];
        assert_eq!(text.iter().map(|text| text.as_deref()).collect::<Vec<_>>(), want);
    }
}
