//! Follows the operators of a page that place and show text (ISO 32000-1, 9.4), and tells from the places of the
//! characters where lines, words and paragraphs end.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::file::{File, Page};
use super::font::Font;
use super::object::{Dictionary, Item, Lexer, Object};
use crate::limits::{
    PDF_FONTS_MAX, PDF_FORMS_DEPTH_MAX, PDF_OPERANDS_MAX, PDF_OPERATORS_MAX, PDF_STATES_MAX,
    TEXT_BYTES_MAX,
};

/// A gap wider than this part of the font's size separates words.
const WORD_GAP: f64 = 0.17;
/// A step across the line longer than this part of the font's size begins a new one.
const LINE_STEP: f64 = 0.5;
/// A step across the line longer than this part of the font's size begins a paragraph.
const PARAGRAPH_STEP: f64 = 1.9;

/// A line whose font is larger or smaller by this factor than the line before is another paragraph: a heading, say.
const SIZE_STEP: f64 = 1.15;

/// Turns pages into text.
#[derive(Debug)]
pub(super) struct Painter<'a> {
    file: &'a File<'a>,
    fonts: BTreeMap<u32, Rc<Font>>,
    fonts_read: usize,
    text: String,
    state: State,
    saved: Vec<State>,
    /// where the last character ended, and how large it was
    pen: Option<(f64, f64, f64)>,
    unknown: usize,
    operators: usize,
}

/// The part of the state of graphics that text depends on.
#[derive(Debug, Clone)]
struct State {
    page: Matrix,
    text: Matrix,
    line: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
}

/// A linear map with a shift: `x' = a·x + c·y + e`, `y' = b·x + d·y + f`.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
    e: f64,
    f: f64,
}

impl Matrix {
    const UNIT: Self = Self { a: 1.0, b: 0.0, c: 0.0, d: 1.0, e: 0.0, f: 0.0 };

    fn shift(e: f64, f: f64) -> Self {
        Self { e, f, ..Self::UNIT }
    }

    /// First this one, then the other.
    fn then(self, o: Self) -> Self {
        Self {
            a: self.a * o.a + self.b * o.c,
            b: self.a * o.b + self.b * o.d,
            c: self.c * o.a + self.d * o.c,
            d: self.c * o.b + self.d * o.d,
            e: self.e * o.a + self.f * o.c + o.e,
            f: self.e * o.b + self.f * o.d + o.f,
        }
    }

    fn of(numbers: &[f64]) -> Option<Self> {
        let [a, b, c, d, e, f] = *numbers else { return None };
        Some(Self { a, b, c, d, e, f })
    }
}

impl State {
    fn new() -> Self {
        Self {
            page: Matrix::UNIT,
            text: Matrix::UNIT,
            line: Matrix::UNIT,
            font: None,
            size: 0.0,
            char_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::shift(x, y).then(self.line);
        self.text = self.line;
    }
}

impl<'a> Painter<'a> {
    pub(super) fn new(file: &'a File<'a>) -> Self {
        Self {
            file,
            fonts: BTreeMap::new(),
            fonts_read: 0,
            text: String::new(),
            state: State::new(),
            saved: Vec::new(),
            pen: None,
            unknown: 0,
            operators: 0,
        }
    }

    /// Tells how many characters of all pages are of fonts that do not say which they are.
    pub(super) fn unknown(&self) -> usize {
        self.unknown
    }

    /// Tells whether there were more operators or fonts than are looked at.
    pub(super) fn is_over_limit(&self) -> bool {
        self.operators >= PDF_OPERATORS_MAX || self.fonts_read >= PDF_FONTS_MAX
    }

    /// Returns the text of a page.
    pub(super) fn paint(&mut self, page: &Page) -> String {
        self.state = State::new();
        self.saved.clear();
        self.pen = None;
        let contents = self.file.value(&page.dictionary, "Contents");
        let mut source = Vec::new();
        if let Object::Array(parts) = contents {
            for part in parts {
                source.extend(self.file.unpack(part).unwrap_or_default());
                source.push(b'\n');
            }
        } else {
            source = self.file.unpack(contents).unwrap_or_default();
        }
        self.run(&source, &page.resources, 0);
        std::mem::take(&mut self.text)
    }

    fn run(&mut self, source: &[u8], resources: &Dictionary, depth: usize) {
        let mut lexer = Lexer::new(source, 0);
        let mut operands: Vec<Object> = Vec::new();
        loop {
            let before = lexer.at();
            match lexer.item() {
                Some(Item::Object(object)) => {
                    if operands.len() < PDF_OPERANDS_MAX {
                        operands.push(object);
                    }
                }
                Some(Item::Word(b"BI")) => skip_image(source, &mut lexer),
                Some(Item::Word(word)) => {
                    self.operators += 1;
                    if self.operators >= PDF_OPERATORS_MAX || self.text.len() > TEXT_BYTES_MAX {
                        return;
                    }
                    match (word, operands.last()) {
                        (b"Do", Some(Object::Name(name))) => self.form(name, resources, depth),
                        (b"Tf", _) => self.font(&operands, resources),
                        _ => self.operator(word, &operands),
                    }
                    operands.clear();
                }
                None if lexer.at() > before && lexer.at() < source.len() => operands.clear(),
                None => return,
            }
        }
    }

    fn operator(&mut self, word: &[u8], operands: &[Object]) {
        let numbers: Vec<f64> = operands.iter().filter_map(Object::number).collect();
        let first = numbers.first().copied().unwrap_or_default();
        match word {
            b"q" if self.saved.len() < PDF_STATES_MAX => self.saved.push(self.state.clone()),
            b"Q" => self.state = self.saved.pop().unwrap_or_else(|| self.state.clone()),
            b"cm" => {
                let matrix = Matrix::of(&numbers).unwrap_or(Matrix::UNIT);
                self.state.page = matrix.then(self.state.page);
            }
            b"BT" => {
                self.state.line = Matrix::UNIT;
                self.state.text = Matrix::UNIT;
            }
            b"Tm" => {
                self.state.line = Matrix::of(&numbers).unwrap_or(Matrix::UNIT);
                self.state.text = self.state.line;
            }
            b"Tc" => self.state.char_space = first,
            b"Tw" => self.state.word_space = first,
            b"Tz" => self.state.scale = first / 100.0,
            b"TL" => self.state.leading = first,
            b"Td" | b"TD" => {
                let down = numbers.get(1).copied().unwrap_or_default();
                if word == b"TD" {
                    self.state.leading = -down;
                }
                self.state.next_line(first, down);
            }
            b"T*" => self.state.next_line(0.0, -self.state.leading),
            b"Tj" | b"TJ" | b"'" | b"\"" => self.show(word, operands, &numbers),
            _ => {}
        }
    }

    /// Shows a string, or strings with steps between them.
    fn show(&mut self, word: &[u8], operands: &[Object], numbers: &[f64]) {
        if let (b"\"", [word_space, char_space, ..]) = (word, numbers) {
            self.state.word_space = *word_space;
            self.state.char_space = *char_space;
        }
        if matches!(word, b"'" | b"\"") {
            self.state.next_line(0.0, -self.state.leading);
        }
        let Some(font) = self.state.font.clone() else { return };
        let pieces = match operands.last() {
            Some(Object::Array(pieces)) => pieces.as_slice(),
            Some(string) => std::slice::from_ref(string),
            None => return,
        };
        for piece in pieces {
            if let Object::Text(string) = piece {
                self.string(&font, string);
            } else if let Some(step) = piece.number() {
                let step = -step / 1000.0 * self.state.size * self.state.scale;
                self.state.text = Matrix::shift(step, 0.0).then(self.state.text);
            }
        }
    }

    fn string(&mut self, font: &Font, string: &[u8]) {
        for glyph in font.glyphs(string) {
            let place = self.state.text.then(self.state.page);
            match &glyph.text {
                Some(text) => self.place(&place, text),
                None => self.unknown += 1,
            }
            let space =
                self.state.char_space + if glyph.is_space { self.state.word_space } else { 0.0 };
            let width = glyph.width * self.state.size * self.state.scale;
            let end = Matrix::shift(width, 0.0).then(place);
            self.pen = Some((end.e, end.f, self.size(&place)));
            let step = width + space * self.state.scale;
            self.state.text = Matrix::shift(step, 0.0).then(self.state.text);
        }
    }

    /// Returns the size of the font on the page.
    fn size(&self, place: &Matrix) -> f64 {
        (self.state.size * place.c.hypot(place.d)).abs()
    }

    /// Adds a character, with what its place says before it.
    fn place(&mut self, place: &Matrix, text: &str) {
        if let Some((x, y, last)) = self.pen {
            let length = place.a.hypot(place.b).max(f64::MIN_POSITIVE);
            let (right, up) = (place.a / length, place.b / length);
            let (dx, dy) = (place.e - x, place.f - y);
            let along = dx * right + dy * up;
            let across = (dy * right - dx * up).abs();
            let size = self.size(place).max(last).max(f64::MIN_POSITIVE);
            let other_size = size > SIZE_STEP * last.min(self.size(place));
            if across > PARAGRAPH_STEP * size || (across > LINE_STEP * size && other_size) {
                self.separate("\n\n");
            } else if across > LINE_STEP * size {
                self.separate("\n");
            } else if along > WORD_GAP * size || along < -size {
                self.separate(" ");
            }
        }
        if text.chars().all(char::is_whitespace) {
            self.separate(" ");
        } else {
            self.text.push_str(text);
        }
    }

    /// Ends a word, line or paragraph, unless a stronger end is there already.
    fn separate(&mut self, end: &str) {
        if end == " " {
            if !self.text.ends_with([' ', '\n']) && !self.text.is_empty() {
                self.text.push(' ');
            }
            return;
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        if !self.text.is_empty() && !self.text.ends_with(end) {
            self.text.push_str(end);
        }
    }

    fn font(&mut self, operands: &[Object], resources: &Dictionary) {
        let [Object::Name(name), Object::Number(size), ..] = operands else { return };
        self.state.size = *size;
        let fonts = self.file.value(resources, "Font").dictionary();
        let Some(entry) = fonts.and_then(|fonts| fonts.get(name)) else {
            self.state.font = None;
            return;
        };
        if let Object::Reference(number) = entry
            && let Some(font) = self.fonts.get(number)
        {
            self.state.font = Some(Rc::clone(font));
            return;
        }
        let Some(dictionary) = self.file.resolve(entry).dictionary() else { return };
        if self.fonts_read >= PDF_FONTS_MAX {
            self.state.font = None;
            return;
        }
        self.fonts_read += 1;
        let font = Rc::new(Font::read(self.file, dictionary));
        if let Object::Reference(number) = entry {
            self.fonts.insert(*number, Rc::clone(&font));
        }
        self.state.font = Some(font);
    }

    /// Carries out a form: a part of a page with operators of its own.
    fn form(&mut self, name: &str, resources: &Dictionary, depth: usize) {
        let objects = self.file.value(resources, "XObject").dictionary();
        let Some(entry) = objects.and_then(|objects| objects.get(name)) else { return };
        let Some(form) = self.file.resolve(entry).dictionary() else { return };
        if depth >= PDF_FORMS_DEPTH_MAX || self.file.value(form, "Subtype").name() != Some("Form") {
            return;
        }
        let Some(source) = self.file.unpack(entry) else { return };
        let numbers: Vec<f64> =
            self.file.value(form, "Matrix").array().iter().filter_map(Object::number).collect();
        let own = self.file.value(form, "Resources").dictionary().unwrap_or(resources);
        let (before, saved) = (self.state.clone(), std::mem::take(&mut self.saved));
        self.state.page = Matrix::of(&numbers).unwrap_or(Matrix::UNIT).then(self.state.page);
        self.run(&source, own, depth + 1);
        self.state = before;
        self.saved = saved;
    }
}

/// Moves behind an image inside the page: `ID`, its bytes, `EI` between white space.
fn skip_image(source: &[u8], lexer: &mut Lexer<'_>) {
    while let Some(item) = lexer.item() {
        if item == Item::Word(b"ID") {
            break;
        }
    }
    let rest = source.get(lexer.at()..).unwrap_or_default();
    let is_end = |window: &[u8]| match window {
        [before, b'E', b'I', after] => {
            super::object::is_space(*before) && super::object::is_space(*after)
        }
        _ => false,
    };
    let end = rest.windows(4).position(is_end).map_or(source.len(), |end| lexer.at() + end + 3);
    lexer.seek(end);
}
