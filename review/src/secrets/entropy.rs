//! Whether a value looks random.

/// Shannon entropy of a value, in bits a byte.
pub(super) fn bits(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = value.len() as f64;
    let terms = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    -terms.map(|share| share * share.log2()).sum::<f64>()
}

/// Whether a value is likely made by dice: mixed classes, high entropy, no words.
pub(super) fn is_random(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    if digits < 2 || letters < 2 {
        return false;
    }
    let hexadecimal = value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let enough = if hexadecimal { 3.0 } else { 3.5 };
    bits(value.as_bytes()) >= enough && !reads_as_words(value) && !has_run(value)
}

/// Whether most of it is made of words, numbers and separators, as names are.
fn reads_as_words(value: &str) -> bool {
    let words = value
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| word.len() >= 4 && is_word(word));
    words.map(str::len).sum::<usize>() * 2 > value.len()
}

/// Whether letters are of one case, or capitalised, with vowels as a word has them.
fn is_word(word: &str) -> bool {
    let tail = word.get(1..).unwrap_or_default();
    let one_case = tail.bytes().all(|byte| byte.is_ascii_lowercase())
        || word.bytes().all(|byte| byte.is_ascii_uppercase());
    let vowels = word.bytes().filter(|byte| b"aeiouyAEIOUY".contains(byte)).count();
    one_case && vowels * 5 >= word.len() && vowels * 4 <= word.len() * 3
}

/// Whether it repeats a character or counts upwards, as placeholders do.
fn has_run(value: &str) -> bool {
    let bytes = value.as_bytes();
    let same =
        bytes.windows(4).any(|window| window.iter().all(|byte| Some(byte) == window.first()));
    let counts = bytes.windows(5).any(|window| {
        window.iter().zip(window.iter().skip(1)).all(|(a, b)| *b == a.wrapping_add(1))
    });
    same || counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_shannon() {
        assert!(bits(b"aaaa").abs() < 1e-9);
        assert!((bits(b"abcd") - 2.0).abs() < 1e-9);
    }

    #[test]
    fn dice_look_random_and_names_do_not() {
        assert!(is_random("q8Zr2LxTn5Vw0KbYd7Hc"));
        assert!(is_random("9f8e2b71c04d6a35e8f1"));
        for name in [
            "my-service-account-2024-prod",
            "abcdefgh12345678ijkl",
            "xxxxxxxx1111xxxx22",
            "users.read.all.v2.beta1",
        ] {
            assert!(!is_random(name), "{name}");
        }
    }
}
