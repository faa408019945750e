//! Lines of a terminal: what a text looks like there, cut and padded to columns.
//!
//! Invariant: text that a model or an agent wrote passes [`clean`] or [`clean_block`] before
//! a terminal sees it, so that it cannot move the cursor, change colors or hide anything.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Returns the text as one line without control characters: white space becomes one space.
pub fn clean(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(visible));
    }
    line
}

/// Returns the text with its lines kept and every other control character made visible.
pub fn clean_block(text: &str) -> String {
    let mut block = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\n' | '\t' => block.push(char),
            // The end of a line as Windows and terminals write it.
            '\r' if rest.peek() == Some(&'\n') => {}
            _ => block.push(visible(char)),
        }
    }
    block
}

fn visible(char: char) -> char {
    match char {
        // The control pictures of Unicode stand in the order of the characters they show.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(char)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        // Marks that reorder or hide what follows (Unicode technical report 36).
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => '\u{fffd}',
        _ if char.is_control() => '\u{fffd}',
        _ => char,
    }
}

/// Returns the columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// Returns the text cut to at most `width` columns; `mark` shows that something is missing.
pub(super) fn cut(text: &str, width: usize, mark: &str) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns(mark));
    let mut used = 0;
    let mut kept = String::new();
    for char in text.chars() {
        used += char.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(char);
    }
    let mut kept = kept.trim_end().to_owned();
    if columns(mark) <= width {
        kept.push_str(mark);
    }
    kept
}

/// Returns the text followed by spaces up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Returns the text led by spaces up to `width` columns.
pub(super) fn pad_left(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{}{text}", " ".repeat(missing))
}

/// Returns the block with every line led by `indent` and wrapped to `width` columns.
pub(super) fn wrap(text: &str, width: usize, indent: &str) -> String {
    let room = width.saturating_sub(columns(indent)).max(20);
    let mut out = String::new();
    for line in text.lines() {
        let words = line.trim_start_matches(' ');
        // The line's own indentation tells code and lists from prose: it is kept.
        let own = &line[..line.len() - words.len()];
        let mut used = 0;
        out.push_str(indent);
        out.push_str(own);
        for word in words.split(' ') {
            let size = columns(word);
            if used > 0 && own.len() + used + 1 + size > room {
                out.push('\n');
                out.push_str(indent);
                out.push_str(own);
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += size;
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{clean, clean_block, columns, cut, wrap};
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    #[test]
    fn shows_what_would_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[31m  red\n\tb"), "a␛[31m red b");
        assert_eq!(
            clean_block("one\r\ntwo\r\u{1b}]0;x\u{7}\n"),
            "one\ntwo␍␛]0;x␇\n"
        );
        assert_eq!(clean("file\u{202e}txt.exe"), "file\u{fffd}txt.exe");
    }

    #[test]
    fn cuts_wide_characters_whole() {
        assert_eq!(cut("漢字漢字", 5, "…"), "漢字…");
        assert_eq!(cut("short", 5, "…"), "short");
        assert_eq!(cut("longer", 0, "…"), "");
    }

    #[test]
    fn wraps_words() {
        assert_eq!(
            wrap("one two three four five six\n  seven", 22, "  "),
            "  one two three four\n  five six\n    seven\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn never_wider_than_asked(text in "\\PC{0,60}", width in 0_usize..40) {
            prop_assert!(columns(&cut(&text, width, "…")) <= width);
        }

        #[test]
        fn no_control_character_survives(text in "(?s).{0,60}") {
            prop_assert!(!clean(&text).chars().any(char::is_control));
            prop_assert!(!clean_block(&text).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
