//! Documents and where they come from: pulled one by one, never ahead of a free place.
//!
//! # Invariants
//! - A document is pulled once, and kept until the journal has it: an incarnation that begins anew gets it again.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use crate::guard::guarded;

/// A document that enters a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What people call it; empty means its number.
    pub name: String,
    /// What the first stage gets.
    pub content: Arc<Value>,
}

impl Document {
    /// A document with a name.
    pub fn new(name: impl Into<String>, content: impl Into<Value>) -> Self {
        Self { name: name.into(), content: Arc::new(content.into()) }
    }
}

impl<T: Into<Value>> From<T> for Document {
    fn from(content: T) -> Self {
        Self::new("", content)
    }
}

/// The documents of a run, shared by the incarnations of its coordinator.
pub(super) struct Source {
    rest: Box<dyn Iterator<Item = Document> + Send>,
    pulled: u32,
    /// Pulled, and perhaps not in the journal yet: as many as the first stage holds.
    kept: BTreeMap<u32, Document>,
}

impl Source {
    pub(super) fn new(rest: impl Iterator<Item = Document> + Send + 'static) -> Self {
        Self { rest: Box::new(rest), pulled: 0, kept: BTreeMap::new() }
    }

    /// The document of this number, if there is one; those before it are in the journal, or have been given.
    ///
    /// # Errors
    /// The user's iterator panicked.
    pub(super) fn get(&mut self, number: u32) -> Result<Option<Document>, String> {
        if let Some(document) = self.kept.get(&number) {
            return Ok(Some(document.clone()));
        }
        while self.pulled <= number {
            let next = guarded("the documents' iterator", || self.rest.next())?;
            let Some(document) = next else { return Ok(None) };
            if self.pulled == number {
                self.kept.insert(number, document.clone());
            }
            self.pulled += 1;
            if self.pulled > number {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }

    /// The journal has this document.
    pub(super) fn forget(&mut self, number: u32) {
        self.kept.remove(&number);
    }

    /// How many more there are at the least.
    pub(super) fn left(&self) -> usize {
        self.rest.size_hint().0
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Source({} pulled, {} kept)", self.pulled, self.kept.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u64) -> Source {
        Source::new((0..count).map(Document::from))
    }

    #[test]
    fn a_document_is_given_again_until_the_journal_has_it() {
        let mut source = numbers(3);
        assert_eq!(source.get(0), Ok(Some(0.into())));
        assert_eq!(source.get(1), Ok(Some(1.into())));
        assert_eq!(source.get(0), Ok(Some(0.into())), "a new incarnation begins anew");
        source.forget(0);
        source.forget(1);
        assert!(source.kept.is_empty());
        assert_eq!(source.get(2), Ok(Some(2.into())));
        assert_eq!(source.get(3), Ok(None));
    }

    #[test]
    fn those_that_a_journal_has_are_skipped() {
        let mut source = numbers(5);
        assert_eq!(source.get(3), Ok(Some(3.into())));
        assert_eq!((source.kept.len(), source.left()), (1, 1));
    }

    #[test]
    fn an_iterator_that_panics_is_an_error() {
        let mut source =
            Source::new((0..3_u64).map(|n| if n == 1 { panic!("no") } else { n.into() }));
        assert!(source.get(0).unwrap().is_some());
        assert!(source.get(1).unwrap_err().contains("the documents' iterator panicked: no"));
    }
}
