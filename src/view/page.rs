//! A text that is built line by line: headings, fields, folded blocks.

use super::line;
use super::style::{Ink, Style};

/// Columns of a field's name.
const NAME: usize = 12;

/// Which end of a long text says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// The beginning, as of a patch.
    Head,
    /// The end, as of a log.
    Tail,
}

/// Text under construction.
pub(super) struct Page {
    style: Style,
    full: bool,
    text: String,
}

impl Page {
    /// Starts a page; `full` unfolds its blocks.
    pub(super) fn new(style: Style, full: bool) -> Self {
        Self {
            style,
            full,
            text: String::new(),
        }
    }

    /// Adds a line as it is.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    /// Adds a heading with an empty line above.
    pub(super) fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.line(self.style.paint(Ink::Bold, heading));
    }

    /// Adds the name of the paragraph below.
    pub(super) fn label(&mut self, label: &str) {
        self.line(self.style.paint(Ink::Dim, &format!("  {label}:")));
    }

    /// Adds a named value; a long value goes on below itself.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        let name = line::pad(name, NAME);
        let indent = " ".repeat(NAME + 4);
        let value = line::wrap(&line::clean(value), self.style.width, &indent);
        let name = self.style.paint(Ink::Dim, &name);
        self.line(format!("  {name}  {}", value.trim_start()));
    }

    /// Adds a paragraph of prose.
    pub(super) fn prose(&mut self, text: &str) {
        let wrapped = line::wrap(&line::clean_block(text.trim()), self.style.width, "  ");
        self.fold(&wrapped, 8, Keep::Head);
    }

    /// Adds a text with its own lines, such as a log or a patch, folded unless asked.
    pub(super) fn block(&mut self, text: &str, lines: usize, keep: Keep) {
        let text = line::clean_block(text);
        let indented: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
        self.fold(&indented.join("\n"), lines, keep);
    }

    /// Adds a text that stands `indent` columns deep, folded unless asked; nothing for none.
    pub(super) fn nested(&mut self, text: &str, indent: usize, lines: usize, keep: Keep) {
        let text = line::clean_block(text.trim_matches(['\n', '\r']));
        let indent = " ".repeat(indent);
        let cut = |line| format!("{indent}{}", self.cut(line));
        let indented: Vec<String> = text.lines().map(cut).collect();
        self.fold_at(&indented.join("\n"), lines, keep, &indent);
    }

    /// Returns a line that is not longer than a line may be, unless all is to be shown.
    pub(super) fn cut(&self, line: &str) -> String {
        // Wide enough for what people write; only what machines write is longer.
        match self.full {
            true => line.to_owned(),
            false => line::cut(line, self.style.width * 2, self.style.glyphs().more),
        }
    }

    /// Returns whether everything is to be shown.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Adds drawn lines, folded unless asked.
    pub(super) fn block_of(&mut self, lines: Vec<String>, keep: usize) {
        self.fold(&lines.join("\n"), keep, Keep::Head);
    }

    fn fold(&mut self, text: &str, keep: usize, end: Keep) {
        self.fold_at(text, keep, end, "  ");
    }

    fn fold_at(&mut self, text: &str, keep: usize, end: Keep, indent: &str) {
        let lines: Vec<&str> = text.lines().collect();
        let hidden = lines.len().saturating_sub(keep);
        // Folding one or two lines away would save nothing.
        if self.full || hidden <= 2 {
            lines.iter().for_each(|line| self.line(line));
            return;
        }
        let more = self.style.glyphs().more;
        let mark = format!("{indent}{more} {hidden} more lines, shown with --full");
        let mark = self.style.paint(Ink::Dim, &mark);
        match end {
            Keep::Head => {
                lines.iter().take(keep).for_each(|line| self.line(line));
                self.line(mark);
            }
            Keep::Tail => {
                self.line(mark);
                lines.iter().skip(hidden).for_each(|line| self.line(line));
            }
        }
    }

    /// Returns the finished text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::{Keep, Page, Style};

    #[test]
    fn folds_long_blocks_at_the_end_that_says_less() {
        let text = "1\n2\n3\n4\n5\n6";
        for (keep, expected) in [
            (
                Keep::Head,
                "  1\n  2\n  … 4 more lines, shown with --full\n",
            ),
            (
                Keep::Tail,
                "  … 4 more lines, shown with --full\n  5\n  6\n",
            ),
        ] {
            let mut page = Page::new(Style::plain(80), false);
            page.block(text, 2, keep);
            assert_eq!(page.finish(), expected);
        }
        let mut page = Page::new(Style::plain(80), true);
        page.block(text, 2, Keep::Tail);
        assert_eq!(page.finish().lines().count(), 6);
    }
}
