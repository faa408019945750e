//! Shortening of long text: head and tail stay, and the text says what is missing.

use std::borrow::Cow;

/// Room that the marker may take.
const MARKER: usize = 48;

/// Returns the text if it has at most `max_chars` characters; otherwise its head and its
/// tail, with a marker between them that counts what was cut. Lines are kept whole where
/// that costs little. The result has at most `max_chars` characters, or is the marker alone.
pub fn clip(text: &str, max_chars: usize) -> Cow<'_, str> {
    if text.len() <= max_chars {
        return Cow::Borrowed(text);
    }
    let total = text.chars().count();
    if total <= max_chars {
        return Cow::Borrowed(text);
    }
    let room = max_chars.saturating_sub(MARKER);
    let head = line_end(&text[..nth(text, room / 2)]);
    let tail = line_start(&text[nth(text, total - (room - room / 2))..]);
    let cut = total - head.chars().count() - tail.chars().count();
    let marker = format!("[… {cut} characters cut …]");
    let before = if head.is_empty() || head.ends_with('\n') {
        ""
    } else {
        " "
    };
    let after = match tail {
        "" => "",
        _ if head.ends_with('\n') => "\n",
        _ => " ",
    };
    Cow::Owned(format!("{head}{before}{marker}{after}{tail}"))
}

/// Returns the byte at which the n-th character begins.
fn nth(text: &str, n: usize) -> usize {
    text.char_indices()
        .nth(n)
        .map_or(text.len(), |(index, _)| index)
}

/// Cuts the head behind its last line break, unless that loses more than a quarter of it.
fn line_end(head: &str) -> &str {
    match head.rfind('\n') {
        Some(at) if at + 1 >= head.len() / 4 * 3 => &head[..=at],
        Some(_) | None => head,
    }
}

/// Begins the tail behind its first line break, unless that loses more than a quarter of it.
fn line_start(tail: &str) -> &str {
    match tail.find('\n') {
        Some(at) if at < tail.len() / 4 => &tail[at + 1..],
        Some(_) | None => tail,
    }
}

#[cfg(test)]
mod tests {
    use super::clip;
    use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

    #[test]
    fn keeps_head_and_tail() {
        assert_eq!(clip("short", 5), "short");
        let long = "abcdefghij".repeat(20);
        assert_eq!(
            clip(&long, 68),
            "abcdefghij [… 180 characters cut …] abcdefghij"
        );
        assert_eq!(clip(&long, 0), "[… 200 characters cut …]");
    }

    #[test]
    fn keeps_lines_whole() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let clipped = clip(&text, 108);
        assert_eq!(
            clipped,
            "line 0\nline 1\nline 2\nline 3\n[… 730 characters cut …]\nline 97\nline 98\nline 99\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn is_never_longer_than_asked(text in any::<String>(), max in 48_usize..200) {
            prop_assert!(clip(&text.repeat(5), max).chars().count() <= max);
        }
    }
}
