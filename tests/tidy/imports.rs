//! `use` declarations, told apart from the rest of a file.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One name that a file imports.
#[derive(Debug, PartialEq)]
pub(crate) struct Import {
    /// What the file calls it.
    pub(crate) name: String,
    /// Where it is from.
    pub(crate) path: Vec<String>,
    /// Whether it is only exported again, as far as this line goes.
    pub(crate) exported: bool,
}

/// Takes the imports out, also those inside of functions.
pub(crate) fn split(tokens: TokenStream) -> (Vec<Import>, TokenStream) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut imports = Vec::new();
    let mut rest = Vec::new();
    let mut index = 0;
    while index < trees.len() {
        match &trees[index] {
            TokenTree::Ident(word) if word == "use" && !is_punct(trees.get(index + 1), '<') => {
                let end = (index..trees.len())
                    .find(|end| is_punct(trees.get(*end), ';'))
                    .unwrap_or(trees.len());
                let exported = is_exported(&trees[..index]);
                for (name, path) in names(&trees[index + 1..end], &[]) {
                    imports.push(Import {
                        name,
                        path,
                        exported,
                    });
                }
                index = end;
            }
            TokenTree::Group(group) => {
                let (inner, kept) = split(group.stream());
                imports.extend(inner);
                rest.push(TokenTree::Group(Group::new(group.delimiter(), kept)));
            }
            other => rest.push(other.clone()),
        }
        index += 1;
    }
    (imports, rest.into_iter().collect())
}

/// Whether what stands before a `use` is `pub` or `pub(…)`.
fn is_exported(before: &[TokenTree]) -> bool {
    let is_pub = |tree: &TokenTree| matches!(tree, TokenTree::Ident(word) if word == "pub");
    match before {
        [.., word, TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => {
            is_pub(word)
        }
        [.., word] => is_pub(word),
        [] => false,
    }
}

/// Names and paths of what stands between `use` and its semicolon.
fn names(trees: &[TokenTree], prefix: &[String]) -> Vec<(String, Vec<String>)> {
    let mut path = prefix.to_vec();
    let mut renamed = None;
    let mut index = 0;
    while let Some(tree) = trees.get(index) {
        match tree {
            TokenTree::Ident(word) if word == "as" => {
                renamed = trees.get(index + 1).map(ToString::to_string);
                index += 1;
            }
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                return inner
                    .split(|tree| is_punct(Some(tree), ','))
                    .filter(|part| !part.is_empty())
                    .flat_map(|part| names(part, &path))
                    .collect();
            }
            // `*` is another check's matter.
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        index += 1;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let Some(name) = renamed.or_else(|| path.last().cloned()) else {
        return Vec::new();
    };
    vec![(name, path)]
}

fn is_punct(tree: Option<&TokenTree>, char: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

#[test]
fn imports_are_told_apart() {
    let text = "use a::{b as c, d::{self, e}}; pub(crate) use f::g; fn h() { use i::j; k::l() }";
    let (imports, rest) = split(text.parse().expect("it is Rust"));
    let found: Vec<String> = imports
        .iter()
        .map(|import| {
            let exported = if import.exported { "pub " } else { "" };
            format!("{exported}{} = {}", import.name, import.path.join("::"))
        })
        .collect();
    assert_eq!(
        found,
        [
            "c = a::b",
            "d = a::d",
            "e = a::d::e",
            "pub g = f::g",
            "j = i::j"
        ]
    );
    assert!(!rest.to_string().contains("use"), "{rest}");
    assert!(rest.to_string().contains("k"), "{rest}");
}
