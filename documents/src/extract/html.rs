//! HTML into text: a forgiving scanner of tags, in one pass, with the elements that browsers do not show left out.
//!
//! Called by [`super::extract`], by the reader of mails for their HTML parts and by the reader of Markdown for its blocks
//! of HTML. It does not build a tree: what an unclosed tag does to the text is at most one break too many or too few.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::ExtractError;
use super::flow::{Break, Flow};
use super::plain;
use crate::document::{Document, Format};
use crate::limits::{FORMAT_PROBE_BYTES, HTML_ENTITY_BYTES_MAX};

mod scan;

use scan::{Piece, Scanner};

/// Elements whose content is no text of the page.
const HIDDEN: [&str; 10] = [
    "script", "style", "template", "svg", "math", "noscript", "iframe", "object", "select",
    "noframes",
];
/// Elements that stand as paragraphs of their own.
const PARAGRAPHS: [&str; 28] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "dl",
    "table",
    "blockquote",
    "pre",
    "section",
    "article",
    "header",
    "footer",
    "nav",
    "aside",
    "main",
    "form",
    "fieldset",
    "figure",
    "address",
    "hr",
    "details",
    "body",
    "head",
];
/// Elements that begin and end a line.
const LINES: [&str; 9] =
    ["div", "tr", "dt", "dd", "br", "option", "figcaption", "caption", "summary"];

/// Reads a page.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    let mut document = Document::new(Format::Html);
    let page = decode(bytes, &mut document)?;
    fill(&page, &mut document);
    Ok(document)
}

/// Puts the text of a page, and what it says of itself, into a document.
pub(super) fn fill(page: &str, document: &mut Document) {
    let mut reader = Reader::new(document);
    let mut scanner = Scanner::new(page);
    while let Some(piece) = scanner.next() {
        reader.piece(&piece);
    }
    let Reader { flow, heading, title, .. } = reader;
    if let Some(title) = title.or(heading) {
        document.entitle(&title);
    }
    document.text = flow.finish();
}

/// Decodes a page: by its mark, by what it declares, as UTF-8, or as browsers do: as Windows-1252.
fn decode(bytes: &[u8], document: &mut Document) -> Result<String, ExtractError> {
    let declared =
        Encoding::for_bom(bytes).map(|(encoding, _)| encoding).or_else(|| declared(bytes));
    let wide = declared.is_some_and(|encoding| encoding == UTF_16LE || encoding == UTF_16BE);
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0).filter(|_| !wide) {
        return Err(ExtractError::Binary { format: Format::Html, offset, byte: 0 });
    }
    let Some(encoding) = declared else {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(text.to_owned());
        }
        document.note("declares no encoding and is not UTF-8: read as windows-1252");
        return Ok(WINDOWS_1252.decode(bytes).0.into_owned());
    };
    let (text, _, replaced) = encoding.decode(bytes);
    if replaced {
        document.note(format!("declares {} but not all of it is: see U+FFFD", encoding.name()));
    }
    Ok(text.into_owned())
}

/// Returns the encoding that a `meta` element near the start declares.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes.get(..FORMAT_PROBE_BYTES).unwrap_or(bytes).to_ascii_lowercase();
    let mark = b"charset=";
    let at = start.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let label = start.get(at..)?;
    let label = label.strip_prefix(b"\"").or_else(|| label.strip_prefix(b"'")).unwrap_or(label);
    let end =
        label.iter().position(|byte| matches!(byte, b'"' | b'\'' | b' ' | b';' | b'>' | b'/'));
    let encoding = Encoding::for_label(label.get(..end?)?)?;
    // what can be read up to here is not UTF-16
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

/// Follows the pieces of a page.
struct Reader<'a> {
    document: &'a mut Document,
    flow: Flow,
    title: Option<String>,
    /// the first heading of the first level, once it has ended
    heading: Option<String>,
    heading_start: Option<usize>,
    /// the hidden element that is open, and how many of its name are
    hidden: Option<(String, usize)>,
    in_title: bool,
    verbatim: usize,
}

impl<'a> Reader<'a> {
    fn new(document: &'a mut Document) -> Self {
        Self {
            document,
            flow: Flow::new(),
            title: None,
            heading: None,
            heading_start: None,
            hidden: None,
            in_title: false,
            verbatim: 0,
        }
    }

    fn piece(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Text(text) => self.text(&entities(text)),
            Piece::Open { name, attributes, closed } => {
                if let Some((hidden, depth)) = &mut self.hidden {
                    *depth += usize::from(hidden == name && !closed);
                } else if HIDDEN.contains(&name.as_str()) {
                    self.hidden = (!closed).then(|| (name.clone(), 1));
                } else {
                    self.open(name, attributes);
                }
            }
            Piece::Close(name) => match &mut self.hidden {
                Some((hidden, depth)) if hidden == name => {
                    *depth -= 1;
                    if *depth == 0 {
                        self.hidden = None;
                    }
                }
                Some(_) => {}
                None => self.close(name),
            },
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
        } else if self.verbatim > 0 {
            self.flow.verbatim(text);
        } else {
            self.flow.words(text);
        }
    }

    fn open(&mut self, name: &str, attributes: &[(String, String)]) {
        self.separate(name);
        match name {
            "title" => self.in_title = self.title.is_none(),
            "h1" if self.heading.is_none() => self.heading_start = Some(self.flow.len()),
            "pre" | "textarea" => self.verbatim += 1,
            "li" => self.flow.item(),
            "html" => {
                if let Some(language) = attribute(attributes, "lang") {
                    self.document.language =
                        Some(language.trim().to_owned()).filter(|l| !l.is_empty());
                }
            }
            "meta" => self.meta(attributes),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "title" => self.in_title = false,
            "h1" => {
                if let Some(start) = self.heading_start.take() {
                    self.heading = Some(self.flow.since(start).to_owned());
                }
            }
            "pre" | "textarea" => self.verbatim = self.verbatim.saturating_sub(1),
            _ => {}
        }
        self.separate(name);
    }

    fn separate(&mut self, name: &str) {
        if PARAGRAPHS.contains(&name) {
            self.flow.break_with(Break::Paragraph);
        } else if LINES.contains(&name) {
            self.flow.break_with(Break::Line);
        } else if matches!(name, "td" | "th" | "button" | "input" | "img" | "label") {
            self.flow.break_with(Break::Space);
        }
    }

    fn meta(&mut self, attributes: &[(String, String)]) {
        let name = attribute(attributes, "name").or_else(|| attribute(attributes, "property"));
        let (Some(name), Some(content)) = (name, attribute(attributes, "content")) else { return };
        let content = entities(content);
        match name.to_ascii_lowercase().as_str() {
            key @ ("author" | "description" | "keywords" | "date" | "generator") => {
                self.document.describe(key, &content);
            }
            "article:published_time" | "dc.date" => self.document.describe("date", &content),
            "og:title" => self.document.entitle(&content),
            _ => {}
        }
    }
}

fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Replaces `&amp;`, `&#38;` and the like by what they mean; what is none stays.
fn entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let name = |c: char| c.is_ascii_alphanumeric() || c == '#';
        let end =
            1 + from.chars().skip(1).take(HTML_ENTITY_BYTES_MAX).take_while(|c| name(*c)).count();
        if end > 1 && from.get(end..).is_some_and(|after| after.starts_with(';')) {
            let (entity, after) = from.split_at(end + 1);
            mail_parser::decoders::html::add_html_token(&mut plain, entity.as_bytes(), false);
            rest = after;
        } else {
            plain.push('&');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    plain.push_str(rest);
    plain
}

/// Returns the text of a piece of HTML inside another format.
pub(super) fn text(fragment: &str) -> String {
    let mut document = Document::new(Format::Html);
    fill(fragment, &mut document);
    plain::tidy(&document.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Document {
        read(html.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_a_browser_shows_is_text() {
        let html = "<!doctype html><html lang=de><head><title>A &lt; B</title><style>p {}</style>\
            <meta name=Author content=\"A &amp; O\"></head><body><!-- <p>no --><h1>Head</h1><p>One<br>two  <b>th</b>ree\
            <script>if (a < b) { '<p>' }</script><svg><text>no</text><svg></svg>no</svg><div>four</div>five";
        let document = page(html);
        assert_eq!(document.title.as_deref(), Some("A < B"));
        assert_eq!(document.text, "Head\n\nOne\ntwo three\nfour\nfive");
        assert_eq!(document.language.as_deref(), Some("de"));
        assert_eq!(document.metadata["author"], "A & O");
        assert!(document.notes.is_empty());
    }

    #[test]
    fn lists_tables_and_preformatted_text_keep_their_shape() {
        let html =
            "<ul><li>a<li><p>b</p></ul><table><tr><td>1<td>2<tr><td>3</table><pre>x  y\n\nz</pre>";
        assert_eq!(page(html).text, "- a\n\n- b\n\n1 2\n3\n\nx  y\n\nz");
    }

    #[test]
    fn a_page_without_title_is_called_as_its_first_heading() {
        assert_eq!(
            page("<p>x<h1>First <i>one</i></h1><h1>Second</h1>").title.as_deref(),
            Some("First one")
        );
        assert_eq!(page("<p>x").title, None);
    }

    #[test]
    fn entities_are_replaced_and_what_is_none_stays() {
        let text = "&eacute;&#233;&#xe9;&nbsp;&nope; & &; a&b &amp;lt; &#xffffffff; AT&T;";
        assert_eq!(entities(text), "ééé\u{a0}&nope; & &; a&b &lt; \u{fffd} AT&T;");
    }

    #[test]
    fn the_encoding_is_the_declared_one_or_a_noted_guess() {
        let document = read(b"<meta charset=iso-8859-2><p>\xb1").unwrap();
        assert_eq!((document.text.as_str(), document.notes.len()), ("ą", 0));
        let document = read(b"<meta charset=\"shift_jis\"><p>\x93\xfa\x96{").unwrap();
        assert_eq!(document.text, "日本");
        let document = read(b"<p>\xe9").unwrap();
        assert_eq!((document.text.as_str(), document.notes.len()), ("é", 1));
        let document = read(b"<meta charset=utf-8><p>a\xff").unwrap();
        assert_eq!((document.text.as_str(), document.notes.len()), ("a\u{fffd}", 1));
        assert!(matches!(read(b"<p>\0"), Err(ExtractError::Binary { offset: 3, .. })));
    }

    #[test]
    fn markup_that_never_ends_ends_with_the_page() {
        for (html, text) in [
            ("a<", "a<"),
            ("a<b", "a"),
            ("a<b c", "a"),
            ("a<b c=\"d>e", "a"),
            ("a<!--b", "a"),
            ("a<script>b", "a"),
            ("a<title>b", "a"),
            ("a</b", "a"),
            ("1 < 2 <3", "1 < 2 <3"),
            ("a&", "a&"),
        ] {
            assert_eq!(page(html).text, text, "{html}");
        }
    }
}
