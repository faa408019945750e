//! Circles of imports between files.
//!
//! A name counts for the file that defines it, whichever `mod.rs` exports it again; what a
//! `mod.rs` defines itself counts for the `mod.rs`. To export a name again is no import. Two
//! numbers are kept: of all circles, and of those that are left when a module may call its
//! children by path (`child::run()`), as one does that shares a type with those it calls.

use crate::modules::{ModulePath, below, program};
use crate::report_beyond;
use crate::source::{Source, sources};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Circles that are let pass: none.
const CIRCLES_ALLOWED: usize = 0;

/// Circles that are known when calls of children by path count as well. It may only shrink.
const CIRCLES_WITH_CALLS_ALLOWED: usize = 4;

/// How far a name is followed through modules that export it again.
const FAR: usize = 16;

/// Who imports whom: importing file, imported file, names.
type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The modules of the program, to look names up in.
struct Modules<'a> {
    files: BTreeMap<ModulePath, &'a Source>,
}

impl<'a> Modules<'a> {
    fn new(sources: &'a [Source]) -> Self {
        let files = program(sources);
        Self { files }
    }

    /// The module that defines what a path leads to, and whether the path is that of the module.
    fn resolve(
        &self,
        from: &ModulePath,
        path: &[String],
        far: usize,
    ) -> Option<(ModulePath, bool)> {
        let far = far.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(ModulePath::new(), rest, far),
            "self" => self.walk(from.clone(), rest, far),
            "super" => {
                let (_, parent) = from.split_last()?;
                let parent = parent.to_vec();
                if rest.first().is_some_and(|next| next == "super") {
                    return self.resolve(&parent, rest, far);
                }
                self.walk(parent, rest, far)
            }
            name => {
                let source = self.files.get(from)?;
                let known = self.files.contains_key(&below(from, name))
                    || source.imports.iter().any(|import| import.name == name);
                known.then(|| self.walk(from.clone(), path, far))?
            }
        }
    }

    fn walk(&self, at: ModulePath, path: &[String], far: usize) -> Option<(ModulePath, bool)> {
        let Some((name, rest)) = path.split_first() else {
            return Some((at, true));
        };
        let child = below(&at, name);
        if self.files.contains_key(&child) {
            return self.walk(child, rest, far);
        }
        let source = self.files.get(&at)?;
        // An import of a name's own path, `use tokio;`, leads nowhere.
        let import = source.imports.iter().find(|import| import.name == *name);
        let Some(import) = import.filter(|import| import.path != [name.as_str()]) else {
            return Some((at, false));
        };
        match self.resolve(&at, &import.path, far)? {
            (module, true) => self.walk(module, rest, far),
            defined => Some(defined),
        }
    }

    /// The arrows between files, with or without a module's calls of its children by path.
    fn arrows(&self, with_calls: bool) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, source) in &self.files {
            let imports = source.imports.iter().filter(|import| !import.exported);
            let calls_child =
                |path: &&Vec<String>| path.len() > 1 && source.children.contains(&path[0]);
            let mentions = source.mentions.iter();
            let mentions = mentions.filter(|path| with_calls || !calls_child(path));
            for path in imports.map(|import| &import.path).chain(mentions) {
                let Some((module, false)) = self.resolve(at, path, FAR) else {
                    continue;
                };
                if module == *at {
                    continue;
                }
                let target = &self.files[&module].name;
                let names = arrows.entry(source.name.clone()).or_default();
                let name = path
                    .iter()
                    .find(|part| part.starts_with(char::is_uppercase));
                let name = name.or(path.last()).cloned().unwrap_or_default();
                names.entry(target.clone()).or_default().insert(name);
            }
        }
        arrows
    }
}

/// The shortest way along arrows, with both its ends.
fn way(arrows: &Arrows, from: &str, to: &str) -> Option<Vec<String>> {
    let mut came: BTreeMap<String, String> = BTreeMap::new();
    let mut open = VecDeque::from([from.to_owned()]);
    while let Some(at) = open.pop_front() {
        for next in arrows.get(&at).into_iter().flat_map(BTreeMap::keys) {
            if came.contains_key(next) {
                continue;
            }
            came.insert(next.clone(), at.clone());
            if next == to {
                let mut way = vec![next.clone()];
                let mut back = at;
                while back != from {
                    way.push(back.clone());
                    back = came[&back].clone();
                }
                way.push(back);
                way.reverse();
                return Some(way);
            }
            open.push_back(next.clone());
        }
    }
    None
}

/// Files that a file's arrows lead to, however far.
fn reached<'a>(arrows: &'a Arrows, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        let next = arrows.get(at).into_iter().flat_map(BTreeMap::keys);
        open.extend(
            next.map(String::as_str)
                .filter(|next| reached.insert(*next)),
        );
    }
    reached
}

/// Every knot of circles, told by its files and by a shortest circle in it.
fn circles(arrows: &Arrows) -> Vec<String> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = arrows
        .keys()
        .map(|file| (file.as_str(), reached(arrows, file)))
        .collect();
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for (file, ahead) in &reach {
        if told.contains(file) || !ahead.contains(file) {
            continue;
        }
        let back = |other: &&&str| reach.get(**other).is_some_and(|ahead| ahead.contains(file));
        let knot: Vec<&str> = ahead.iter().filter(back).copied().collect();
        told.extend(knot.iter().copied());
        let shortest = knot
            .iter()
            .filter_map(|file| way(arrows, file, file))
            .min_by_key(Vec::len)
            .unwrap_or_default();
        found.push(describe(arrows, &knot, &shortest));
    }
    found
}

fn describe(arrows: &Arrows, knot: &[&str], circle: &[String]) -> String {
    let mut lines = vec![format!("{} files import each other:", knot.len())];
    lines.extend(knot.iter().map(|file| format!("    {file}")));
    lines.push("  for one:".to_owned());
    lines.extend(circle.windows(2).map(|step| {
        let (from, to) = (&step[0], &step[1]);
        let names: Vec<&str> = arrows[from][to].iter().map(String::as_str).collect();
        format!("    {from} → {to} ({})", names.join(", "))
    }));
    lines.join("\n")
}

#[test]
fn files_import_in_no_circle() {
    let arrows = Modules::new(sources("src")).arrows(false);
    report_beyond(CIRCLES_ALLOWED, &circles(&arrows));
}

#[test]
fn few_modules_call_children_that_import_them() {
    let arrows = Modules::new(sources("src")).arrows(true);
    report_beyond(CIRCLES_WITH_CALLS_ALLOWED, &circles(&arrows));
}

#[test]
fn a_circle_is_seen_through_exports() {
    let found = |files: &[(&str, &str)]| -> Vec<String> {
        let read =
            |(name, text): &(&str, &str)| Source::read((*name).to_owned(), (*text).to_owned());
        let sources: Vec<Source> = files.iter().map(read).collect();
        circles(&Modules::new(&sources).arrows(true))
    };
    let line = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
        (
            "a/b.rs",
            "pub struct B; #[cfg(test)] mod t { use super::super::C; }",
        ),
        ("a/c.rs", "use super::B; pub struct C(B);"),
    ];
    assert_eq!(found(&line), Vec::<String>::new());
    // A path in a macro's body, by the name of a sibling module.
    let mut through = line;
    through[2].1 = "use super::c; pub struct B; fn f() { vec![c::C::new()] }";
    let [circle] = &found(&through)[..] else {
        panic!("{:?}", found(&through));
    };
    assert!(circle.contains("a/b.rs → a/c.rs (C)"), "{circle}");
    assert!(circle.contains("a/c.rs → a/b.rs (B)"), "{circle}");
    // What `mod.rs` defines and a child of it uses, while it uses the child.
    let mut own = line;
    own[1].1 = "mod b; mod c; pub use b::B; fn g(_: B) {} pub struct D; pub use c::C;";
    own[2].1 = "pub struct B(super::D);";
    let [circle] = &found(&own)[..] else {
        panic!("{:?}", found(&own));
    };
    assert!(
        circle.contains("2 files") && circle.contains("(D)"),
        "{circle}"
    );
}
