//! Paths, lines of code and test items, found in the tokens of a file.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// Leaves out `#[cfg(test)]` items: tests may use what they like.
pub(crate) fn without_tests(tokens: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut index = 0;
    while index < trees.len() {
        if is_test_attribute(&trees, index) {
            index += 2;
            // The item ends with its braces or with a semicolon.
            while index < trees.len() {
                index += 1;
                match &trees[index - 1] {
                    TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                    TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                    _ => {}
                }
            }
            continue;
        }
        kept.push(trees[index].clone());
        index += 1;
    }
    kept.into_iter().collect()
}

fn is_test_attribute(trees: &[TokenTree], index: usize) -> bool {
    let (TokenTree::Punct(hash), Some(TokenTree::Group(group))) =
        (&trees[index], trees.get(index + 1))
    else {
        return false;
    };
    hash.as_char() == '#' && group.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// Lines that hold a token of code; comments and blank lines hold none.
pub(crate) fn code_lines(tokens: &TokenStream) -> usize {
    let mut lines = BTreeSet::new();
    collect_lines(tokens, &mut lines);
    lines.len()
}

fn collect_lines(tokens: &TokenStream, lines: &mut BTreeSet<usize>) {
    let mut trees = tokens.clone().into_iter().peekable();
    while let Some(tree) = trees.next() {
        match &tree {
            // A doc comment is an attribute to the compiler, and a comment to us.
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                trees.next_if(|tree| matches!(tree, TokenTree::Punct(p) if p.as_char() == '!'));
                let is_doc = |tree: &TokenTree| {
                    matches!(tree, TokenTree::Group(group)
                        if group.stream().to_string().starts_with("doc ="))
                };
                if trees.next_if(is_doc).is_none() {
                    lines.insert(hash.span().start().line);
                }
            }
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                lines.insert(group.span_close().start().line);
                collect_lines(&group.stream(), lines);
            }
            other => {
                lines.extend(other.span().start().line..=other.span().end().line);
            }
        }
    }
}

/// Names of `mod name;`, whatever stands before it.
pub(crate) fn declared_modules(tokens: TokenStream) -> Vec<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let declared = trees.windows(3).filter_map(|window| match window {
        [
            TokenTree::Ident(word),
            TokenTree::Ident(name),
            TokenTree::Punct(end),
        ] if word == "mod" && end.as_char() == ';' => Some(name.to_string()),
        _ => None,
    });
    declared.collect()
}

/// Names of types, traits and aliases that stand outside of braces.
pub(crate) fn defined_types(tokens: TokenStream) -> Vec<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let defined = trees.windows(2).filter_map(|window| match window {
        [TokenTree::Ident(word), TokenTree::Ident(name)]
            if ["struct", "enum", "trait", "type"]
                .iter()
                .any(|kind| word == kind) =>
        {
            Some(name.to_string())
        }
        _ => None,
    });
    defined.collect()
}

/// Paths in order, as lists of their first segments: `a::b`, and `a::{b, c}` as two.
pub(crate) fn paths(tokens: &TokenStream) -> Vec<Vec<String>> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut found = Vec::new();
    let mut index = 0;
    while index < trees.len() {
        match &trees[index] {
            TokenTree::Group(group) => {
                found.extend(paths(&group.stream()));
                index += 1;
            }
            TokenTree::Ident(_) => index = path(&trees, index, &mut found),
            _ => index += 1,
        }
    }
    found
}

/// Reads one path from an identifier on; returns where it ends.
fn path(trees: &[TokenTree], start: usize, found: &mut Vec<Vec<String>>) -> usize {
    let mut segments = Vec::new();
    let mut index = start;
    loop {
        match trees.get(index) {
            Some(TokenTree::Ident(ident)) => segments.push(ident.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".to_owned()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                for mut tail in paths_of_list(group.stream()) {
                    tail.splice(0..0, segments.iter().cloned());
                    found.push(tail);
                }
                return index + 1;
            }
            _ => break,
        }
        index += 1;
        if !(is_colon(trees.get(index)) && is_colon(trees.get(index + 1))) {
            break;
        }
        index += 2;
    }
    found.push(segments);
    index.max(start + 1)
}

fn paths_of_list(tokens: TokenStream) -> Vec<Vec<String>> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut index = 0;
    while index < trees.len() {
        match &trees[index] {
            TokenTree::Ident(_) => index = path(&trees, index, &mut found),
            TokenTree::Punct(star) if star.as_char() == '*' => {
                found.push(vec!["*".to_owned()]);
                index += 1;
            }
            _ => index += 1,
        }
    }
    found
}

fn is_colon(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// The checks are worth as much as what they are built on.
#[test]
fn tokens_are_read_right() {
    let read = |text: &str| -> Vec<String> {
        let tokens: TokenStream = text.parse().expect("it is Rust");
        let paths = paths(&without_tests(tokens)).into_iter();
        paths.map(|path| path.join("::")).collect()
    };
    let found = read("use crate::{a, b::{c, d}}; fn f() { format!(\"{}\", crate::g::h()) }");
    for path in ["crate::a", "crate::b::c", "crate::b::d", "crate::g::h"] {
        assert!(found.contains(&path.to_owned()), "{path} in {found:?}");
    }
    let found = read("#[cfg(test)] mod tests { use crate::x; } use crate::y::*;");
    assert!(!found.contains(&"crate::x".to_owned()), "{found:?}");
    assert!(found.contains(&"crate::y::*".to_owned()), "{found:?}");
    let text = "//! Doc.\n\n/// Doc\n/// more.\nfn f() {\n    // why\n    g();\n}\n\n#[cfg(test)]\nmod t {\n}\n";
    let tokens: TokenStream = text.parse().expect("it is Rust");
    assert_eq!(code_lines(&without_tests(tokens)), 3);
}
