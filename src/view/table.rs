//! Tables for a terminal: columns as wide as they must be, the last one cut to the line.

use super::line;
use super::style::{Ink, Style};

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of the same number of cells. Columns in which every cell is empty are left out.
pub(super) struct Table<const N: usize> {
    headers: [(&'static str, Align); N],
    rows: Vec<([String; N], Ink)>,
}

impl<const N: usize> Table<N> {
    /// Starts a table.
    pub(super) fn new(headers: [(&'static str, Align); N]) -> Self {
        Self {
            headers,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [String; N], ink: Ink) {
        self.rows.push((cells, ink));
    }

    /// Returns whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the lines, header first.
    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let widths: Vec<usize> = (0..N).map(|column| self.width(column)).collect();
        let header = self.headers.map(|(name, _)| name.to_owned());
        let mut lines = vec![self.draw(&header, Ink::Dim, &widths, style)];
        for (cells, ink) in &self.rows {
            lines.push(self.draw(cells, *ink, &widths, style));
        }
        lines
    }

    /// Returns a column's width; 0 leaves it out.
    fn width(&self, column: usize) -> usize {
        let widest = self
            .rows
            .iter()
            .map(|(cells, _)| line::columns(&cells[column]))
            .max()
            .unwrap_or(0);
        match widest {
            0 => 0,
            widest => widest.max(line::columns(self.headers[column].0)),
        }
    }

    fn draw(&self, cells: &[String; N], ink: Ink, widths: &[usize], style: Style) -> String {
        let mut text = String::new();
        for ((cell, (_, align)), width) in cells.iter().zip(&self.headers).zip(widths) {
            if *width == 0 {
                continue;
            }
            text.push_str("  ");
            text.push_str(&match align {
                Align::Left => line::pad(cell, *width),
                Align::Right => line::pad_left(cell, *width),
            });
        }
        let text = line::cut(text.trim_end(), style.width, style.glyphs().more);
        style.paint(ink, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Ink, Style, Table};

    #[test]
    fn aligns_leaves_out_and_cuts() {
        let mut table = Table::new([
            ("task", Align::Left),
            ("never", Align::Left),
            ("n", Align::Right),
            ("detail", Align::Left),
        ]);
        let cells = |task: &str, n: &str, detail: &str| [task, "", n, detail].map(str::to_owned);
        table.row(cells("a", "1", "short"), Ink::Plain);
        table.row(
            cells("long-name", "200", "a detail without end"),
            Ink::Plain,
        );
        assert_eq!(
            table.lines(Style::plain(28)),
            [
                "  task         n  detail",
                "  a            1  short",
                "  long-name  200  a detail…",
            ]
        );
    }
}
