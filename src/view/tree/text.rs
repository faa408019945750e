//! The tree as text: one line per variant and per attempt without a child.
//!
//! The tree stands in a first column of bounded width (a lineage of hundreds of generations
//! is cut on its left), so that the figures beside it stay in columns.

use super::footer;
use crate::domain::{Standing, Tally, VariantId, Verdict};
use crate::lineage::{Lineage, Row, walk};
use crate::view::digest::Digest;
use crate::view::style::{Ink, Style};
use crate::view::{evidence, figure, line};

/// Columns that a summary keeps before other columns go.
const SUMMARY: usize = 24;

/// Returns the drawn tree with a summary below.
pub fn text(lineage: &Lineage, style: Style) -> String {
    let digest = Digest::of(lineage);
    let limit = (style.width / 3).max(16);
    let lines: Vec<TreeLine> = walk(lineage)
        .iter()
        .map(|row| TreeLine::new(lineage, &digest, row, limit, style))
        .collect();
    let layout = TreeLayout::new(&lines, style.width);
    let mut out = notice(lineage, style);
    out.push_str(&layout.header(style));
    for line in &lines {
        out.push_str(&layout.draw(line, style));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&footer::text(lineage, &digest, style));
    out
}

/// Returns what a reader must know before any figure: that hidden tests were given away.
fn notice(lineage: &Lineage, style: Style) -> String {
    let Some(what) = evidence::of_archive(lineage) else {
        return String::new();
    };
    let text = line::wrap(&what, style.width, "");
    let lines = text.lines().map(|line| style.paint(Ink::Warn, line) + "\n");
    lines.collect::<String>() + "\n"
}

/// One line in parts.
struct TreeLine {
    /// Lines of the tree that lead to the node.
    edges: String,
    /// Mark and number.
    node: String,
    node_ink: Ink,
    /// The columns, in order of [`HEADERS`].
    cells: [String; COLUMNS],
    delta_ink: Ink,
    text: String,
    text_ink: Ink,
}

const COLUMNS: usize = 7;
const HEADERS: [&str; COLUMNS] = [
    "score", "mean", "95 %", "hold-out", "±parent", "children", "cost",
];
const DELTA: usize = 4;
/// Columns in the order in which they go when there is no room: children, cost, interval.
const GIVEN_UP: [usize; 3] = [5, 6, 2];

impl TreeLine {
    fn new(lineage: &Lineage, digest: &Digest, row: &Row, limit: usize, style: Style) -> Self {
        let edges = edges(&row.more, limit.saturating_sub(8), style);
        if row.is_attempt {
            return Self::of_attempt(lineage, digest, row.id, edges, style);
        }
        let glyphs = style.glyphs();
        let figures = digest.figures(row.id);
        let standing = lineage.standing(row.id);
        let is_best = digest.best == Some(row.id);
        let mark = match &standing {
            _ if is_best => glyphs.best,
            Standing::Evaluating => glyphs.evaluating,
            Standing::Judged(Verdict::Admitted) => glyphs.admitted,
            Standing::Judged(Verdict::Rejected(_)) => glyphs.rejected,
        };
        let (delta, delta_ink) = match figures.delta {
            None => (String::new(), Ink::Plain),
            Some(delta) => (figure::points(delta.mean, style), ink(delta.mean)),
        };
        let summary = lineage
            .variant(row.id)
            .map_or("", |variant| variant.summary.as_str());
        let note = match &standing {
            Standing::Evaluating => "(being evaluated) ".to_owned(),
            Standing::Judged(Verdict::Admitted) => String::new(),
            Standing::Judged(Verdict::Rejected(reason)) => {
                format!("(no parent: {}) ", line::clean(reason))
            }
        };
        Self {
            edges,
            node: format!("{mark} {}", row.id),
            node_ink: node_ink(&standing, digest.on_path.contains(&row.id)),
            cells: [
                figure::tally(figures.score),
                mean(figures.score),
                if figures.score.counted == 0 {
                    String::new()
                } else {
                    figure::interval_text(figures.score, style)
                },
                match figures.holdout.counted {
                    0 => String::new(),
                    _ => figure::tally(figures.holdout),
                },
                delta,
                match figures.children {
                    0 => String::new(),
                    children => figure::count(children),
                },
                figure::spent(&figures.spend, style),
            ],
            delta_ink,
            text: format!("{note}{}", line::clean(summary)),
            text_ink: Ink::Plain,
        }
    }

    fn of_attempt(
        lineage: &Lineage,
        digest: &Digest,
        id: VariantId,
        edges: String,
        style: Style,
    ) -> Self {
        let glyphs = style.glyphs();
        let end = lineage
            .attempt(id)
            .and_then(|attempt| attempt.end.as_ref())
            .and_then(|end| end.failure.as_ref());
        let text = match end {
            None => "its variant is missing".to_owned(),
            Some((failure, detail)) if detail.trim().is_empty() => failure.to_string(),
            Some((failure, detail)) => {
                format!("{failure} {} {}", glyphs.dash, line::clean(detail))
            }
        };
        let mut cells = [const { String::new() }; COLUMNS];
        cells[COLUMNS - 1] = figure::spent(&digest.figures(id).spend, style);
        Self {
            edges,
            node: format!("{} {id}", glyphs.failed),
            node_ink: Ink::Dim,
            cells,
            delta_ink: Ink::Plain,
            text,
            text_ink: Ink::Dim,
        }
    }

    fn tree_width(&self) -> usize {
        line::columns(&self.edges) + line::columns(&self.node)
    }
}

fn node_ink(standing: &Standing, on_path: bool) -> Ink {
    match standing {
        _ if on_path => Ink::Path,
        Standing::Evaluating => Ink::Warn,
        Standing::Judged(Verdict::Admitted) => Ink::Plain,
        Standing::Judged(Verdict::Rejected(_)) => Ink::Dim,
    }
}

fn ink(difference: f64) -> Ink {
    if difference > 0.0 {
        Ink::Good
    } else if difference < 0.0 {
        Ink::Bad
    } else {
        Ink::Dim
    }
}

fn mean(tally: Tally) -> String {
    if tally.counted == 0 {
        String::new()
    } else {
        figure::percent(tally.mean())
    }
}

/// Returns the lines that lead to a node, at most `limit` columns of them, the nearest ones.
fn edges(more: &[bool], limit: usize, style: Style) -> String {
    let glyphs = style.glyphs();
    let Some((own, above)) = more.split_last() else {
        return String::new();
    };
    let room = (limit / 3).max(2);
    let mut edges = String::new();
    let hidden = above.len().saturating_sub(room);
    if hidden > 0 {
        edges.push_str(glyphs.more);
        edges.push_str(&hidden.to_string());
        edges.push(' ');
    }
    for more in above.iter().skip(hidden) {
        edges.push_str(if *more { glyphs.pass } else { "   " });
    }
    edges.push_str(if *own { glyphs.branch } else { glyphs.last });
    edges
}

/// Widths of the columns; none: the column is left out.
struct TreeLayout {
    tree: usize,
    cells: [Option<usize>; COLUMNS],
    text: usize,
}

impl TreeLayout {
    fn new(lines: &[TreeLine], width: usize) -> Self {
        let tree = lines.iter().map(TreeLine::tree_width).max().unwrap_or(0);
        let mut cells = [None; COLUMNS];
        for (index, header) in HEADERS.iter().enumerate() {
            let widest = lines
                .iter()
                .map(|line| line::columns(&line.cells[index]))
                .max()
                .unwrap_or(0);
            if widest > 0 {
                cells[index] = Some(widest.max(line::columns(header)));
            }
        }
        let rest = |cells: &[Option<usize>]| {
            let used: usize = cells.iter().flatten().map(|width| width + 2).sum();
            width.saturating_sub(tree + used + 2)
        };
        for index in GIVEN_UP {
            if rest(&cells) < SUMMARY {
                cells[index] = None;
            }
        }
        Self {
            tree,
            cells,
            text: rest(&cells),
        }
    }

    fn header(&self, style: Style) -> String {
        let mut header = line::pad("variant", self.tree);
        for (name, width) in HEADERS.iter().zip(&self.cells) {
            if let Some(width) = width {
                // `±` is the only character beyond ASCII in the headers.
                let name = if style.unicode {
                    name
                } else {
                    &name.trim_start_matches('±')
                };
                header.push_str("  ");
                header.push_str(&line::pad_left(name, *width));
            }
        }
        let header = format!("{header}  what is new");
        let header = line::cut(&header, style.width, "");
        format!("{}\n", style.paint(Ink::Dim, header.trim_end()))
    }

    fn draw(&self, line: &TreeLine, style: Style) -> String {
        let mut out = style.paint(Ink::Dim, &line.edges);
        out.push_str(&style.paint(line.node_ink, &line.node));
        let mut blank = self.tree.saturating_sub(line.tree_width());
        for (index, (cell, width)) in line.cells.iter().zip(&self.cells).enumerate() {
            let Some(width) = width else { continue };
            blank += 2 + width.saturating_sub(line::columns(cell));
            if cell.is_empty() {
                continue;
            }
            out.push_str(&" ".repeat(blank));
            let ink = match index {
                DELTA => line.delta_ink,
                _ if line.text_ink == Ink::Dim => Ink::Dim,
                _ => Ink::Plain,
            };
            out.push_str(&style.paint(ink, cell));
            blank = 0;
        }
        let text = line::cut(&line.text, self.text, style.glyphs().more);
        if !text.is_empty() {
            out.push_str(&" ".repeat(blank + 2));
            out.push_str(&style.paint(line.text_ink, &text));
        }
        out
    }
}
