//! What differs between the models behind one API, told from their names.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// `temperature`, `top_p` and `top_k`; later models refuse every request that has one.
    pub(super) takes_sampling: bool,
    /// Thinking that the model doses itself, led by an effort; earlier ones take a budget.
    pub(super) is_adaptive: bool,
}

impl Family {
    /// Tells a model's family from its name, such as `claude-haiku-4-5-20251001`. A model of
    /// another vendor behind the same API is taken for one of the early ones, which is what
    /// such servers imitate; a name of Anthropic's without a version for one of the latest.
    pub(super) fn of(model: &str) -> Self {
        let version = match version(model) {
            Some(version) => version,
            None if model.contains("claude") => (u32::MAX, 0),
            None => (0, 0),
        };
        Self {
            takes_sampling: version <= (4, 6),
            is_adaptive: version >= (4, 6),
        }
    }
}

/// Returns the version in a name: its first number of one or two digits, and the one behind.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_vendor, name) = model.split_once("claude")?;
    let mut words = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .skip_while(|word| number(word).is_none());
    let major = number(words.next()?)?;
    let minor = words.next().and_then(number).unwrap_or(0);
    Some((major, minor))
}

/// Dates have more digits than versions.
fn number(word: &str) -> Option<u32> {
    if word.len() > 2 {
        return None;
    }
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Family;

    #[test]
    fn names_tell_what_a_model_takes() {
        for (model, takes_sampling, is_adaptive) in [
            ("claude-3-7-sonnet-20250219", true, false),
            ("claude-opus-4-20250514", true, false),
            ("claude-haiku-4-5-20251001", true, false),
            ("claude-opus-4-6", true, true),
            ("anthropic/claude-sonnet-4.6", true, true),
            ("claude-opus-4-7", false, true),
            ("claude-sonnet-5", false, true),
            ("claude-opus-5-5", false, true),
            ("claude-mythos-preview", false, true),
            ("deepseek-v4", true, false),
            ("", true, false),
        ] {
            let family = Family {
                takes_sampling,
                is_adaptive,
            };
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
