//! How text is drawn: colors, characters, width. Decided by the caller, never looked up here.

/// What the reader's terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences for color may be used.
    pub color: bool,
    /// Whether characters beyond ASCII may be used for lines and marks.
    pub unicode: bool,
    /// Columns of a line.
    pub width: usize,
}

/// What a piece of text means, which decides its color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Ordinary text.
    Plain,
    /// Less important.
    Dim,
    /// Headings.
    Bold,
    /// Better, or in order.
    Good,
    /// Worse, or broken.
    Bad,
    /// Worth a look.
    Warn,
    /// On the path to the best variant.
    Path,
}

/// The marks and lines of one character set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glyphs {
    /// A child that has younger siblings.
    pub(super) branch: &'static str,
    /// The youngest child.
    pub(super) last: &'static str,
    /// Passes a level whose siblings follow below.
    pub(super) pass: &'static str,
    /// An admitted variant.
    pub(super) admitted: &'static str,
    /// A variant that is kept, but is no parent.
    pub(super) rejected: &'static str,
    /// A variant whose evaluation is not finished.
    pub(super) evaluating: &'static str,
    /// An attempt without a child.
    pub(super) failed: &'static str,
    /// The best variant.
    pub(super) best: &'static str,
    /// Between the nodes of a path.
    pub(super) arrow: &'static str,
    /// Stands for what was cut.
    pub(super) more: &'static str,
    /// Before an amount that is the most that it can be.
    pub(super) at_most: &'static str,
    /// Before an amount that is partly an estimate.
    pub(super) about: &'static str,
    /// Between a reason and its details.
    pub(super) dash: &'static str,
    /// Between the ends of an interval.
    pub(super) to: &'static str,
    /// A negative difference.
    pub(super) minus: &'static str,
    /// Between things of a list.
    pub(super) dot: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    branch: "├─ ",
    last: "└─ ",
    pass: "│  ",
    admitted: "●",
    rejected: "○",
    evaluating: "◌",
    failed: "✗",
    best: "★",
    arrow: "→",
    more: "…",
    at_most: "≤",
    about: "≈",
    dash: "—",
    to: "–",
    minus: "−",
    dot: "·",
};

const ASCII: Glyphs = Glyphs {
    branch: "|- ",
    last: "`- ",
    pass: "|  ",
    admitted: "o",
    rejected: "-",
    evaluating: "?",
    failed: "x",
    best: "*",
    arrow: "->",
    more: "~",
    at_most: "<=",
    about: "~",
    dash: "-",
    to: "-",
    minus: "-",
    dot: "|",
};

impl Style {
    /// Plain UTF-8 text of that width.
    pub fn plain(width: usize) -> Self {
        Self {
            color: false,
            unicode: true,
            width,
        }
    }

    /// Returns the characters to draw with.
    pub(super) fn glyphs(self) -> Glyphs {
        if self.unicode { UNICODE } else { ASCII }
    }

    /// Returns the text in the color of its meaning.
    pub fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => "",
            Ink::Dim => "2",
            Ink::Bold => "1",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Warn => "33",
            Ink::Path => "1;36",
        };
        if !self.color || code.is_empty() || text.trim().is_empty() {
            return text.to_owned();
        }
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
