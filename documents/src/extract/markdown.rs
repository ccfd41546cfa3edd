//! Markdown into text: what a reader of the rendered page reads, with code and without the marks.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::flow::{Break, Flow};
use super::{ExtractError, html, plain};
use crate::document::{Document, Format};

/// Reads a Markdown file; its title is the one of its front matter, or its first heading of the first level.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    let mut document = Document::new(Format::Markdown);
    let source = plain::text(bytes, &mut document)?;
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader {
        flow: Flow::new(),
        place: Place::Text,
        front: String::new(),
        html: String::new(),
        heading: None,
        heading_start: 0,
    };
    for event in Parser::new_ext(&source, options) {
        reader.event(event);
    }
    front_matter(&reader.front, &mut document);
    if let Some(heading) = &reader.heading {
        document.entitle(heading);
    }
    document.text = reader.flow.finish();
    Ok(document)
}

/// Takes the lines `key: value` of a front matter; nested values are left out.
fn front_matter(front: &str, document: &mut Document) {
    for line in front.lines().filter(|line| !line.starts_with([' ', '\t', '#', '-'])) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        match key.trim().to_ascii_lowercase().as_str() {
            "title" => document.entitle(value),
            "lang" | "language" if !value.is_empty() => document.language = Some(value.to_owned()),
            "" => {}
            key => document.describe(key, value),
        }
    }
}

/// Where text goes.
#[derive(PartialEq, Eq)]
enum Place {
    Text,
    Code,
    FrontMatter,
}

struct Reader {
    flow: Flow,
    place: Place,
    front: String,
    /// the block of HTML that is open
    html: String,
    heading: Option<String>,
    heading_start: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match self.place {
                Place::Text => self.flow.words(&text),
                Place::Code => self.flow.verbatim(&text),
                Place::FrontMatter => self.front.push_str(&text),
            },
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.flow.words(&text);
            }
            Event::Html(text) => self.html.push_str(&text),
            Event::SoftBreak => self.flow.break_with(Break::Space),
            Event::HardBreak => self.flow.break_with(Break::Line),
            Event::Rule => self.flow.break_with(Break::Paragraph),
            Event::InlineHtml(text) if text.to_ascii_lowercase().starts_with("<br") => {
                self.flow.break_with(Break::Line);
            }
            Event::InlineHtml(_) | Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others only separate, which `separate` lists"
    )]
    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Item => self.flow.item(),
            Tag::CodeBlock(_) => {
                self.place = Place::Code;
                self.flow.break_with(Break::Paragraph);
            }
            Tag::MetadataBlock(_) => self.place = Place::FrontMatter,
            Tag::Heading { level, .. } => {
                self.flow.break_with(Break::Paragraph);
                if *level == HeadingLevel::H1 {
                    self.heading_start = self.flow.len();
                }
            }
            tag => self.separate(tag.to_end()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others only separate, which `separate` lists"
    )]
    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock | TagEnd::MetadataBlock(_) => self.place = Place::Text,
            TagEnd::Heading(HeadingLevel::H1) if self.heading.is_none() => {
                self.heading = Some(self.flow.since(self.heading_start).to_owned());
            }
            TagEnd::HtmlBlock => {
                self.flow.break_with(Break::Paragraph);
                let text = html::text(&std::mem::take(&mut self.html));
                self.flow.verbatim(&text);
            }
            _ => {}
        }
        self.separate(tag);
    }

    fn separate(&mut self, tag: TagEnd) {
        self.flow.break_with(match tag {
            TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::BlockQuote(_)
            | TagEnd::CodeBlock
            | TagEnd::HtmlBlock
            | TagEnd::FootnoteDefinition
            | TagEnd::Table
            | TagEnd::DefinitionList => Break::Paragraph,
            TagEnd::List(_)
            | TagEnd::Item
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition => Break::Line,
            TagEnd::TableCell => Break::Space,
            TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::Link
            | TagEnd::Image
            | TagEnd::MetadataBlock(_) => Break::None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_go_and_the_words_stay() {
        let source = "# One *two*\n\nA [link](http://x.y) and `code`,\nsoft.\n\n- a\n- b\n\n```rust\nlet x;\n\nlet y;\n```\n\n\
            | h | i |\n|---|---|\n| 1 | 2 |\n\n<div>block<br>two</div>\n\nin<b>line</b>[^1]\n\n[^1]: foot\n";
        let document = read(source.as_bytes()).unwrap();
        assert_eq!(document.title.as_deref(), Some("One two"));
        assert_eq!(
            document.text,
            "One two\n\nA link and code, soft.\n\n- a\n- b\n\nlet x;\n\nlet y;\n\nh i\n1 2\n\nblock\ntwo\n\ninline\n\nfoot"
        );
    }

    #[test]
    fn the_front_matter_is_metadata() {
        let source = "---\ntitle: \"T: x\"\nauthor: A\nlang: fr\ntags:\n  - no\n---\n# H\n\ntext\n";
        let document = read(source.as_bytes()).unwrap();
        assert_eq!(document.title.as_deref(), Some("T: x"));
        assert_eq!(document.language.as_deref(), Some("fr"));
        assert_eq!(
            document.metadata.into_iter().collect::<Vec<_>>(),
            [("author".into(), "A".into())]
        );
        assert_eq!(document.text, "H\n\ntext");
    }
}
