//! Text under construction: words flow, breaks wait until there is something to separate.
//!
//! Called by the readers of HTML and Markdown, which know where lines and paragraphs end.
//!
//! # Invariants
//! The text begins and ends with a visible character, and no two of its breaks stand side by side.

/// What separates two pieces of text; the strongest one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Break {
    None,
    Space,
    Line,
    Paragraph,
}

/// A text that grows.
#[derive(Debug)]
pub(super) struct Flow {
    text: String,
    waiting: Break,
    /// what is written before the next word, such as the mark of a list item
    mark: Option<&'static str>,
}

impl Flow {
    pub(super) fn new() -> Self {
        Self { text: String::new(), waiting: Break::None, mark: None }
    }

    /// Asks for a separation before whatever comes next.
    pub(super) fn break_with(&mut self, kind: Break) {
        self.waiting = self.waiting.max(kind);
    }

    /// Begins an item of a list.
    pub(super) fn item(&mut self) {
        self.break_with(Break::Line);
        self.mark = Some("- ");
    }

    /// Adds text in which any white space is one space.
    pub(super) fn words(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.break_with(Break::Space);
            } else if !c.is_control() {
                self.push(c);
            }
        }
    }

    /// Adds text whose spaces and lines stay.
    pub(super) fn verbatim(&mut self, text: &str) {
        for c in text.chars().filter(|c| *c != '\r') {
            match c {
                '\n' if self.waiting == Break::Line => self.waiting = Break::Paragraph,
                '\n' => self.break_with(Break::Line),
                '\t' | ' ' if self.waiting < Break::Line && !self.text.is_empty() => {
                    self.separate();
                    self.text.push(' ');
                }
                c if c.is_whitespace() => {}
                c if c.is_control() => {}
                c => self.push(c),
            }
        }
    }

    /// Tells how many bytes there are, which is where the next piece begins or one before.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Returns what was added since there were `start` bytes.
    pub(super) fn since(&self, start: usize) -> &str {
        self.text.get(start..).unwrap_or_default()
    }

    pub(super) fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }

    fn push(&mut self, c: char) {
        self.separate();
        if let Some(mark) = self.mark.take() {
            self.text.push_str(mark);
        }
        self.text.push(c);
    }

    fn separate(&mut self) {
        let kind = std::mem::replace(&mut self.waiting, Break::None);
        if !self.text.is_empty() {
            self.text.push_str(match kind {
                Break::None => "",
                Break::Space => " ",
                Break::Line => "\n",
                Break::Paragraph => "\n\n",
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_break_wins_and_none_stands_at_an_end() {
        let mut flow = Flow::new();
        flow.break_with(Break::Paragraph);
        flow.words("  a  b\n");
        flow.break_with(Break::Line);
        flow.words(" c");
        flow.item();
        flow.break_with(Break::Paragraph);
        flow.item();
        flow.words("d ");
        flow.break_with(Break::Paragraph);
        assert_eq!(flow.finish(), "a b\nc\n\n- d");
    }

    #[test]
    fn verbatim_text_keeps_its_lines() {
        let mut flow = Flow::new();
        flow.verbatim("\r\na  b\r\n  c\n\nd\n");
        assert_eq!(flow.finish(), "a  b\nc\n\nd");
    }
}
