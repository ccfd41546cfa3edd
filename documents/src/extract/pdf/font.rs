//! Fonts: the codes of a string, each with its text and its width (ISO 32000-1, 9.5 to 9.7).

use std::collections::BTreeMap;

use super::cmap::{CMap, number};
use super::file::File;
use super::glyph;
use super::object::{Dictionary, Object};
use crate::limits::PDF_FONT_ENTRIES_MAX;

/// What a string of a page needs to become text.
#[derive(Debug)]
pub(super) struct Font {
    /// bytes of a code
    bytes: usize,
    map: Option<CMap>,
    /// whether a code is UTF-16 itself
    is_utf16: bool,
    /// the texts of the 256 codes of a simple font; empty for others
    simple: Vec<Option<String>>,
    /// thousandths of the size of the font
    widths: BTreeMap<u32, f64>,
    width: Option<f64>,
}

/// One character of a string.
#[derive(Debug, PartialEq)]
pub(super) struct Glyph {
    /// none where the font does not say
    pub(super) text: Option<String>,
    /// how far it goes, in parts of the size of the font
    pub(super) width: f64,
    /// whether spacing between words applies: to the one byte 32
    pub(super) is_space: bool,
}

impl Font {
    /// Reads the dictionary of a font.
    pub(super) fn read(file: &File<'_>, font: &Dictionary) -> Self {
        let map = font.get("ToUnicode").and_then(|map| file.unpack(map));
        let map = map.map(|source| CMap::parse(&source));
        let encoding = file.value(font, "Encoding");
        if file.value(font, "Subtype").name() == Some("Type0") {
            return Self::composite(file, font, map, encoding.name().unwrap_or_default());
        }
        let mut widths = BTreeMap::new();
        let first = file.value(font, "FirstChar").integer().unwrap_or(0);
        for (code, width) in (first..).zip(file.value(font, "Widths").array().iter().take(256)) {
            if let Some(width) = file.resolve(width).number() {
                widths.insert(code, width);
            }
        }
        let simple = simple(file, font, encoding);
        let is_type3 = file.value(font, "Subtype").name() == Some("Type3");
        if let Some(scale) = file.value(font, "FontMatrix").array().first().filter(|_| is_type3) {
            let scale = file.resolve(scale).number().unwrap_or(0.001) * 1000.0;
            widths.values_mut().for_each(|width| *width *= scale);
        }
        Self { bytes: 1, map, is_utf16: false, simple, widths, width: None }
    }

    fn composite(file: &File<'_>, font: &Dictionary, map: Option<CMap>, encoding: &str) -> Self {
        let descendant = file.value(font, "DescendantFonts").array().first();
        let descendant = descendant.and_then(|font| file.resolve(font).dictionary());
        let empty = Dictionary::new();
        let descendant = descendant.unwrap_or(&empty);
        let is_utf16 = encoding.contains("UCS2") || encoding.contains("UTF16");
        let bytes = map.as_ref().and_then(|map| map.bytes).unwrap_or(2);
        Self {
            bytes: if encoding.starts_with("Identity") || is_utf16 { 2 } else { bytes },
            map,
            is_utf16,
            simple: Vec::new(),
            widths: composite_widths(file, file.value(descendant, "W").array()),
            width: Some(file.value(descendant, "DW").number().unwrap_or(1000.0)),
        }
    }

    /// Cuts a string into characters.
    pub(super) fn glyphs<'a>(&'a self, string: &'a [u8]) -> impl Iterator<Item = Glyph> + 'a {
        string.chunks(self.bytes).map(|code| self.glyph(number(code)))
    }

    fn glyph(&self, code: u32) -> Glyph {
        let mapped =
            self.map.as_ref().and_then(|map| map.text(code)).filter(|text| !text.is_empty());
        let own = || match usize::try_from(code) {
            Ok(at) if !self.simple.is_empty() => self.simple.get(at).cloned().flatten(),
            _ if self.is_utf16 => char::from_u32(code).map(String::from),
            _ => None,
        };
        let text = mapped.map(|text| glyph::spelled(&text)).or_else(own);
        let text = text.filter(|text| !text.contains('\0'));
        let width = self.widths.get(&code).copied().or(self.width);
        let width = width.unwrap_or_else(|| guess(text.as_deref().unwrap_or("n")));
        let is_space = self.bytes == 1 && code == 32;
        Glyph { text, width: width / 1000.0, is_space }
    }
}

/// Returns the texts of the codes of a simple font.
fn simple(file: &File<'_>, font: &Dictionary, encoding: &Object) -> Vec<Option<String>> {
    let name = file.value(font, "BaseFont").name().unwrap_or_default();
    let is_symbolic = name.contains("Symbol") || name.contains("Dingbats");
    let is_truetype = file.value(font, "Subtype").name() == Some("TrueType");
    let base = encoding
        .dictionary()
        .map_or(encoding.name(), |entries| file.value(entries, "BaseEncoding").name());
    let base = base.or_else(|| is_truetype.then_some("WinAnsiEncoding"));
    let text = |code: u8| if is_symbolic { None } else { glyph::by_code(base, code) };
    let mut texts: Vec<Option<String>> = (0..=255).map(text).collect();
    let differences =
        encoding.dictionary().map(|entries| file.value(entries, "Differences").array());
    let mut code = 0_u32;
    for entry in differences.unwrap_or_default().iter().take(PDF_FONT_ENTRIES_MAX) {
        let entry = file.resolve(entry);
        if let Object::Name(name) = entry {
            if let Some(slot) = usize::try_from(code).ok().and_then(|at| texts.get_mut(at)) {
                *slot = glyph::by_name(name);
            }
            code = code.saturating_add(1);
        } else {
            code = entry.integer().unwrap_or(code);
        }
    }
    texts
}

/// Reads `c [w1 w2 …]` and `first last w` (9.7.4.3).
fn composite_widths(file: &File<'_>, list: &[Object]) -> BTreeMap<u32, f64> {
    let mut widths = BTreeMap::new();
    let mut room = PDF_FONT_ENTRIES_MAX;
    let mut rest = list;
    while let [first, second, after @ ..] = rest {
        let Some(code) = file.resolve(first).integer() else { break };
        let second = file.resolve(second);
        let before = room;
        if let Object::Array(list) = second {
            for (code, width) in (code..).zip(list.iter().take(before)) {
                widths.insert(code, file.resolve(width).number().unwrap_or(0.0));
                room -= 1;
            }
            rest = after;
        } else {
            let (Some(last), [width, after @ ..]) = (second.integer(), after) else { break };
            let width = file.resolve(width).number().unwrap_or(0.0);
            for code in (code..=last).take(before) {
                widths.insert(code, width);
                room -= 1;
            }
            rest = after;
        }
        if room == 0 {
            break;
        }
    }
    widths
}

/// Guesses the width of a character of one of the fonts that every reader has, in thousandths of its size.
fn guess(text: &str) -> f64 {
    match text.chars().next().unwrap_or('n') {
        'i' | 'j' | 'l' | 'f' | 't' | 'I' | ' ' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 270.0,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '—' => 850.0,
        c if c.is_uppercase() => 680.0,
        _ => 530.0,
    }
}
