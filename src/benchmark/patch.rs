//! A change of files as a patch that git applies.
//!
//! Invariant: applied to the files as they were, the patch gives the files as they are, byte
//! for byte, whatever is in them: line ends, missing ones, binary content, odd names. The patch
//! itself is UTF-8.

use crate::domain::{Change, FileEntry, FileTree, TreePath};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest as _, Sha1};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;

/// Lines around a change that a patch repeats.
const CONTEXT: usize = 3;
/// Differing lines up to which the shortest way is looked for; above, all is replaced.
const MOST_EDITS: usize = 1000;
/// Bytes that git puts into a line of binary content.
const BINARY_LINE: usize = 52;
const BASE85: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// Returns the patch that makes a change, in order of path; nothing for no change.
pub fn patch(before: &FileTree, change: &Change) -> Vec<u8> {
    let written = change.written.iter().map(|(path, _)| path);
    let paths: BTreeSet<&TreePath> = written.chain(&change.deleted).collect();
    let mut files = BTreeMap::new();
    for path in paths {
        let name = path.as_str();
        files.insert(name, (before.get(name), change.written.get(name)));
    }
    let mut text = Vec::new();
    // What goes first makes room: a folder may stand where a file was, or the other way round.
    let gone = |file: &(Option<&FileEntry>, Option<&FileEntry>)| file.1.is_none();
    for wanted in [true, false] {
        for (path, file) in files.iter().filter(|(_, file)| gone(file) == wanted) {
            one(path, file.0, file.1, &mut text);
        }
    }
    text
}

fn one(path: &str, old: Option<&FileEntry>, new: Option<&FileEntry>, text: &mut Vec<u8>) {
    if old == new {
        return;
    }
    let mode = |file: &FileEntry| if file.executable { "100755" } else { "100644" };
    let (from, to) = (quoted("a/", path), quoted("b/", path));
    let modes = match (old, new) {
        (None, Some(new)) => format!("new file mode {}\n", mode(new)),
        (Some(old), None) => format!("deleted file mode {}\n", mode(old)),
        (Some(old), Some(new)) if old.executable != new.executable => {
            format!("old mode {}\nnew mode {}\n", mode(old), mode(new))
        }
        (Some(_), Some(_)) | (None, None) => String::new(),
    };
    let head = format!("diff --git {from} {to}\n{modes}");
    text.extend_from_slice(head.as_bytes());
    let bytes = |file: Option<&FileEntry>| file.map(|file| file.bytes.clone()).unwrap_or_default();
    let (before, after) = (bytes(old), bytes(new));
    if before == after && old.is_some() && new.is_some() {
        return;
    }
    let id = |file: Option<&FileEntry>| file.map_or_else(|| "0".repeat(40), blob_id);
    text.extend_from_slice(format!("index {}..{}", id(old), id(new)).as_bytes());
    if let (Some(old), Some(new)) = (old, new)
        && old.executable == new.executable
    {
        text.extend_from_slice(format!(" {}", mode(new)).as_bytes());
    }
    text.push(b'\n');
    if !is_text(&before) || !is_text(&after) {
        text.extend_from_slice(b"GIT binary patch\n");
        for content in [&after, &before] {
            literal(content, text);
        }
        return;
    }
    let hunks = hunks(&before, &after);
    if hunks.is_empty() {
        return;
    }
    // A name with a space ends with a tab, or older programs would cut it.
    let name = |name: &str, file: Option<&FileEntry>| match file {
        None => "/dev/null".to_owned(),
        Some(_) if name.contains(' ') => format!("{name}\t"),
        Some(_) => name.to_owned(),
    };
    let names = format!("--- {}\n+++ {}\n", name(&from, old), name(&to, new));
    text.extend_from_slice(names.as_bytes());
    text.extend_from_slice(&hunks);
}

/// Returns whether content is shown as lines. What is no UTF-8 is not, though git would: a patch
/// then is a text, which predictions for SWE-bench must be.
fn is_text(content: &[u8]) -> bool {
    !content.contains(&0) && std::str::from_utf8(content).is_ok()
}

/// Returns a name as git writes it, in quotes if it must be.
fn quoted(prefix: &str, path: &str) -> String {
    let odd = |c: char| c.is_ascii_control() || c == '"' || c == '\\';
    if !path.contains(odd) {
        return format!("{prefix}{path}");
    }
    let mut name = format!("\"{prefix}");
    for c in path.chars() {
        match c {
            '"' | '\\' => {
                name.push('\\');
                name.push(c);
            }
            c if c.is_ascii_control() => name.extend(["\\", &format!("{:03o}", u32::from(c))]),
            c => name.push(c),
        }
    }
    name.push('"');
    name
}

fn blob_id(file: &FileEntry) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", file.bytes.len()));
    hash.update(&file.bytes);
    let digits = hash.finalize();
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes content as git writes binary files: compressed, in lines of base 85.
fn literal(content: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(format!("literal {}\n", content.len()).as_bytes());
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(content)
        .expect("invariant: writing to memory cannot fail");
    let packed = encoder
        .finish()
        .expect("invariant: writing to memory cannot fail");
    for line in packed.chunks(BINARY_LINE) {
        let length = u8::try_from(line.len()).unwrap_or(0);
        text.push(match length {
            1..=26 => b'A' + length - 1,
            _ => b'a' + length - 27,
        });
        for four in line.chunks(4) {
            let mut word = [0; 4];
            word[..four.len()].copy_from_slice(four);
            let mut number = u32::from_be_bytes(word);
            let mut digits = [0; 5];
            for digit in digits.iter_mut().rev() {
                *digit = BASE85[(number % 85) as usize];
                number /= 85;
            }
            text.extend_from_slice(&digits);
        }
        text.push(b'\n');
    }
    text.push(b'\n');
}

/// What becomes of lines that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Keep,
    Delete,
    Insert,
}

/// Returns the hunks from one text to another.
fn hunks(before: &[u8], after: &[u8]) -> Vec<u8> {
    let (old, new) = (lines(before), lines(after));
    let edits = edits(&old, &new);
    let mut text = Vec::new();
    let mut changed = edits
        .iter()
        .enumerate()
        .filter(|(_, edit)| **edit != Edit::Keep)
        .map(|(at, _)| at)
        .peekable();
    // Where each edit stands in both texts.
    let mut place = Vec::with_capacity(edits.len() + 1);
    let (mut x, mut y) = (0, 0);
    for edit in &edits {
        place.push((x, y));
        x += usize::from(*edit != Edit::Insert);
        y += usize::from(*edit != Edit::Delete);
    }
    place.push((x, y));
    while let Some(first) = changed.next() {
        let mut last = first;
        while let Some(next) = changed.next_if(|next| *next <= last + 2 * CONTEXT + 1) {
            last = next;
        }
        let (start, end) = (
            first.saturating_sub(CONTEXT),
            (last + 1 + CONTEXT).min(edits.len()),
        );
        let ((x0, y0), (x1, y1)) = (place[start], place[end]);
        let range = |from: usize, to: usize| match to - from {
            0 => format!("{from},0"),
            count => format!("{},{count}", from + 1),
        };
        let head = format!("@@ -{} +{} @@\n", range(x0, x1), range(y0, y1));
        text.extend_from_slice(head.as_bytes());
        for at in start..end {
            let (x, y) = place[at];
            let (mark, line) = match edits[at] {
                Edit::Keep => (b' ', old[x]),
                Edit::Delete => (b'-', old[x]),
                Edit::Insert => (b'+', new[y]),
            };
            text.push(mark);
            text.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                text.extend_from_slice(b"\n\\ No newline at end of file\n");
            }
        }
    }
    text
}

/// Returns the lines of a text, each with its end.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Returns how to get from one list of lines to another: what is alike at both ends is kept,
/// between them the shortest way is taken (Myers 1986, the greedy algorithm), or all is
/// replaced where that would take long.
fn edits(old: &[&[u8]], new: &[&[u8]]) -> Vec<Edit> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old[head..].iter().rev().zip(new[head..].iter().rev());
    let tail = rest.take_while(|(a, b)| a == b).count();
    let middle = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut edits = vec![Edit::Keep; head];
    edits.extend(shortest(middle.0, middle.1).unwrap_or_else(|| {
        let deleted = std::iter::repeat_n(Edit::Delete, middle.0.len());
        deleted
            .chain(std::iter::repeat_n(Edit::Insert, middle.1.len()))
            .collect()
    }));
    edits.extend(std::iter::repeat_n(Edit::Keep, tail));
    edits
}

/// Returns the shortest way, unless it has more than [`MOST_EDITS`] steps.
fn shortest(old: &[&[u8]], new: &[&[u8]]) -> Option<Vec<Edit>> {
    let (old, new) = numbered(old, new);
    let (n, m) = (old.len(), new.len());
    let most = (n + m).min(MOST_EDITS);
    // `reach[k]`: how far down the old lines a way leads on the diagonal `k - most - 1`.
    let mut reach = vec![0; 2 * most + 3];
    let mut ways = Vec::new();
    for steps in 0..=most {
        ways.push(reach[most + 1 - steps..=most + 1 + steps].to_vec());
        for k in (most + 1 - steps..=most + 1 + steps).step_by(2) {
            let mut x = match down(&reach, k, most + 1, steps) {
                true => reach[k + 1],
                false => reach[k - 1] + 1,
            };
            let mut y = x + most + 1 - k;
            while x < n && y < m && old[x] == new[y] {
                x += 1;
                y += 1;
            }
            reach[k] = x;
            if x >= n && y >= m {
                return Some(way_back(&ways, n, m));
            }
        }
    }
    None
}

/// Returns whether the way to a diagonal comes from the one above: by an inserted line.
fn down(reach: &[usize], k: usize, middle: usize, steps: usize) -> bool {
    k == middle - steps || (k != middle + steps && reach[k - 1] < reach[k + 1])
}

/// Returns the steps that led to the end; `ways` holds what was reached before each of them.
fn way_back(ways: &[Vec<usize>], n: usize, m: usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    let (mut x, mut y) = (n, m);
    for (steps, reach) in ways.iter().enumerate().skip(1).rev() {
        // Here the diagonal `x - y` has the index `steps + x - y`.
        let k = steps + x - y;
        let inserted = down(reach, k, steps, steps);
        let before = if inserted { k + 1 } else { k - 1 };
        let x0 = reach[before];
        let y0 = x0 + steps - before;
        while x > x0 && y > y0 {
            edits.push(Edit::Keep);
            x -= 1;
            y -= 1;
        }
        edits.push(if inserted { Edit::Insert } else { Edit::Delete });
        (x, y) = (x0, y0);
    }
    edits.extend(std::iter::repeat_n(Edit::Keep, x));
    edits.reverse();
    edits
}

/// Returns a number for each line, the same for the same lines.
fn numbered<'a>(old: &[&'a [u8]], new: &[&'a [u8]]) -> (Vec<usize>, Vec<usize>) {
    let mut numbers: HashMap<&'a [u8], usize> = HashMap::new();
    let mut of = |lines: &[&'a [u8]]| -> Vec<usize> {
        lines
            .iter()
            .map(|line| {
                let next = numbers.len();
                *numbers.entry(line).or_insert(next)
            })
            .collect()
    };
    (of(old), of(new))
}

#[cfg(test)]
mod tests {
    use super::{Edit, MOST_EDITS, edits, lines, patch, quoted};
    use crate::domain::{FileTree, TreePath};
    use proptest::prelude::{Strategy, prop};
    use proptest::{prop_assert_eq, proptest};

    fn tree(files: &[(&str, &str, bool)]) -> FileTree {
        let mut tree = FileTree::new();
        for (name, text, executable) in files {
            let path = TreePath::new(name).expect("a good path");
            tree.insert(path, text.as_bytes(), *executable);
        }
        tree
    }

    fn text(before: &[(&str, &str, bool)], after: &[(&str, &str, bool)]) -> String {
        let (before, after) = (tree(before), tree(after));
        let patch = patch(&before, &before.change_to(&after));
        String::from_utf8(patch).expect("it is text")
    }

    #[test]
    fn writes_what_git_writes() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n";
        let new = old.replace("\n3\n", "\nx\r\n").replace("18\n", "18");
        assert_eq!(
            text(&[("a b.txt", old, false)], &[("a b.txt", &new, false)]),
            "diff --git a/a b.txt b/a b.txt\n\
             index 824bf60739d50a992f974f69eced1771b71763b4..\
             0e04786b5f59ee3d9b4e52253ce9987bdea7c000 100644\n\
             --- a/a b.txt\t\n+++ b/a b.txt\t\n\
             @@ -1,6 +1,6 @@\n 1\n 2\n-3\n+x\r\n 4\n 5\n 6\n\
             @@ -15,4 +15,4 @@\n 15\n 16\n 17\n-18\n+18\n\\ No newline at end of file\n"
        );
    }

    #[test]
    fn modes_and_empty_files_need_no_content() {
        let changed = text(&[("a", "x", false)], &[("a", "x", true)]);
        assert_eq!(
            changed,
            "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n"
        );
        let added = text(&[], &[("e", "", true)]);
        assert!(
            added.starts_with("diff --git a/e b/e\nnew file mode 100755\nindex 0000"),
            "{added}"
        );
        assert!(added.ends_with("..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\n"));
        assert_eq!(text(&[("a", "x", false)], &[("a", "x", false)]), "");
    }

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(quoted("a/", "é b"), "a/é b");
        assert_eq!(quoted("a/", "x\"y\\z\n\x7f"), "\"a/x\\\"y\\\\z\\012\\177\"");
    }

    #[test]
    fn what_differs_much_is_replaced() {
        let old: Vec<String> = (0..MOST_EDITS).map(|n| format!("a{n}\n")).collect();
        let new: Vec<String> = (0..MOST_EDITS).map(|n| format!("b{n}\n")).collect();
        let (old, new) = (old.concat(), new.concat());
        let edits = edits(&lines(old.as_bytes()), &lines(new.as_bytes()));
        assert_eq!(edits.len(), 2 * MOST_EDITS);
        assert!(edits[..MOST_EDITS].iter().all(|edit| *edit == Edit::Delete));
    }

    fn some_lines() -> impl Strategy<Value = String> {
        let line = proptest::sample::select(&["a\n", "b\n", "c\r\n", "\n", "d"][..]);
        prop::collection::vec(line, 0..20).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn edits_lead_from_one_text_to_the_other(old in some_lines(), new in some_lines()) {
            let (before, after) = (lines(old.as_bytes()), lines(new.as_bytes()));
            let mut left = before.iter();
            let mut made = Vec::new();
            let mut wanted = after.iter();
            for edit in edits(&before, &after) {
                match edit {
                    Edit::Keep => {
                        made.push(*left.next().expect("there is a line to keep"));
                        wanted.next();
                    }
                    Edit::Delete => {
                        left.next().expect("there is a line to delete");
                    }
                    Edit::Insert => made.push(*wanted.next().expect("there is a line to insert")),
                }
            }
            prop_assert_eq!(left.next(), None);
            prop_assert_eq!(made.concat(), new.as_bytes());
        }
    }
}
