//! Path patterns as in Harbor and git: `*` and `?` stay inside a component, `**` crosses.
//!
//! Written here because the need is small and the result decides which of an agent's files
//! count: an exact rule in one page is easier to trust than a dependency's options.

/// Returns what is wrong with a pattern, if anything.
pub(super) fn fault(pattern: &str) -> Option<&'static str> {
    if pattern.is_empty() {
        return Some("is empty");
    }
    if pattern.starts_with('/') {
        return Some("is absolute; write it relative to the workspace");
    }
    if pattern.split('/').any(|part| part == "..") {
        return Some("has a `..` component");
    }
    if pattern
        .split('/')
        .any(|part| part.is_empty() || part == ".")
    {
        return Some("has an empty or `.` component");
    }
    if pattern
        .split('/')
        .any(|part| part.contains("**") && part != "**")
    {
        return Some("has `**` beside other characters; it must be a component of its own");
    }
    None
}

/// Returns whether a path matches a pattern as a whole.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    components(&pattern, &path)
}

/// Returns whether a text holds a character that makes it a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Matches component lists with the table of all suffix pairs: no backtracking, so a hostile
/// path costs no more than pattern times path.
fn components(pattern: &[&str], path: &[&str]) -> bool {
    table(
        pattern,
        path,
        |part| *part == "**",
        |part, name| {
            let part: Vec<char> = part.chars().collect();
            let name: Vec<char> = name.chars().collect();
            name_matches(&tokens(&part), &name)
        },
    )
}

fn name_matches(tokens: &[Token], name: &[char]) -> bool {
    table(
        tokens,
        name,
        |token| *token == Token::Star,
        |token, letter| token.takes(*letter),
    )
}

/// Matches items against tokens of which some (`many`) take any number of items.
fn table<T, U>(
    tokens: &[T],
    items: &[U],
    many: impl Fn(&T) -> bool,
    one: impl Fn(&T, &U) -> bool,
) -> bool {
    // `after[i]`: the tokens from the present one on match the items from i on.
    let mut after = vec![false; items.len() + 1];
    after[items.len()] = true;
    for token in tokens.iter().rev() {
        let mut here = vec![false; items.len() + 1];
        for at in (0..=items.len()).rev() {
            here[at] = if many(token) {
                after[at] || (at < items.len() && here[at + 1])
            } else {
                at < items.len() && after[at + 1] && one(token, &items[at])
            };
        }
        after = here;
    }
    after[0]
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Star,
    Any,
    Letter(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Star | Self::Any => true,
            Self::Letter(wanted) => *wanted == letter,
            Self::Class { negated, ranges } => {
                let inside = ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&letter));
                inside != *negated
            }
        }
    }
}

fn tokens(part: &[char]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < part.len() {
        match part[at] {
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::Any),
            '\\' if at + 1 < part.len() => {
                at += 1;
                tokens.push(Token::Letter(part[at]));
            }
            '[' => match class(&part[at + 1..]) {
                Some((token, used)) => {
                    tokens.push(token);
                    at += used;
                }
                None => tokens.push(Token::Letter('[')),
            },
            letter => tokens.push(Token::Letter(letter)),
        }
        at += 1;
    }
    tokens
}

/// Reads a class after its `[`; returns it with the number of characters read.
fn class(part: &[char]) -> Option<(Token, usize)> {
    let negated = matches!(part.first(), Some('!' | '^'));
    let start = usize::from(negated);
    // A `]` that comes first stands for itself.
    let end = part
        .iter()
        .enumerate()
        .skip(start + 1)
        .find(|(_, letter)| **letter == ']')
        .map(|(at, _)| at)?;
    let inner = &part[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        if at + 2 < inner.len() && inner[at + 1] == '-' {
            ranges.push((inner[at], inner[at + 2]));
            at += 3;
        } else {
            ranges.push((inner[at], inner[at]));
            at += 1;
        }
    }
    Some((Token::Class { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::{fault, matches};

    #[test]
    fn matches_whole_paths() {
        let yes = [
            ("a.py", "a.py"),
            ("*.py", "a.py"),
            ("**/*.py", "a.py"),
            ("**/*.py", "x/y/a.py"),
            ("src/**", "src/a/b.rs"),
            ("src/**", "src"),
            ("a/**/b", "a/b"),
            ("a/**/b", "a/x/y/b"),
            ("?.[ch]", "x.h"),
            ("[!a-c]x", "dx"),
            ("[]a]", "]"),
            ("\\*", "*"),
            ("**", "anything/at/all"),
            ("a[", "a["),
        ];
        for (pattern, path) in yes {
            assert!(matches(pattern, path), "`{pattern}` takes `{path}`");
        }
        let no = [
            ("a.py", "x/a.py"),
            ("*.py", "x/a.py"),
            ("src/*", "src/a/b.rs"),
            ("[!a-c]x", "bx"),
            ("\\*", "x"),
            ("a?", "a"),
            ("**/tests/**", "test/a"),
            ("A.py", "a.py"),
        ];
        for (pattern, path) in no {
            assert!(!matches(pattern, path), "`{pattern}` leaves `{path}`");
        }
    }

    #[test]
    fn a_hostile_path_costs_no_time() {
        let pattern = "*a".repeat(60) + "b";
        assert!(!matches(&pattern, &"a".repeat(4000)));
        let deep = "**/".repeat(60) + "b";
        assert!(!matches(&deep, &"a/".repeat(1500)));
    }

    #[test]
    fn names_what_is_wrong_with_a_pattern() {
        for pattern in ["", "/a", "../a", "a//b", "./a", "a/", "**.py"] {
            assert!(fault(pattern).is_some(), "`{pattern}` is refused");
        }
        for pattern in ["a", "**", "**/a", "src/*.py"] {
            assert_eq!(fault(pattern), None, "`{pattern}` is fine");
        }
    }
}
