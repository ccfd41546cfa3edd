//! Whole files, written here object by object.

use std::io::Write as _;

use super::*;

/// Writes a file of numbered objects with a trailer.
fn file(objects: &[(u32, String)], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    for (number, object) in objects {
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    bytes.extend(format!("trailer\n<< {trailer} >>\n%%EOF\n").bytes());
    bytes
}

fn stream(dictionary: &str, body: &str) -> String {
    format!("<< {dictionary} /Length {} >>\nstream\n{body}\nendstream", body.len())
}

/// A file of one page with one font (`F`) of an encoding.
fn page(encoding: &str, content: &str) -> Vec<u8> {
    let objects = [
        (1, "<< /Type /Catalog /Pages 2 0 R /Lang (en-GB) >>".to_owned()),
        (
            2,
            "<< /Type /Pages /Kids [3 0 R] /Count 1 /Resources << /Font << /F 4 0 R >> >> >>"
                .to_owned(),
        ),
        (3, "<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>".to_owned()),
        (4, format!("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica {encoding} >>")),
        (5, stream("", content)),
        (6, "<< /Title (\\376\\377\\000T\\000\\351) /Author (A\\(B\\)) /CreationDate (D:20240131235959+01'00') >>".to_owned()),
    ];
    file(&objects, "/Root 1 0 R /Info 6 0 R")
}

fn text(encoding: &str, content: &str) -> String {
    read(&page(encoding, content)).unwrap().text
}

#[test]
fn lines_words_and_paragraphs_are_told_by_their_places() {
    let content = "BT /F 10 Tf 50 700 Td (Hel) Tj (lo) Tj 0 -12 Td [(wor) 20 (ld) -300 (again)] TJ ET \
        BT /F 10 Tf 50 640 Td (New) Tj ET BT /F 10 Tf 120 640 Td (word) Tj 12 TL (exam-) ' (ple) ' ET";
    assert_eq!(text("", content), "Hello\nworld again\n\nNew word\nexample");
}

#[test]
fn a_heading_is_a_paragraph() {
    let content =
        "BT /F 14 Tf 0 700 Td (Head) Tj /F 10 Tf 0 -16 Td (Body) Tj 0 -12 Td (more) Tj ET";
    assert_eq!(text("", content), "Head\n\nBody\nmore");
}

#[test]
fn what_the_file_says_of_itself_is_kept() {
    let document = read(&page("", "BT /F 9 Tf (x) Tj ET")).unwrap();
    assert_eq!(document.title.as_deref(), Some("Té"));
    assert_eq!(document.language.as_deref(), Some("en-GB"));
    assert_eq!(document.metadata["author"], "A(B)");
    assert_eq!(document.metadata["pages"], "1");
    assert_eq!(document.metadata["date"], "2024-01-31T23:59:59+01:00");
    assert_eq!((iso("D:20240131"), iso("now")), ("2024-01-31".to_owned(), "now".to_owned()));
}

#[test]
fn encodings_and_differences_give_the_characters() {
    let show = "BT /F 9 Tf (a\\200\\351) Tj ET";
    assert_eq!(text("/Encoding /WinAnsiEncoding", show), "a€é");
    assert_eq!(text("/Encoding /MacRomanEncoding", "BT /F 9 Tf (\\216) Tj ET"), "é");
    let differences = "/Encoding << /Differences [65 /eacute /fi 97 /uni20AC] >>";
    assert_eq!(text(differences, "BT /F 9 Tf (ABa) Tj ET"), "éfi€");
}

#[test]
fn a_font_with_two_bytes_a_code_is_read_by_its_table() {
    let map = "1 begincodespacerange <0000> <FFFF> endcodespacerange 1 beginbfrange <0001> <0003> <0061> endbfrange";
    let objects = [
        (1, "<< /Type /Catalog /Pages 2 0 R >>".to_owned()),
        (2, "<< /Type /Pages /Kids [3 0 R] >>".to_owned()),
        (3, "<< /Type /Page /Contents [5 0 R 5 0 R] /Resources << /Font << /F 4 0 R >> >> >>".to_owned()),
        (4, "<< /Subtype /Type0 /Encoding /Identity-H /ToUnicode 6 0 R /DescendantFonts [<< /W [1 [500 500 500]] >>] >>".to_owned()),
        (5, stream("", "BT /F 10 Tf <000100020003> Tj 15 0 Td <00010009> Tj ET")),
        (6, stream("", map)),
    ];
    let document = read(&file(&objects, "/Root 1 0 R")).unwrap();
    assert_eq!(document.text, "abca abca");
    assert_eq!(document.notes, ["2 characters are of fonts that do not say which they are"]);
}

#[test]
fn objects_in_packed_streams_are_found_without_any_table() {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] >>",
        "<< /Type /Page /Contents 5 0 R /Resources << /Font << /F << /Subtype /TrueType >> >> >> >>",
    ];
    let mut offset = 0;
    let mut index = String::new();
    for (number, object) in (1..).zip(objects) {
        index.push_str(&format!("{number} {offset} "));
        offset += object.len() + 1;
    }
    let inner = index.clone() + &objects.join(" ");
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(inner.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let mut bytes = b"%PDF-1.5\n".to_vec();
    let entries = format!(
        "/Type /ObjStm /N 3 /First {} /Filter /FlateDecode /Length {}",
        index.len(),
        packed.len()
    );
    bytes.extend(format!("9 0 obj << {entries} >> stream\r\n").bytes());
    bytes.extend(packed);
    bytes.extend(b"\nendstream endobj\n5 0 obj << /Length 8 0 R >> stream\nBT /F 9 Tf (packed) Tj ET\nendstream endobj\n");
    bytes.extend(b"7 0 obj << /Type /XRef /Root 1 0 R /Length 0 >> stream\n\nendstream endobj");
    assert_eq!(read(&bytes).unwrap().text, "packed");
}

#[test]
fn an_update_counts_as_it_was_written_last_and_a_form_is_part_of_its_page() {
    let mut bytes = page("", "BT /F 9 Tf (old) Tj ET");
    let form = stream(
        "/Subtype /Form /Resources << /Font << /G 4 0 R >> >>",
        "BT /G 9 Tf (form) Tj ET /X Do",
    );
    bytes.extend(format!("8 0 obj {form} endobj\n").bytes());
    bytes.extend(b"2 0 obj << /Kids [3 0 R] /Resources << /Font << /F 4 0 R >> /XObject << /X 8 0 R >> >> >> endobj\n");
    bytes.extend(
        format!(
            "5 0 obj {} endobj\n",
            stream("", "BT /F 9 Tf 0 99 Td (new) Tj ET q 2 0 0 2 0 0 cm /X Do Q")
        )
        .bytes(),
    );
    let text = read(&bytes).unwrap().text;
    assert!(text.starts_with("new\n\nform"), "{text}");
}

#[test]
fn an_encrypted_file_and_a_cut_off_one_are_errors() {
    let encrypted = file(&[(1, "<< >>".to_owned())], "/Root 1 0 R /Encrypt 9 0 R");
    assert_eq!(read(&encrypted), Err(ExtractError::EncryptedPdf));
    assert!(matches!(read(b"%PDF-1.7\n"), Err(ExtractError::BrokenPdf { .. })));
    let whole = page("", "BT /F 9 Tf (x) Tj ET");
    assert!(matches!(read(&whole[..40]), Err(ExtractError::BrokenPdf { .. })));
}

#[test]
fn trees_that_bite_their_tail_and_deep_arrays_end() {
    let objects = [
        (1, "<< /Type /Catalog /Pages 2 0 R >>".to_owned()),
        (2, "<< /Type /Pages /Kids [2 0 R 3 0 R 3 0 R] >>".to_owned()),
        (3, "<< /Type /Page /Contents 4 0 R >>".to_owned()),
        (4, "4 0 R".to_owned()),
        (5, "[".repeat(100_000)),
        (6, "<< /A ".repeat(100_000)),
    ];
    let bytes = file(&objects, "/Root 1 0 R");
    assert_eq!(read(&bytes).unwrap().text, "");
}

#[test]
fn what_is_named_again_and_again_is_not_read_again_and_again() {
    let kids = "9 0 R ".repeat(20_000);
    let mut objects = vec![
        (1, "<< /Type /Catalog /Pages 10 0 R >>".to_owned()),
        (7, format!("[ {kids} ]")),
        (9, "<< /Kids 8 0 R >>".to_owned()),
        (
            8,
            format!(
                "[ {} ]",
                (10..2_010).map(|number| format!("{number} 0 R ")).collect::<String>()
            ),
        ),
    ];
    objects
        .extend((10..2_010).map(|number| (number, "<< /Kids [9 0 R] /Kids 7 0 R >>".to_owned())));
    let widths = "0 4000000000 500 ".repeat(20_000);
    objects.push((3_000, format!("<< /Subtype /Type0 /DescendantFonts [<< /W [{widths}] >>] >>")));
    let bytes = file(&objects, "/Root 1 0 R");
    assert!(matches!(read(&bytes), Err(ExtractError::BrokenPdf { .. })));
    let file = File::open(&bytes);
    let font =
        file.value(&[("F".to_owned(), Object::Reference(3_000))].into(), "F").dictionary().cloned();
    assert!(
        font::Font::read(&file, &font.unwrap())
            .glyphs(b"ab")
            .all(|glyph| (glyph.width - 0.5).abs() < 1e-9)
    );
}

#[test]
fn an_image_inside_the_page_is_skipped() {
    let content = "BI /W 1 /H 1 ID (((\u{1}<< EI BT /F 9 Tf (after) Tj ET";
    assert_eq!(text("", content), "after");
}

proptest::proptest! {
    #[test]
    fn any_bytes_after_the_mark_are_read_or_refused(bytes: Vec<u8>) {
        drop(read(&[b"%PDF-1.4\n1 0 obj ", bytes.as_slice()].concat()));
    }

    #[test]
    fn any_pieces_of_files_are_read_or_refused(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "1 0 obj", "2 0 obj", "<<", ">>", "[", "]", "/Type", "/Page", "/Pages", "/Kids", "/Catalog", "/Contents", " 1 0 R",
            " 2 0 R", " 3 0 R", "stream\n", "endstream", "endobj", "/Length", " 5", "/ObjStm", "/N 3", "/First 0", "(", ")", "<41>",
            "trailer", "/Root", "/Font", "/F", " 9 Tf", "BT", " Tj", "/Filter", "/LZWDecode", "/FlateDecode", "/Resources", "-", "%",
        ]), 0..80),
    ) {
        drop(read(pieces.concat().as_bytes()));
    }

    #[test]
    fn any_page_is_painted(content in "[ -~]{0,200}", cut in 0_usize..600) {
        let bytes = page("", &content);
        drop(read(&bytes));
        drop(read(bytes.get(..cut).unwrap_or(&bytes)));
    }
}
