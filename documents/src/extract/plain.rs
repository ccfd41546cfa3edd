//! Bytes into text: UTF-8, UTF-16 with a mark, and the old encodings of Western Europe where they are meant.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::ExtractError;
use crate::document::{Document, Format};

/// Reads a plain text; its title is not known.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    let mut document = Document::new(Format::Plain);
    document.text = tidy(&text(bytes, &mut document)?);
    Ok(document)
}

/// Decodes what has no place to declare its encoding; a guess leaves a note.
///
/// A mark at the start tells UTF-8 or UTF-16. Without one the text is UTF-8, or, where it has letters above ASCII but
/// not one character of UTF-8, Windows-1252, which Latin-1 is a part of. Anything else is an error: a text that mixes
/// both is damaged, and guessing would hide it.
pub(super) fn text(bytes: &[u8], document: &mut Document) -> Result<String, ExtractError> {
    let format = document.format;
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let body = bytes.get(mark..).unwrap_or_default();
        if encoding != UTF_8 {
            let (text, replaced) = encoding.decode_without_bom_handling(body);
            if replaced {
                document.note(format!("not all of it is {}: see U+FFFD", encoding.name()));
            }
            return Ok(text.into_owned());
        }
        return utf8(body, format).map_err(|error| shifted(error, mark)).map(str::to_owned);
    }
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        return Err(ExtractError::Binary { format, offset, byte: 0 });
    }
    let error = match utf8(bytes, format) {
        Ok(text) => return Ok(text.to_owned()),
        Err(error) => error,
    };
    let ExtractError::InvalidUtf8 { offset, byte, .. } = error else { return Err(error) };
    if !is_western(bytes) {
        return Err(error);
    }
    document.note(format!("not UTF-8 (byte {offset} is {byte:#04x}): read as windows-1252"));
    Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned())
}

fn utf8(bytes: &[u8], format: Format) -> Result<&str, ExtractError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let byte = bytes.get(offset).copied().unwrap_or_default();
        ExtractError::InvalidUtf8 { format, offset, byte }
    })
}

fn shifted(error: ExtractError, by: usize) -> ExtractError {
    if let ExtractError::InvalidUtf8 { format, offset, byte } = error {
        return ExtractError::InvalidUtf8 { format, offset: offset + by, byte };
    }
    error
}

/// Tells whether bytes are a text in Windows-1252: no control characters, and nothing that is UTF-8 above ASCII.
fn is_western(bytes: &[u8]) -> bool {
    let undefined = [0x81, 0x8d, 0x8f, 0x90, 0x9d];
    let control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    let odd = bytes.iter().any(|byte| control(*byte) || *byte == 0x7f || undefined.contains(byte));
    !odd && bytes.utf8_chunks().all(|chunk| chunk.valid().is_ascii())
}

/// Makes line ends `\n`, drops spaces at the ends of lines, and more than one empty line.
pub(super) fn tidy(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{c}', '\u{2029}'], "\n");
    let mut tidy = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.split('\n').map(str::trim_end) {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !tidy.is_empty() {
            tidy.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        tidy.push_str(line);
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8]) -> Result<Document, ExtractError> {
        read(bytes)
    }

    #[test]
    fn a_text_without_utf_8_is_western_and_says_so() {
        let document = plain(b"caf\xe9 \x80 5\r\n\r\n\r\n\r\nna\xefve  ").unwrap();
        assert_eq!(document.text, "café € 5\n\nnaïve");
        assert_eq!(document.notes, ["not UTF-8 (byte 3 is 0xe9): read as windows-1252"]);
        assert!(plain("café".as_bytes()).unwrap().notes.is_empty());
    }

    #[test]
    fn a_damaged_utf_8_text_is_an_error_that_names_the_byte() {
        let error = plain(b"caf\xc3\xa9 and \xff").unwrap_err();
        let format = Format::Plain;
        assert_eq!(error, ExtractError::InvalidUtf8 { format, offset: 10, byte: 0xff });
        assert!(error.to_string().contains("byte 10 (0xff)"));
        let error = plain(b"\xef\xbb\xbfab\xff").unwrap_err();
        assert_eq!(error, ExtractError::InvalidUtf8 { format, offset: 5, byte: 0xff });
    }

    #[test]
    fn binary_data_is_an_error_and_utf_16_with_its_mark_is_none() {
        let error = plain(b"PK\x03\x04\0\0").unwrap_err();
        assert_eq!(error, ExtractError::Binary { format: Format::Plain, offset: 4, byte: 0 });
        assert_eq!(plain(b"\xff\xfeh\0i\0").unwrap().text, "hi");
        assert_eq!(plain(b"\xfe\xff\0h\0i").unwrap().text, "hi");
        assert!(plain(b"a\x01\xff").is_err());
    }
}
