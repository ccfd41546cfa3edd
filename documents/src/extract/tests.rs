//! Formats and errors, whatever the format.

use proptest::prelude::*;

use super::*;

#[test]
fn the_format_is_told_by_content_and_name() {
    for (name, bytes, want) in [
        ("a.txt", "<html>", Format::Plain),
        ("A.MD", "x", Format::Markdown),
        ("a.htm", "x", Format::Html),
        ("a.eml", "x", Format::Mail),
        ("a.bin", "%PDF-1.4", Format::Pdf),
        ("a.txt", "%PDF-1.4", Format::Pdf),
        ("a.txt", "speaks of %PDF-1.4", Format::Plain),
        ("a.pdf", "\n%PDF-1.4", Format::Pdf),
        ("dir.md/a", "\u{feff} <!DOCTYPE html>", Format::Html),
        ("a", "From: a\nTo: b\n\nx", Format::Mail),
        ("a", "From: a\nhello\n\nx", Format::Plain),
        ("a", "Note: this\n\nx", Format::Plain),
        ("a", "", Format::Plain),
    ] {
        assert_eq!(format(name, bytes.as_bytes()), Ok(want), "{name} {bytes}");
    }
    assert_eq!(format("a.pdf", b"x"), Err(ExtractError::NotPdf));
}

#[test]
fn nothing_too_much_and_no_text_are_errors() {
    assert_eq!(extract("a.txt", b""), Err(ExtractError::Empty));
    let bytes = 200 * 1024 * 1024;
    let error = admit(bytes).unwrap_err();
    assert_eq!(error, ExtractError::TooLarge { bytes, max: DOCUMENT_BYTES_MAX });
    assert!(error.to_string().contains("209715200 bytes, more than 67108864"));
    assert!(admit(DOCUMENT_BYTES_MAX).is_ok());
    assert!(extract("a.txt", &vec![b'x'; TEXT_BYTES_MAX]).is_ok());
    let error = extract("a.txt", &vec![b'x'; TEXT_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error, ExtractError::TooMuchText { format: Format::Plain, max: TEXT_BYTES_MAX });
    for (name, bytes) in
        [("a.txt", " \n"), ("a.html", "<p>&nbsp;<script>x</script>"), ("a.md", "---\n")]
    {
        assert!(
            matches!(extract(name, bytes.as_bytes()), Err(ExtractError::NoText { .. })),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_under_any_name_give_text_or_an_error(bytes: Vec<u8>, ending in "(txt|md|html|eml|pdf|)") {
        if let Ok(document) = extract(&format!("a.{ending}"), &bytes) {
            prop_assert!(!document.text.trim().is_empty());
        }
    }

    #[test]
    fn any_text_of_marks_gives_text_or_an_error(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "<", ">", "</", "<!--", "-->", "<script>", "</script>", "<pre>", "<li>", "<title>", "<h1>", "</h1>", "\"", "'", "=", "&",
            "&amp;", "&#x41;", ";", "From: a@b.c\n", "Content-Type: ", "multipart/mixed; boundary=b\n", "message/rfc822\n", "\n",
            "--b", "--", "Content-Transfer-Encoding: base64\n", "=?utf-8?q?=C3?=", "# ", "* ", "`", "```\n", "|", "[", "](", "a ", "é",
            "\u{a0}", "\0", "---\n", "title: x\n",
        ]), 0..60),
        ending in "(txt|md|html|eml|)",
    ) {
        let text = pieces.concat();
        if let Err(error) = extract(&format!("a.{ending}"), text.as_bytes()) {
            prop_assert!(!matches!(error, ExtractError::Defect { .. }), "{error}");
        }
    }
}
