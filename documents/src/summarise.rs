//! The sentences that say most of a text: LexRank.
//!
//! Called by the last stage of a document pipeline; what ranks is [`lexrank`], which takes sentences as lists of tokens.
//!
//! # Invariants
//! A summary is a part of the sentences of the text, in their order; the same text gives the same summary.

use serde::{Deserialize, Serialize};

use crate::analyse::stop_words;
use crate::limits::{RANKED_SENTENCES_MAX, SENTENCE_BYTES_MAX};
use crate::text::{self, Span};

pub mod lexrank;

/// What to choose, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many sentences to choose; 0 chooses none.
    pub sentences: usize,
    /// The language of the text as ISO 639-3, whose words of grammar are not compared; none compares all words.
    pub language: Option<String>,
    /// How sentences are ranked.
    pub lexrank: lexrank::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self { sentences: 3, language: None, lexrank: lexrank::Options::default() }
    }
}

/// The sentences that say most of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The sentences, with a space between two of them.
    pub text: String,
    /// Each of them, in the order of the text.
    pub sentences: Vec<Chosen>,
    /// How many sentences were compared.
    pub ranked: usize,
    /// Sentences that were not compared: longer than a sentence can be, or behind the last one that is looked at.
    #[serde(default)]
    pub left_out: usize,
}

/// A sentence of a summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// As it is written, in one line.
    pub text: String,
    /// Where it is.
    pub span: Span,
    /// Its part of the importance of all sentences, which is 1.
    pub score: f64,
}

/// Chooses the sentences of a text that are most like all the others.
///
/// # Examples
/// ```
/// use synod_documents::summarise::{Options, summarise};
///
/// let text = "Green tea comes from China. Black tea comes from China and India. It rained. \
///     China and India grow most of the tea, green tea and black tea.";
/// let summary = summarise(text, &Options { sentences: 2, ..Options::default() });
/// assert_eq!(summary.sentences.len(), 2);
/// assert!(!summary.text.contains("rained"));
/// ```
pub fn summarise(text: &str, options: &Options) -> Summary {
    let all = text::sentences(text);
    let fits = |span: &&Span| span.end - span.start <= SENTENCE_BYTES_MAX;
    let spans: Vec<Span> = all.iter().filter(fits).take(RANKED_SENTENCES_MAX).copied().collect();
    let tokens: Vec<Vec<String>> =
        spans.iter().map(|span| tokens(span.of(text), options.language.as_deref())).collect();
    let scores = lexrank::rank(&tokens, &options.lexrank);
    let chosen = lexrank::choose(&scores, options.sentences);
    let sentence = |at: usize| {
        let (span, score) = (*spans.get(at)?, *scores.get(at)?);
        let words: Vec<&str> = span.of(text).split_whitespace().collect();
        Some(Chosen { text: words.join(" "), span, score })
    };
    let sentences: Vec<Chosen> = chosen.into_iter().filter_map(sentence).collect();
    let lines: Vec<&str> = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    Summary {
        text: lines.join(" "),
        sentences,
        ranked: spans.len(),
        left_out: all.len() - spans.len(),
    }
}

/// Returns the words of a sentence that are compared: in small letters, without those of grammar.
pub fn tokens(sentence: &str, language: Option<&str>) -> Vec<String> {
    let words = text::words(sentence).into_iter().map(|word| word.of(sentence).to_lowercase());
    words.filter(|word| language.is_none() || !stop_words::contains(language, word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, sentences: usize) -> Summary {
        summarise(text, &Options { sentences, ..Options::default() })
    }

    #[test]
    fn a_summary_never_has_more_than_there_is() {
        assert_eq!(of("One two. Three four.", 5).sentences.len(), 2);
        assert_eq!(of("One two.", 0).text, "");
        assert_eq!(
            of("", 3),
            Summary { text: String::new(), sentences: vec![], ranked: 0, left_out: 0 }
        );
        let summary = of("One\ntwo.", 1);
        assert_eq!((summary.text.as_str(), summary.sentences[0].score), ("One two.", 1.0));
    }

    #[test]
    fn what_is_over_a_limit_is_counted() {
        let long = format!("{}. Short one.", "word ".repeat(SENTENCE_BYTES_MAX / 5 + 1));
        let summary = of(&long, 3);
        assert_eq!((summary.text.as_str(), summary.ranked, summary.left_out), ("Short one.", 1, 1));
        let many = "Ab cd. ".repeat(RANKED_SENTENCES_MAX + 2);
        assert_eq!(of(&many, 1).left_out, 2);
    }

    proptest::proptest! {
        #[test]
        fn a_summary_is_a_part_of_the_sentences_in_their_order(
            words in proptest::collection::vec("(tea|cup|hot|Rain|the|[a-z]{2})[.!]?", 0..80),
            sentences in 0_usize..9,
            language in proptest::option::of(proptest::strategy::Just("eng".to_owned())),
        ) {
            let text = words.join(" ");
            let options = Options { sentences, language, ..Options::default() };
            let summary = summarise(&text, &options);
            let all = text::sentences(&text);
            assert_eq!(summary.sentences.len(), sentences.min(all.len()));
            assert!(summary.sentences.iter().all(|chosen| all.contains(&chosen.span)));
            assert!(summary.sentences.is_sorted_by(|a, b| a.span.end <= b.span.start));
            assert_eq!(summarise(&text, &options), summary);
        }
    }
}
