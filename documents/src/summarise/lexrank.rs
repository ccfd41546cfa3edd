//! LexRank: sentences that are like many others, themselves like many others, say most.
//!
//! Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", Journal of Artificial
//! Intelligence Research 22 (2004). Sentences are compared by the cosine of their words' weights, which are frequency
//! in the sentence over that of its most frequent word, times `ln(N / (1 + n))` for a word in `n` of `N` sentences. The
//! scores are the principal eigenvector of the graph, found by the power method.
//!
//! With the default options the scores are, up to their scale, those of the Python package `sumy`; the full run of the
//! tests compares both.
//!
//! # Invariants
//! The scores of at least one sentence sum to 1 and none is negative or no number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::LEXRANK_ROUNDS_MAX;

/// Scores that differ by less count as equal: then the earlier sentence is chosen.
const TIE: f64 = 1e-9;

/// How sentences are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The cosine above which two sentences are alike, all such alike; none weighs every pair by its cosine.
    pub threshold: Option<f64>,
    /// The chance, from 0 to 1, to go on with any sentence rather than one that is alike.
    pub jump: f64,
    /// The change of all scores, as a distance, at which the power method ends; the scores then have length 1.
    pub epsilon: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { threshold: Some(0.1), jump: 0.0, epsilon: 1e-4 }
    }
}

/// Scores sentences, each a list of tokens.
///
/// # Examples
/// ```
/// use synod_documents::summarise::lexrank::{Options, choose, rank};
///
/// let sentences = [vec!["tea", "is", "hot"], vec!["hot", "tea", "helps"], vec!["rain", "fell"], vec!["we", "slept"]];
/// let scores = rank(&sentences, &Options::default());
/// assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-9);
/// assert_eq!(choose(&scores, 2), [0, 1]);
/// ```
pub fn rank<T: AsRef<str>>(sentences: &[Vec<T>], options: &Options) -> Vec<f64> {
    let rows = transitions(similarities(&weights(sentences)), options.threshold);
    let count = sentences.len();
    let uniform = 1.0 / float(count);
    let jump = if options.jump.is_finite() { options.jump.clamp(0.0, 1.0) } else { 0.0 };
    let mut scores = vec![uniform; count];
    for _ in 0..LEXRANK_ROUNDS_MAX {
        let total: f64 = scores.iter().sum();
        let mut next = vec![jump * total * uniform; count];
        for (row, score) in rows.iter().zip(&scores) {
            for (column, weight) in row {
                if let Some(sum) = next.get_mut(*column) {
                    *sum += (1.0 - jump) * weight * score;
                }
            }
        }
        let length = length(next.iter().copied());
        if length <= 0.0 {
            // no sentence has a word that tells it from the others
            return vec![uniform; count];
        }
        next.iter_mut().for_each(|score| *score /= length);
        let change = self::length(next.iter().zip(&scores).map(|(new, old)| new - old));
        scores = next;
        if change <= options.epsilon {
            break;
        }
    }
    let total: f64 = scores.iter().sum();
    scores.iter().map(|score| score / total).collect()
}

/// Chooses the sentences with the highest scores and returns their places in order.
pub fn choose(scores: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    let step = |place: &usize| scores.get(*place).map_or(0.0, |score| (score / TIE).round());
    places.sort_by(|a, b| step(b).total_cmp(&step(a)));
    places.truncate(count);
    places.sort_unstable();
    places
}

/// The weights of the words of a sentence, as a vector of length 1; empty if no word tells it from the others.
type Weights = Vec<(usize, f64)>;

fn weights<T: AsRef<str>>(sentences: &[Vec<T>]) -> Vec<Weights> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut occurrences: Vec<usize> = Vec::new();
    let mut counted: Vec<BTreeMap<usize, usize>> = Vec::new();
    for sentence in sentences {
        let mut counts = BTreeMap::new();
        for token in sentence {
            let next = numbers.len();
            *counts.entry(*numbers.entry(token.as_ref()).or_insert(next)).or_insert(0) += 1;
        }
        occurrences.resize(numbers.len(), 0);
        for number in counts.keys() {
            if let Some(occurrences) = occurrences.get_mut(*number) {
                *occurrences += 1;
            }
        }
        counted.push(counts);
    }
    let rarity = |number: &usize| {
        let sentences_with = occurrences.get(*number).copied().unwrap_or_default();
        (float(sentences.len()) / float(1 + sentences_with)).ln()
    };
    let weigh = |counts: &BTreeMap<usize, usize>| {
        let most = float(counts.values().copied().max().unwrap_or(1));
        let weights =
            counts.iter().map(|(number, count)| (*number, float(*count) / most * rarity(number)));
        let weights: Weights = weights.collect();
        let length = length(weights.iter().map(|(_, weight)| *weight));
        if length > 0.0 {
            weights.into_iter().map(|(number, weight)| (number, weight / length)).collect()
        } else {
            Weights::new()
        }
    };
    counted.iter().map(weigh).collect()
}

/// Returns for each sentence the cosines with all sentences that share a word with it, itself included.
fn similarities(sentences: &[Weights]) -> Vec<Vec<(usize, f64)>> {
    let words = sentences.iter().flatten().map(|(number, _)| number + 1).max().unwrap_or(0);
    let mut index: Vec<Vec<(usize, f64)>> = vec![Vec::new(); words];
    for (at, weights) in sentences.iter().enumerate() {
        for (number, weight) in weights {
            if let Some(list) = index.get_mut(*number) {
                list.push((at, *weight));
            }
        }
    }
    let cosines = |weights: &Weights| {
        let mut sums = vec![0.0; sentences.len()];
        for (number, weight) in weights {
            for (at, other) in index.get(*number).into_iter().flatten() {
                if let Some(sum) = sums.get_mut(*at) {
                    *sum += weight * other;
                }
            }
        }
        sums.into_iter().enumerate().filter(|(_, sum)| *sum > 0.0).collect()
    };
    sentences.iter().map(cosines).collect()
}

/// Turns cosines into the chances to go from one sentence to another; those of a sentence sum to 1.
fn transitions(mut rows: Vec<Vec<(usize, f64)>>, threshold: Option<f64>) -> Vec<Vec<(usize, f64)>> {
    for row in &mut rows {
        if let Some(threshold) = threshold {
            row.retain(|(_, cosine)| *cosine > threshold);
            row.iter_mut().for_each(|(_, weight)| *weight = 1.0);
        }
        row.shrink_to_fit();
        let degree: f64 = row.iter().map(|(_, weight)| weight).sum();
        row.iter_mut().for_each(|(_, weight)| *weight /= degree);
    }
    rows
}

fn length(vector: impl Iterator<Item = f64>) -> f64 {
    vector.map(|value| value * value).sum::<f64>().sqrt()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a text has fewer sentences than a float has whole numbers"
)]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<Vec<&str>> {
        text.split('.').map(|sentence| sentence.split_whitespace().collect()).collect()
    }

    fn is_near(scores: &[f64], want: &[f64]) -> bool {
        scores.len() == want.len() && scores.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn the_centre_of_a_star_has_its_degree_over_that_of_all() {
        // the middle shares a word with each of three; those share none: degrees with themselves 4, 2, 2, 2
        let sentences = split("a b c.a x y.b z w.c u v");
        let options = Options { epsilon: 1e-12, ..Options::default() };
        assert!(is_near(&rank(&sentences, &options), &[0.4, 0.2, 0.2, 0.2]));
        let jump = Options { jump: 1.0, ..options };
        assert!(is_near(&rank(&sentences, &jump), &[0.25; 4]));
        let whole = Options { threshold: None, ..options };
        let scores = rank(&sentences, &whole);
        assert!(
            scores[0] > scores[1] + 0.05 && scores[0] < 0.4 && (scores[1] - scores[3]).abs() < 1e-9,
            "{scores:?}"
        );
        assert!(is_near(
            &rank(&sentences, &Options { threshold: Some(0.99), ..options }),
            &[0.25; 4]
        ));
    }

    #[test]
    fn a_wider_epsilon_ends_earlier() {
        let sentences = split("a b c d.a x y z.b z w t.c u v s.k l m n");
        let rough = rank(&sentences, &Options { epsilon: 10.0, ..Options::default() });
        let fine = rank(&sentences, &Options { epsilon: 1e-12, ..Options::default() });
        assert!(!is_near(&rough, &fine));
    }

    #[test]
    fn sentences_without_words_of_their_own_are_equal() {
        let none: [Vec<&str>; 0] = [];
        assert!(rank(&none, &Options::default()).is_empty());
        assert!(is_near(&rank(&split(".."), &Options::default()), &[1.0 / 3.0; 3]));
        // each word in two of three sentences: ln(3 / 3) = 0
        assert!(is_near(&rank(&split("a b.b c.c a"), &Options::default()), &[1.0 / 3.0; 3]));
    }

    #[test]
    fn of_equal_scores_the_earlier_sentence_is_chosen() {
        assert_eq!(choose(&[0.2, 0.3, 0.2 + 1e-14, 0.3], 3), [0, 1, 3]);
        assert_eq!(choose(&[0.2], 3), [0]);
    }

    proptest::proptest! {
        #[test]
        fn scores_sum_to_one_and_are_no_less_than_nothing(
            sentences in proptest::collection::vec(proptest::collection::vec("[a-f]", 0..8), 1..12),
            threshold in proptest::option::of(0.0..1.0),
            jump in 0.0..=1.0,
        ) {
            let scores = rank(&sentences, &Options { threshold, jump, epsilon: 1e-6 });
            assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{scores:?}");
            assert!(scores.iter().all(|score| *score >= 0.0));
        }
    }
}
