//! Characters by the names that fonts give them, and the encodings that PDF knows by name (ISO 32000-1, annex D).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};

/// Names of characters that are not the character itself, nor a letter with an accent.
const NAMES: &str = "exclam ! quotedbl \" numbersign # dollar $ percent % ampersand & quotesingle ' quoteright ’ \
    quoteleft ‘ parenleft ( parenright ) asterisk * plus + comma , hyphen - minus − period . slash / zero 0 one 1 two 2 three 3 \
    four 4 five 5 six 6 seven 7 eight 8 nine 9 colon : semicolon ; less < equal = greater > question ? at @ bracketleft [ \
    backslash \\ bracketright ] asciicircum ^ underscore _ grave ` braceleft { bar | braceright } asciitilde ~ exclamdown ¡ \
    cent ¢ sterling £ fraction ⁄ yen ¥ florin ƒ section § currency ¤ quotedblleft “ guillemotleft « guilsinglleft ‹ \
    guilsinglright › fi ﬁ fl ﬂ ff ﬀ ffi ﬃ ffl ﬄ endash – dagger † daggerdbl ‡ periodcentered · paragraph ¶ bullet • \
    quotesinglbase ‚ quotedblbase „ quotedblright ” guillemotright » ellipsis … perthousand ‰ questiondown ¿ emdash — AE Æ \
    ordfeminine ª Lslash Ł Oslash Ø OE Œ ordmasculine º ae æ dotlessi ı lslash ł oslash ø oe œ germandbls ß Euro € copyright © \
    registered ® trademark ™ degree ° plusminus ± multiply × divide ÷ mu µ onehalf ½ onequarter ¼ threequarters ¾ onesuperior ¹ \
    twosuperior ² threesuperior ³ brokenbar ¦ logicalnot ¬ macron ¯ acute ´ cedilla ¸ dieresis ¨ circumflex ˆ tilde ˜ Eth Ð \
    eth ð Thorn Þ thorn þ Dcroat Đ dcroat đ softhyphen - sfthyphen - figuredash ‒ lessequal ≤ greaterequal ≥ notequal ≠ \
    infinity ∞ partialdiff ∂ summation ∑ product ∏ radical √ integral ∫ approxequal ≈ arrowright → arrowleft ← element ∈ alpha α \
    beta β gamma γ delta δ epsilon ε zeta ζ eta η theta θ iota ι kappa κ lambda λ nu ν xi ξ omicron ο pi π rho ρ sigma σ tau τ \
    upsilon υ phi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω";

/// Letters with an accent: its name, then pairs of the letter without and with it.
const ACCENTS: [(&str, &str); 12] = [
    ("acute", "AÁEÉIÍOÓUÚYÝCĆNŃSŚZŹLĹRŔaáeéiíoóuúyýcćnńsśzźlĺrŕ"),
    ("grave", "AÀEÈIÌOÒUÙaàeèiìoòuù"),
    ("circumflex", "AÂEÊIÎOÔUÛCĈaâeêiîoôuûcĉ"),
    ("dieresis", "AÄEËIÏOÖUÜYŸaäeëiïoöuüyÿ"),
    ("tilde", "AÃNÑOÕaãnñoõ"),
    ("caron", "CČDĎEĚNŇRŘSŠTŤZŽcčdďeěnňrřsštťzž"),
    ("ring", "AÅUŮaåuů"),
    ("cedilla", "CÇSŞTŢcçsştţ"),
    ("ogonek", "AĄEĘaąeę"),
    ("macron", "AĀEĒIĪOŌUŪaāeēiīoōuū"),
    ("breve", "AĂGĞaăgğ"),
    ("hungarumlaut", "OŐUŰoőuű"),
];

/// The upper half of the standard encoding: codes and characters; its lower half is ASCII but for the quotes.
const STANDARD: &str = "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ\0–†‡·\0¶•‚„”»…‰\0¿";

static BY_NAME: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    let mut words = NAMES.split_ascii_whitespace();
    let pairs = std::iter::from_fn(|| Some((words.next()?, words.next()?)));
    pairs.chain([("space", " "), ("nbspace", " ")]).collect()
});

/// Returns the text that a named character stands for.
pub(super) fn by_name(name: &str) -> Option<String> {
    let name = name.split_once('.').map_or(name, |(base, _)| base);
    let mut chars = name.chars();
    if let (Some(one), None) = (chars.next(), chars.next()) {
        return Some(one.to_string());
    }
    let code = name.strip_prefix("uni").and_then(|code| code.get(..4));
    let code = code.or_else(|| name.strip_prefix('u').filter(|code| (4..=6).contains(&code.len())));
    if let Some(Ok(code)) = code.map(|code| u32::from_str_radix(code, 16)) {
        return char::from_u32(code).map(String::from);
    }
    if let Some(found) = BY_NAME.get(name) {
        return Some(spelled(found));
    }
    let (_, letters) = ACCENTS.iter().find(|(accent, _)| name.get(1..) == Some(*accent))?;
    let base = name.chars().next()?;
    let letters: Vec<char> = letters.chars().collect();
    letters.chunks_exact(2).find_map(|pair| match pair {
        [plain, accented] if *plain == base => Some(accented.to_string()),
        _ => None,
    })
}

/// Writes a ligature with its letters, so that words are found.
pub(super) fn spelled(text: &str) -> String {
    text.replace('ﬁ', "fi")
        .replace('ﬂ', "fl")
        .replace('ﬀ', "ff")
        .replace('ﬃ', "ffi")
        .replace('ﬄ', "ffl")
}

/// Returns the character of a code in an encoding known by name, or in the standard one.
pub(super) fn by_code(encoding: Option<&str>, code: u8) -> Option<String> {
    let decode =
        |encoding: &'static Encoding| encoding.decode_without_bom_handling(&[code]).0.into_owned();
    let text = match encoding {
        Some("WinAnsiEncoding") => decode(WINDOWS_1252),
        Some("MacRomanEncoding") => decode(MACINTOSH),
        _ => standard(code)?.to_string(),
    };
    (!text.chars().any(char::is_control)).then(|| spelled(&text))
}

fn standard(code: u8) -> Option<char> {
    match code {
        b'\'' => Some('’'),
        b'`' => Some('‘'),
        0x20..=0x7e => Some(char::from(code)),
        0xa1..=0xbf => STANDARD.chars().nth(usize::from(code - 0xa1)).filter(|c| *c != '\0'),
        0xd0 => Some('—'),
        0xe1 => Some('Æ'),
        0xe3 => Some('ª'),
        0xe8 => Some('Ł'),
        0xe9 => Some('Ø'),
        0xea => Some('Œ'),
        0xeb => Some('º'),
        0xf1 => Some('æ'),
        0xf5 => Some('ı'),
        0xf8 => Some('ł'),
        0xf9 => Some('ø'),
        0xfa => Some('œ'),
        0xfb => Some('ß'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_by_name() {
        for (name, text) in [
            ("A", "A"),
            ("space", " "),
            ("eacute", "é"),
            ("Ccaron", "Č"),
            ("fi", "fi"),
            ("ffi", "ffi"),
            ("uni20AC", "€"),
            ("u1F600", "😀"),
            ("a.sc", "a"),
            ("quoteright", "’"),
            ("zero", "0"),
            ("germandbls", "ß"),
            ("omega", "ω"),
        ] {
            assert_eq!(by_name(name).as_deref(), Some(text), "{name}");
        }
        assert_eq!(by_name("g123"), None);
        assert_eq!(by_name(""), None);
    }

    #[test]
    fn characters_are_found_by_code() {
        let all = |encoding, bytes: &[u8]| {
            bytes.iter().filter_map(|code| by_code(encoding, *code)).collect::<String>()
        };
        assert_eq!(all(Some("WinAnsiEncoding"), b"a\x80\xe9'"), "a€é'");
        assert_eq!(all(Some("MacRomanEncoding"), b"\x8e\xd5"), "é’");
        assert_eq!(all(None, b"a'\xae\xbf\xb7\xd0\x80"), "a’fi¿•—");
    }
}
