//! The rules of each language.

use super::language::Language;
use super::rules::Rules;
use super::{cpp, go, java, javascript, python, rust};

pub(super) fn rules(language: Language) -> &'static Rules {
    match language {
        Language::Cpp => &cpp::RULES,
        Language::Go => &go::RULES,
        Language::Java => &java::RULES,
        Language::JavaScript => &javascript::RULES,
        Language::Python => &python::RULES,
        Language::Rust => &rust::RULES,
    }
}
