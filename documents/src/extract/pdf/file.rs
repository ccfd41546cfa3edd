//! Finds the objects of a file by walking over all of it, as readers do that repair a broken one.
//!
//! Tables of offsets are not looked at: what they say is redundant in a sound file and wrong in a broken one. An object
//! that is written twice counts as it was written last.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::filter;
use super::object::{Dictionary, Lexer, Object, is_space};
use crate::limits::{
    PDF_OBJECTS_MAX, PDF_PAGES_MAX, PDF_REFERENCES_MAX, PDF_STREAM_BYTES_MIN,
    PDF_UNPACKED_BYTES_MAX,
};

/// A file whose objects are known.
#[derive(Debug)]
pub(super) struct File<'a> {
    bytes: &'a [u8],
    objects: BTreeMap<u32, Object>,
    trailer: Dictionary,
    encrypted: bool,
    /// bytes that streams may still unpack to
    room: Cell<usize>,
}

/// A page with what it inherits.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) dictionary: Dictionary,
    pub(super) resources: Rc<Dictionary>,
}

impl<'a> File<'a> {
    /// Walks over the file.
    pub(super) fn open(bytes: &'a [u8]) -> Self {
        let mut file = Self {
            bytes,
            objects: BTreeMap::new(),
            trailer: Dictionary::new(),
            encrypted: false,
            room: Cell::new(PDF_UNPACKED_BYTES_MAX),
        };
        let mut at = 0;
        while let Some(found) = find(bytes, at, b"obj") {
            at = match header(bytes, found) {
                Some(number) => file.take(number, found + 3),
                None => found + 3,
            };
            if file.objects.len() >= PDF_OBJECTS_MAX {
                break;
            }
        }
        let mut at = 0;
        while let Some(found) = find(bytes, at, b"trailer") {
            at = found + 7;
            if let Some(Object::Dictionary(trailer)) = Lexer::new(bytes, at).object() {
                file.trailer(&trailer);
            }
        }
        file
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Tells whether there was more than what is read.
    pub(super) fn is_over_limit(&self) -> bool {
        self.room.get() == 0 || self.objects.len() >= PDF_OBJECTS_MAX
    }

    /// Follows references to a value.
    pub(super) fn resolve<'b>(&'b self, object: &'b Object) -> &'b Object {
        let mut object = object;
        for _ in 0..PDF_REFERENCES_MAX {
            let Object::Reference(number) = object else { return object };
            object = self.objects.get(number).unwrap_or(&Object::Null);
        }
        &Object::Null
    }

    /// Returns the value of a key, with references followed.
    pub(super) fn value<'b>(&'b self, dictionary: &'b Dictionary, key: &str) -> &'b Object {
        dictionary.get(key).map_or(&Object::Null, |value| self.resolve(value))
    }

    /// Returns the dictionary at a key, an empty one if there is none.
    pub(super) fn dictionary(&self, dictionary: &Dictionary, key: &str) -> Dictionary {
        self.value(dictionary, key).dictionary().cloned().unwrap_or_default()
    }

    /// Unpacks a stream; none if it is no stream, an image, or over the limit.
    pub(super) fn unpack(&self, object: &Object) -> Option<Vec<u8>> {
        let Object::Stream(dictionary, range) = self.resolve(object) else { return None };
        let raw = self.bytes.get(range.clone())?;
        let unpacked = filter::unpack(self, dictionary, raw, self.room.get())?;
        self.room.set(self.room.get().saturating_sub(unpacked.len().max(PDF_STREAM_BYTES_MIN)));
        Some(unpacked)
    }

    /// Returns the root of the document's objects.
    pub(super) fn catalog(&self) -> Dictionary {
        let root = self.dictionary(&self.trailer, "Root");
        if root.contains_key("Pages") {
            return root;
        }
        self.of_type("Catalog").next().cloned().unwrap_or_default()
    }

    /// Returns what the document says of itself.
    pub(super) fn information(&self) -> Dictionary {
        self.dictionary(&self.trailer, "Info")
    }

    /// Returns the pages in their order; those of a document without a tree of pages in that of their numbers.
    pub(super) fn pages(&self) -> Vec<Page> {
        let catalog = self.catalog();
        let mut pages = Vec::new();
        let mut seen = BTreeSet::new();
        let mut stack: Vec<(Object, Rc<Dictionary>)> = Vec::new();
        // many nodes may share one list of kids
        let mut steps = 0;
        stack.extend(catalog.get("Pages").map(|pages| (pages.clone(), Rc::default())));
        while let Some((object, inherited)) = stack.pop() {
            if let Object::Reference(number) = object
                && !seen.insert(number)
            {
                continue;
            }
            let Some(node) = self.resolve(&object).dictionary() else { continue };
            let own = self.value(node, "Resources").dictionary();
            let resources = own.map_or(inherited, |own| Rc::new(own.clone()));
            if node.contains_key("Kids") {
                let kids = self.value(node, "Kids").array();
                steps += kids.len();
                if steps > PDF_OBJECTS_MAX {
                    break;
                }
                let kid = |kid: &Object| (kid.clone(), Rc::clone(&resources));
                stack.extend(kids.iter().rev().map(kid));
            } else if pages.len() < PDF_PAGES_MAX {
                pages.push(Page { dictionary: node.clone(), resources });
            }
        }
        if pages.is_empty() {
            let lost = self.of_type("Page").take(PDF_PAGES_MAX);
            pages.extend(lost.map(|page| Page {
                dictionary: page.clone(),
                resources: Rc::new(self.dictionary(page, "Resources")),
            }));
        }
        pages
    }

    fn of_type(&self, kind: &'static str) -> impl Iterator<Item = &Dictionary> {
        let dictionaries = self.objects.values().filter_map(Object::dictionary);
        dictionaries.filter(move |entries| entries.get("Type").and_then(Object::name) == Some(kind))
    }

    /// Takes the object whose header ends at `start`; returns where to look for the next.
    fn take(&mut self, number: u32, start: usize) -> usize {
        let mut lexer = Lexer::new(self.bytes, start);
        let Some(object) = lexer.object() else { return lexer.at().max(start) };
        let Object::Dictionary(dictionary) = object else {
            self.objects.insert(number, object);
            return lexer.at();
        };
        lexer.skip_space();
        let body = self.bytes.get(lexer.at()..).and_then(|rest| rest.strip_prefix(b"stream"));
        let Some(body) = body else {
            self.objects.insert(number, Object::Dictionary(dictionary));
            return lexer.at();
        };
        let line_end = match body {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        let begin = lexer.at() + 6 + line_end;
        let end = self.stream_end(&dictionary, begin);
        let stream = Object::Stream(dictionary, begin..end);
        self.register(number, stream);
        end
    }

    /// Finds the end of a stream: where its length says if that is right, else where it says so itself.
    fn stream_end(&self, dictionary: &Dictionary, begin: usize) -> usize {
        let length = dictionary.get("Length").map(|length| self.resolve(length));
        let length =
            length.and_then(Object::integer).and_then(|length| usize::try_from(length).ok());
        let end = length.and_then(|length| begin.checked_add(length));
        let is_end = |end: &usize| {
            let rest = self.bytes.get(*end..).unwrap_or_default();
            let space = rest.iter().take(4).take_while(|byte| is_space(**byte)).count();
            rest.get(space..).is_some_and(|rest| rest.starts_with(b"endstream"))
        };
        let search = || find(self.bytes, begin, b"endstream").unwrap_or(self.bytes.len());
        end.filter(is_end).unwrap_or_else(search)
    }

    /// Keeps a stream, and what it holds if it is one of objects.
    fn register(&mut self, number: u32, stream: Object) {
        let kind =
            stream.dictionary().and_then(|entries| entries.get("Type")?.name().map(str::to_owned));
        match kind.as_deref() {
            Some("XRef") => {
                let entries = stream.dictionary().cloned().unwrap_or_default();
                self.trailer(&entries);
            }
            Some("ObjStm") => self.expand(&stream),
            _ => {
                self.objects.insert(number, stream);
            }
        }
    }

    /// Takes the objects out of a stream of objects (7.5.7).
    fn expand(&mut self, stream: &Object) {
        let Some(unpacked) = self.unpack(stream) else { return };
        let entry = |key: &str| {
            stream.dictionary().and_then(|entries| self.resolve(entries.get(key)?).integer())
        };
        let (Some(count), Some(first)) = (entry("N"), entry("First")) else { return };
        let mut index = Lexer::new(&unpacked, 0);
        for _ in 0..count {
            let number = index.object().and_then(|number| number.integer());
            let offset = index.object().and_then(|offset| offset.integer());
            let (Some(number), Some(offset)) = (number, offset) else { break };
            let at = usize::try_from(first).ok().zip(usize::try_from(offset).ok());
            let Some(at) = at.and_then(|(first, offset)| first.checked_add(offset)) else { break };
            if self.objects.len() >= PDF_OBJECTS_MAX {
                break;
            }
            if let Some(object) = Lexer::new(&unpacked, at).object() {
                self.objects.insert(number, object);
            }
        }
    }

    fn trailer(&mut self, entries: &Dictionary) {
        self.encrypted |= entries.get("Encrypt").is_some_and(|value| *value != Object::Null);
        if entries.contains_key("Root") {
            let mut merged = entries.clone();
            // an update may leave out what an earlier trailer says
            if let Some(information) = self.trailer.get("Info") {
                merged.entry("Info".to_owned()).or_insert_with(|| information.clone());
            }
            self.trailer = merged;
        }
    }
}

/// Finds some bytes.
pub(super) fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

/// Reads `12 0 ` backwards from where `obj` stands and returns the first of the numbers.
fn header(bytes: &[u8], at: usize) -> Option<u32> {
    let front = bytes.get(..at)?;
    let front = trim(front, is_space);
    let generation = trim(front, |byte| byte.is_ascii_digit());
    let front = trim(generation, is_space);
    let rest = trim(front, |byte| byte.is_ascii_digit());
    if front.len() == generation.len() || generation.len() == bytes.len() {
        return None;
    }
    std::str::from_utf8(front.get(rest.len()..)?).ok()?.parse().ok()
}

/// Drops bytes of a kind off the end, at most as many as a number has.
fn trim(bytes: &[u8], kind: impl Fn(u8) -> bool) -> &[u8] {
    let count = bytes.iter().rev().take(16).take_while(|byte| kind(**byte)).count();
    bytes.get(..bytes.len() - count).unwrap_or_default()
}
