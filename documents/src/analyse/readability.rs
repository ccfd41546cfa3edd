//! How hard a text is to read: the formulas of Flesch, Kincaid and Amstad.

use super::Readability;
use crate::text::Span;

/// Measures a text in a language that has a formula.
///
/// English: Flesch, "A new readability yardstick", Journal of Applied Psychology 32 (1948), and Kincaid et al.,
/// "Derivation of new readability formulas", Research Branch Report 8-75 (1975).
/// German: Amstad, "Wie verständlich sind unsere Zeitungen?" (1978).
pub(super) fn measure(
    text: &str,
    words: &[Span],
    sentences: usize,
    language: Option<&str>,
) -> Option<Readability> {
    let language = language.filter(|code| matches!(*code, "eng" | "deu"))?;
    if words.is_empty() || sentences == 0 {
        return None;
    }
    let is_english = language == "eng";
    let count = if is_english { syllables } else { vowel_groups };
    let syllables: usize = words.iter().map(|word| count(word.of(text))).sum();
    let sentence_words = ratio(words.len(), sentences);
    let word_syllables = ratio(syllables, words.len());
    Some(Readability {
        flesch_reading_ease: if is_english {
            206.835 - 1.015 * sentence_words - 84.6 * word_syllables
        } else {
            180.0 - sentence_words - 58.5 * word_syllables
        },
        flesch_kincaid_grade: is_english
            .then_some(0.39 * sentence_words + 11.8 * word_syllables - 15.59),
        syllables,
    })
}

/// Counts the syllables of an English word: its groups of vowels, without a silent `e`, `es` or `ed` at its end.
///
/// The `e` of `-le` after a consonant (`table`), of `-es` after a hiss (`houses`) and of `-ed` after `t` or `d`
/// (`wanted`) is spoken. At least 1.
fn syllables(word: &str) -> usize {
    let word = word.to_lowercase();
    let groups = vowel_groups(&word);
    let ends = |ends: &[&str]| ends.iter().any(|end| word.ends_with(end));
    let vowel_before =
        |end: &str| word.strip_suffix(end).is_some_and(|front| front.ends_with(is_vowel));
    let silent = if word.ends_with('e') {
        !vowel_before("e") && (!word.ends_with("le") || vowel_before("le"))
    } else if word.ends_with("es") {
        !vowel_before("es") && !ends(&["ses", "zes", "xes", "ces", "ges", "ches", "shes"])
    } else {
        word.ends_with("ed") && !vowel_before("ed") && !ends(&["ted", "ded"])
    };
    groups.saturating_sub(usize::from(silent)).max(1)
}

/// Counts the groups of vowels of a word, at least 1.
fn vowel_groups(word: &str) -> usize {
    let mut groups = 0;
    let mut inside = false;
    for c in word.chars().flat_map(char::to_lowercase) {
        let vowel = is_vowel(c);
        groups += usize::from(vowel && !inside);
        inside = vowel;
    }
    groups.max(1)
}

fn is_vowel(c: char) -> bool {
    matches!(
        c,
        'a' | 'e'
            | 'i'
            | 'o'
            | 'u'
            | 'y'
            | 'ä'
            | 'ö'
            | 'ü'
            | 'é'
            | 'è'
            | 'ê'
            | 'à'
            | 'â'
            | 'î'
            | 'ô'
            | 'û'
            | 'á'
            | 'í'
            | 'ó'
            | 'ú'
    )
}

/// Divides two counts, the second one not 0.
#[expect(
    clippy::cast_precision_loss,
    reason = "a text has fewer words than a float has whole numbers"
)]
fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    fn of(text: &str, language: &str) -> Option<Readability> {
        measure(text, &text::words(text), text::sentences(text).len(), Some(language))
    }

    #[test]
    fn syllables_are_counted_by_the_rule() {
        for (word, count) in [
            ("cat", 1),
            ("table", 2),
            ("made", 1),
            ("the", 1),
            ("houses", 2),
            ("makes", 1),
            ("wanted", 2),
            ("jumped", 1),
            ("readability", 5),
            ("Yardstick", 2),
            ("rhythm", 1),
            ("tree", 1),
            ("whale", 1),
            ("hmm", 1),
            ("boxes", 2),
        ] {
            assert_eq!(syllables(word), count, "{word}");
        }
        assert_eq!(vowel_groups("Straßenbahn"), 3);
    }

    #[test]
    fn the_formulas_give_what_is_worked_out_by_hand() {
        // 10 words, 2 sentences, 11 syllables
        let english = of("The cat sat on a mat. It likes the table.", "eng").unwrap();
        assert_eq!(english.syllables, 11);
        assert!((english.flesch_reading_ease - (206.835 - 1.015 * 5.0 - 84.6 * 1.1)).abs() < 1e-9);
        assert!(
            (english.flesch_kincaid_grade.unwrap() - (0.39 * 5.0 + 11.8 * 1.1 - 15.59)).abs()
                < 1e-9
        );
        // 4 words, 1 sentence, 5 syllables
        let german = of("Die Katze mag Milch.", "deu").unwrap();
        assert_eq!((german.syllables, german.flesch_kincaid_grade), (5, None));
        assert!((german.flesch_reading_ease - (180.0 - 4.0 - 58.5 * 1.25)).abs() < 1e-9);
        assert_eq!(of("Le chat.", "fra"), None);
        assert_eq!(of("", "eng"), None);
    }
}
