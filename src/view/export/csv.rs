//! Comma-separated values (RFC 4180) with a header.
//!
//! Invariant: what is missing is nothing at all between two commas, and an empty text is `""`,
//! so that a reader who wants to can tell them apart.

use super::table::{COLUMNS, Cell, Row};
use super::timestamp;

/// Returns the rows as CSV in UTF-8.
pub fn csv(rows: &[Row<'_>]) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let mut text = names.join(",");
    text.push('\n');
    for row in rows {
        for (index, column) in COLUMNS.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&field((column.cell)(row)));
        }
        text.push('\n');
    }
    text
}

fn field(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(None) | Cell::Integer(None) | Cell::Real(None) => String::new(),
        Cell::Text(Some(text)) => quoted(&text),
        Cell::Integer(Some(number)) => number.to_string(),
        Cell::Real(Some(number)) => number.to_string(),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Moment(ms) => timestamp(ms).unwrap_or_default(),
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn only_what_needs_it_is_quoted() {
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }
}
