//! What a patch says about files, without its content.

/// A file that a patch touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its path before; that after, if it is new.
    pub(super) before: String,
    /// Its path after; that before, if it is deleted.
    pub(super) after: String,
    /// Whether the patch makes it.
    pub(super) added: bool,
}

/// Returns the files of a patch in its order.
pub(super) fn files(patch: &str) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for line in patch.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(header) = line.strip_prefix("diff --git a/") {
            if let Some((before, after)) = sides(header) {
                files.push(File {
                    before: before.to_owned(),
                    after: after.to_owned(),
                    added: false,
                });
            }
        } else if line.starts_with("new file mode ")
            && let Some(file) = files.last_mut()
        {
            file.added = true;
        }
    }
    if files.is_empty() {
        files = without_headers(patch);
    }
    files
}

/// A path with ` b/` in it is ambiguous unless both sides are the same.
fn sides(header: &str) -> Option<(&str, &str)> {
    let same = header.len().checked_sub(3).map(|rest| rest / 2)?;
    if header.is_char_boundary(same)
        && header[same..].starts_with(" b/")
        && header[..same] == header[same + 3..]
    {
        return Some((&header[..same], &header[..same]));
    }
    header.rsplit_once(" b/")
}

/// Patches that another program than git made.
fn without_headers(patch: &str) -> Vec<File> {
    let name = |line: &str, mark: &str| {
        let name = line.strip_prefix(mark)?.split('\t').next()?;
        Some(name.trim_end_matches('\r').to_owned())
    };
    let mut files = Vec::new();
    let lines: Vec<&str> = patch.split('\n').collect();
    for pair in lines.windows(2) {
        let (Some(before), Some(after)) = (name(pair[0], "--- "), name(pair[1], "+++ ")) else {
            continue;
        };
        let before = before.strip_prefix("a/").map(str::to_owned);
        let after = after.strip_prefix("b/").map(str::to_owned);
        let (added, path) = (before.is_none(), before.clone().or(after.clone()));
        if let Some(path) = path {
            files.push(File {
                before: path.clone(),
                after: after.unwrap_or(path),
                added,
            });
        }
    }
    files
}

/// Returns the paths after the patch as the official package finds them: wherever a header
/// stands, also in the text of a file.
pub(super) fn targets(patch: &str) -> impl Iterator<Item = &str> {
    patch.split('\n').filter_map(|line| {
        let at = line.find("diff --git a/")?;
        let (_, target) = line[at + "diff --git a/".len()..].rsplit_once(" b/")?;
        Some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::{File, files, targets};

    fn file(before: &str, after: &str, added: bool) -> File {
        File {
            before: before.to_owned(),
            after: after.to_owned(),
            added,
        }
    }

    #[test]
    fn finds_the_files() {
        let patch = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n\
                     diff --git a/n b/n b/n b/n\r\nnew file mode 100644\r\n--- /dev/null\r\n\
                     diff --git a/old b/new\nsimilarity index 100%\nrename from old\n";
        assert_eq!(
            files(patch),
            [
                file("a.py", "a.py", false),
                file("n b/n", "n b/n", true),
                file("old", "new", false)
            ]
        );
        assert_eq!(
            files("--- a/x\t2020\n+++ b/x\t2020\n@@\n--- /dev/null\n+++ b/y\n"),
            [file("x", "x", false), file("y", "y", true)]
        );
        assert_eq!(files("nothing"), []);
        assert_eq!(files("diff --git a/é"), []);
    }

    #[test]
    fn finds_targets_as_the_official_package_does() {
        let patch = "diff --git a/a b/b\n+see diff --git a/c b/d\ndiff --git a/x";
        let found: Vec<&str> = targets(patch).collect();
        assert_eq!(found, ["b", "d"]);
    }
}
