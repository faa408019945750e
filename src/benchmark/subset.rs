//! Lists of tasks that published results are about, under the names used there.

use crate::domain::TaskId;

/// Name and text of each list: a name of a task per line, `#` begins a comment.
const LISTS: [(&str, &str); 5] = [
    (
        "polyglot-small",
        include_str!("../../benchmarks/subsets/polyglot-small.txt"),
    ),
    (
        "polyglot-medium",
        include_str!("../../benchmarks/subsets/polyglot-medium.txt"),
    ),
    (
        "swebench-small",
        include_str!("../../benchmarks/subsets/swebench-small.txt"),
    ),
    (
        "swebench-medium",
        include_str!("../../benchmarks/subsets/swebench-medium.txt"),
    ),
    (
        "swebench-big",
        include_str!("../../benchmarks/subsets/swebench-big.txt"),
    ),
];

/// Returns the names of the lists.
pub fn names() -> impl Iterator<Item = &'static str> {
    LISTS.iter().map(|(name, _)| *name)
}

/// Returns the tasks of a list, in its order, or nothing where there is none of that name.
pub fn tasks(name: &str) -> Option<Vec<TaskId>> {
    let (_, text) = LISTS.iter().find(|(known, _)| *known == name)?;
    Some(
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(TaskId::new)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::{names, tasks};
    use std::collections::BTreeSet;

    #[test]
    fn lists_have_the_lengths_of_the_published_ones() {
        let lengths: Vec<(&str, usize)> = names()
            .map(|name| {
                let tasks = tasks(name).expect("it is a list");
                let once: BTreeSet<_> = tasks.iter().collect();
                assert_eq!(once.len(), tasks.len(), "{name} names each task once");
                (name, tasks.len())
            })
            .collect();
        assert_eq!(
            lengths,
            [
                ("polyglot-small", 10),
                ("polyglot-medium", 50),
                ("swebench-small", 10),
                ("swebench-medium", 50),
                ("swebench-big", 140)
            ]
        );
        assert_eq!(tasks("polyglot-huge"), None);
    }
}
