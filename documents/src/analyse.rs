//! What a text is about, in which language, how hard it is to read, and what it names.
//!
//! Called by the second stage of a document pipeline.
//!
//! # Invariants
//! Total on any text; spans lie within it; a larger text is looked at up to the limits, and says so.

use serde::{Deserialize, Serialize};

use crate::limits::LANGUAGE_BYTES_MAX;
use crate::text::{self, Span};

mod entities;
mod keywords;
mod readability;
pub(crate) mod stop_words;

/// Everything that is found out about a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// The language; none where the text has too few letters to tell.
    pub language: Option<Language>,
    /// How much there is.
    pub counts: Counts,
    /// How hard it is to read; none for languages without a known formula, and for texts without words.
    pub readability: Option<Readability>,
    /// What it is about, the best first.
    pub keywords: Vec<Keyword>,
    /// What it names, in the order of the text, without overlap.
    pub entities: Vec<Entity>,
    /// Entities over the limit, which are not listed.
    #[serde(default)]
    pub entities_left_out: usize,
}

/// The language of a text, told by its letters and their trigrams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// ISO 639-3, such as `eng`.
    pub code: String,
    /// In English, such as `English`.
    pub name: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Whether the text is long and clear enough to trust this.
    pub reliable: bool,
}

/// How much of what a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Unicode scalar values, white space included.
    pub characters: usize,
    /// Words as [`text::words`] finds them.
    pub words: usize,
    /// Sentences as [`text::sentences`] finds them.
    pub sentences: usize,
    /// Paragraphs as [`text::paragraphs`] finds them.
    pub paragraphs: usize,
}

/// How hard a text is to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readability {
    /// Flesch Reading Ease: about 100 is very easy, 60 plain, 30 hard, 0 and below very hard.
    pub flesch_reading_ease: f64,
    /// Flesch–Kincaid grade: years of school in the USA; English only.
    pub flesch_kincaid_grade: Option<f64>,
    /// Syllables of all words, by rule.
    pub syllables: usize,
}

/// A phrase that a text is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyword {
    /// As it is written where it comes first, in one line.
    pub text: String,
    /// The sum of the scores of its words; at least 1.
    pub score: f64,
    /// How often it comes.
    pub count: usize,
}

/// Something that a text names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// As it is written.
    pub text: String,
    /// Where it is.
    pub span: Span,
}

/// What a text can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// An address of mail.
    Email,
    /// A link.
    Url,
    /// A digital object identifier.
    Doi,
    /// A bank account with right check digits (ISO 13616).
    Iban,
    /// A day, or a month with its year.
    Date,
    /// An amount with its currency.
    Money,
    /// A share.
    Percentage,
    /// A telephone number.
    Phone,
    /// A name of a person, place or organisation: capitalised words.
    Name,
}

/// Finds out everything about a text.
///
/// # Examples
/// ```
/// let text = "The tea house in Old Bremen opened on 2024-03-01. Green tea costs €4.50 and green tea is hot.";
/// let analysis = synod_documents::analyse(text);
/// assert_eq!(analysis.language.map(|language| language.code).as_deref(), Some("eng"));
/// assert_eq!(analysis.counts.sentences, 2);
/// let entities: Vec<_> = analysis.entities.iter().map(|entity| entity.text.as_str()).collect();
/// assert_eq!(entities, ["Old Bremen", "2024-03-01", "€4.50"]);
/// assert!(analysis.keywords.iter().any(|keyword| keyword.text == "Green tea costs"));
/// ```
pub fn analyse(text: &str) -> Analysis {
    let language = language(text);
    let code = language.as_ref().map(|language| language.code.as_str());
    let sentences = text::sentences(text);
    let words = text::words(text);
    let (entities, entities_left_out) = entities::find(text, &sentences, code);
    Analysis {
        counts: Counts {
            characters: text.chars().count(),
            words: words.len(),
            sentences: sentences.len(),
            paragraphs: text::paragraphs(text).len(),
        },
        readability: readability::measure(text, &words, sentences.len(), code),
        keywords: keywords::find(text, &sentences, code),
        entities,
        entities_left_out,
        language,
    }
}

/// Tells the language of a text from its start.
fn language(text: &str) -> Option<Language> {
    let start = text.get(..text.floor_char_boundary(LANGUAGE_BYTES_MAX))?;
    let found = whatlang::detect(start)?;
    Some(Language {
        code: found.lang().code().to_owned(),
        name: found.lang().eng_name().to_owned(),
        confidence: found.confidence().clamp(0.0, 1.0),
        reliable: found.is_reliable(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_told() {
        for (text, code) in [
            ("The kettle sings while the rain taps against the window of the small house.", "eng"),
            (
                "Der Kessel singt, während der Regen gegen das Fenster des kleinen Hauses klopft.",
                "deu",
            ),
            (
                "La bouilloire chante pendant que la pluie frappe la fenêtre de la petite maison.",
                "fra",
            ),
            ("Чайник поёт, пока дождь стучит в окно маленького дома.", "rus"),
        ] {
            let language = language(text).unwrap();
            assert_eq!(language.code, code);
            assert!((0.0..=1.0).contains(&language.confidence));
        }
        assert_eq!(language("12 34"), None);
    }

    #[test]
    fn an_analysis_survives_its_journey_as_json() {
        let analysis = analyse("Jane Doe paid 10 % on 1 May 2024. Why did she not pay more?");
        let json = serde_json::to_string(&analysis).unwrap();
        assert_eq!(serde_json::from_str::<Analysis>(&json).unwrap(), analysis);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_analysed_with_spans_in_it(
            text in "([a-zA-Zéß0-9 .,@/:%€$+()\n-]|https://|10.1000/|a@b.de|DE|Jan |Der |\\PC){0,80}",
        ) {
            let analysis = analyse(&text);
            let mut last = 0;
            for entity in &analysis.entities {
                assert!(last <= entity.span.start && entity.span.start < entity.span.end);
                assert_eq!(text.get(entity.span.start..entity.span.end), Some(entity.text.as_str()));
                last = entity.span.end;
            }
            assert!(analysis.keywords.iter().all(|keyword| keyword.score >= 1.0 && keyword.count > 0));
            if let Some(readability) = &analysis.readability {
                assert!(readability.flesch_reading_ease.is_finite());
            }
        }
    }
}
