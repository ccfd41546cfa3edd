//! What a text is about: RAKE.
//!
//! Rose, Engel, Cramer and Cowley, "Automatic keyword extraction from individual documents", in Text Mining:
//! Applications and Theory (2010). Candidates are the words between stop words and punctuation; a word's score is its
//! degree (the words of all candidates it is in) over its frequency, a candidate's the sum of those of its words; kept
//! are a third as many as there are words in candidates. As later users of RAKE do, candidates of more words than
//! [`KEYWORD_WORDS_MAX`] are left out, and a number alone is none.

use std::collections::BTreeMap;

use super::{Keyword, stop_words};
use crate::limits::{KEYWORD_WORDS_MAX, KEYWORDS_MAX};
use crate::text::{self, Span};

/// Finds the keywords of a text, the best first; of equal ones the more frequent, then the earlier.
pub(super) fn find(text: &str, sentences: &[Span], language: Option<&str>) -> Vec<Keyword> {
    let mut candidates: BTreeMap<Vec<String>, (Span, usize)> = BTreeMap::new();
    let mut words: BTreeMap<String, Word> = BTreeMap::new();
    for sentence in sentences {
        for (phrase, span) in phrases(text, *sentence, language) {
            for word in &phrase {
                let entry = words.entry(word.clone()).or_default();
                entry.frequency += 1;
                entry.degree += phrase.len();
            }
            candidates.entry(phrase).or_insert((span, 0)).1 += 1;
        }
    }
    let score = |phrase: &Vec<String>| {
        phrase.iter().filter_map(|word| words.get(word)).map(Word::score).sum()
    };
    let mut keywords: Vec<(Keyword, usize)> = candidates
        .iter()
        .map(|(phrase, (span, count))| {
            let keyword = Keyword {
                text: span.of(text).split_whitespace().collect::<Vec<_>>().join(" "),
                score: score(phrase),
                count: *count,
            };
            (keyword, span.start)
        })
        .collect();
    keywords.sort_by(|(a, a_start), (b, b_start)| {
        b.score.total_cmp(&a.score).then(b.count.cmp(&a.count)).then(a_start.cmp(b_start))
    });
    keywords.truncate(words.len().div_ceil(3).min(KEYWORDS_MAX));
    keywords.into_iter().map(|(keyword, _)| keyword).collect()
}

#[derive(Debug, Default)]
struct Word {
    frequency: usize,
    degree: usize,
}

impl Word {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a text has fewer words than a float has whole numbers"
    )]
    fn score(&self) -> f64 {
        self.degree as f64 / self.frequency.max(1) as f64
    }
}

/// Cuts a sentence at stop words, numbers and punctuation.
fn phrases(text: &str, sentence: Span, language: Option<&str>) -> Vec<(Vec<String>, Span)> {
    let mut phrases: Vec<(Vec<String>, Span)> = Vec::new();
    let mut end = None;
    for span in text::words(sentence.of(text)) {
        let span = Span { start: span.start + sentence.start, end: span.end + sentence.start };
        let word = span.of(text).to_lowercase();
        if stop_words::contains(language, &word) || !word.contains(char::is_alphabetic) {
            end = None;
            continue;
        }
        let gap = end.and_then(|end: usize| text.get(end..span.start));
        let joins = gap.is_some_and(|gap| gap.chars().all(char::is_whitespace));
        end = Some(span.end);
        match phrases.last_mut() {
            Some((phrase, whole)) if joins => {
                phrase.push(word);
                whole.end = span.end;
            }
            _ => phrases.push((vec![word], span)),
        }
    }
    phrases.retain(|(phrase, _)| phrase.len() <= KEYWORD_WORDS_MAX);
    phrases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, f64, usize)> {
        let keywords = find(text, &text::sentences(text), Some("eng"));
        keywords.into_iter().map(|keyword| (keyword.text, keyword.score, keyword.count)).collect()
    }

    #[test]
    fn scores_are_degree_over_frequency_summed() {
        // candidates: green tea leaves | green tea | hot water | tea
        // green 5/2, tea 6/3, leaves 3/1, hot 2/1, water 2/1; five words, so two keywords
        let text = "Green tea leaves and green tea need not be in hot water, or tea.";
        let found = found(&text.replace("need not", "must"));
        assert_eq!(
            found,
            [("Green tea leaves".to_owned(), 7.5, 1), ("green tea".to_owned(), 4.5, 1)]
        );
    }

    #[test]
    fn punctuation_numbers_and_the_limit_of_words_part_phrases() {
        assert_eq!(found("red, 12 blue. green"), [("red".to_owned(), 1.0, 1)]);
        let long = "one2 two3 three4 four5 five6 six7";
        assert!(found(long).is_empty() == (KEYWORD_WORDS_MAX < 6));
        assert!(found("").is_empty() && found("the and of").is_empty());
    }
}
