//! Unified diffs for people: what changed by file, and in color.

use super::line::clean_block;
use super::show::FileChange;
use super::style::{Ink, Style};

/// Returns the files of a unified diff as git writes it, with lines added and removed.
pub fn changes(diff: &str) -> Vec<FileChange> {
    let mut changes: Vec<FileChange> = Vec::new();
    // Lines left of the present hunk, old and new: only there do `+` and `-` mean a change.
    let mut left = (0_u64, 0_u64);
    for line in diff.lines() {
        if left == (0, 0) {
            if let Some(names) = line.strip_prefix("diff --git ") {
                changes.push(FileChange {
                    path: new_name(names),
                    added: 0,
                    removed: 0,
                });
            } else if let Some(sizes) = hunk_sizes(line) {
                left = sizes;
            }
            continue;
        }
        let Some(change) = changes.last_mut() else {
            continue;
        };
        match line.as_bytes().first() {
            Some(b'+') => {
                change.added += 1;
                left.1 = left.1.saturating_sub(1);
            }
            Some(b'-') => {
                change.removed += 1;
                left.0 = left.0.saturating_sub(1);
            }
            Some(b'\\') => {}
            Some(_) | None => left = (left.0.saturating_sub(1), left.1.saturating_sub(1)),
        }
    }
    changes
}

/// Returns the new path of `a/PATH b/PATH`; quoted paths stay as git quotes them.
fn new_name(names: &str) -> String {
    if let Some((_, new)) = names.rsplit_once(" \"b/") {
        return new.trim_end_matches('"').to_owned();
    }
    names
        .rsplit_once(" b/")
        .map_or(names, |(_, new)| new)
        .to_owned()
}

/// Reads `@@ -1,2 +3,4 @@`; a missing size is 1.
fn hunk_sizes(line: &str) -> Option<(u64, u64)> {
    let ranges = line.strip_prefix("@@ -")?;
    let (ranges, _) = ranges.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let size = |range: &str| {
        range
            .split_once(',')
            .map_or(Some(1), |(_, n)| n.parse().ok())
    };
    Some((size(old)?, size(new)?))
}

/// Returns a diff for a terminal: control characters visible, lines colored by what they do.
pub fn paint(diff: &str, style: Style) -> String {
    let mut out = String::with_capacity(diff.len());
    for line in clean_block(diff).lines() {
        let ink = if line.starts_with("@@") {
            Ink::Path
        } else if line.starts_with("diff ") || line.starts_with("+++") || line.starts_with("---") {
            Ink::Bold
        } else if line.starts_with('+') {
            Ink::Good
        } else if line.starts_with('-') {
            Ink::Bad
        } else {
            Ink::Plain
        };
        out.push_str(&style.paint(ink, line));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{FileChange, changes};

    #[test]
    fn counts_only_inside_hunks() {
        let diff = "\
diff --git a/x.py b/x.py
index 1..2 100644
--- a/x.py
+++ b/x.py
@@ -1,2 +1,3 @@
 same
--- old
+++ new
+more
\\ No newline at end of file
diff --git a/name with space b/name with space
new file mode 100644
--- /dev/null
+++ b/name with space
@@ -0,0 +1 @@
+one
";
        let change = |path: &str, added, removed| FileChange {
            path: path.to_owned(),
            added,
            removed,
        };
        assert_eq!(
            changes(diff),
            [change("x.py", 2, 1), change("name with space", 1, 0)]
        );
    }
}
