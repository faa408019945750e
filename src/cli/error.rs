//! Errors in the user's words: `Error:`, `Caused by:`, `Hint:`, and the exit code.

use super::exit::Code;
use super::ui::Ui;
use crate::archive::ArchiveError;
use crate::config::ConfigError;
use crate::sandbox::SandboxError;
use crate::view::{Ink, Style, clean_block};
use std::fmt;

/// An error with advice. Displays as the error itself; [`render`] shows the advice.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
    /// Whether something that the command line names is to blame.
    is_usage: bool,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Adds advice to errors.
pub(crate) trait Hint<T> {
    /// Returns the error with advice: a sentence that says what to do.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;

    /// Returns the error with advice, as one of something that the command line names.
    fn wrong(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| hinted(error.into(), hint.into(), false))
    }

    fn wrong(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| hinted(error.into(), hint.into(), true))
    }
}

fn hinted(error: anyhow::Error, hint: String, is_usage: bool) -> anyhow::Error {
    anyhow::Error::new(Hinted {
        error,
        hint,
        is_usage,
    })
}

/// The command line, or something it names, is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Returns an error for a command line that is wrong, with what would be right.
pub(crate) fn usage<T>(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Result<T> {
    Err(Usage(what.into())).hint(hint)
}

/// Returns the exit code of an error.
pub(super) fn code(error: &anyhow::Error) -> Code {
    let mut code = Code::Failed;
    visit(error, &mut |cause| {
        let named = cause.downcast_ref::<Hinted>();
        if cause.is::<Usage>() || named.is_some_and(|hinted| hinted.is_usage) {
            code = Code::Usage;
        }
        if let Some(
            ArchiveError::Missing { .. }
            | ArchiveError::Unknown { .. }
            | ArchiveError::NotEmpty { .. }
            | ArchiveError::Occupied { .. },
        ) = cause.downcast_ref()
        {
            code = Code::Usage;
        }
        match cause.downcast_ref::<SandboxError>() {
            Some(SandboxError::Unavailable { .. } | SandboxError::NoImage { .. }) => {
                code = Code::Unusable;
            }
            Some(SandboxError::Cancelled) => code = Code::Interrupted,
            Some(SandboxError::Failed { .. }) | None => {}
        }
    });
    code
}

/// Returns whether the reader of our output went away, which is no failure.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Shows an error.
pub(super) fn show(ui: &Ui, error: &anyhow::Error) {
    ui.talk(&render(error, ui.talk_style()));
}

fn render(error: &anyhow::Error, style: Style) -> String {
    let mut messages: Vec<String> = Vec::new();
    for cause in error.chain() {
        let message = clean_block(&cause.to_string());
        // Libraries often repeat their cause in their own message.
        if messages.last().is_none_or(|last| !last.ends_with(&message)) {
            messages.push(message);
        }
    }
    let mut lines = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let label = match index {
            0 => style.paint(Ink::Bad, "Error:"),
            _ => style.paint(Ink::Bold, "Caused by:"),
        };
        lines.push(format!("{label} {}", message.trim_end()));
    }
    for hint in hints(error) {
        lines.push(format!("{} {hint}", style.paint(Ink::Path, "Hint:")));
    }
    lines.join("\n")
}

fn hints(error: &anyhow::Error) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    visit(error, &mut |cause| {
        let hint = if let Some(hinted) = cause.downcast_ref::<Hinted>() {
            Some(hinted.hint.clone())
        } else if let Some(error) = cause.downcast_ref::<ArchiveError>() {
            error.hint()
        } else if let Some(SandboxError::Unavailable { hint, .. }) = cause.downcast_ref() {
            Some(hint.clone())
        } else if let Some(SandboxError::NoImage { .. }) = cause.downcast_ref() {
            Some("build what the tasks need with `dgm bench build`".to_owned())
        } else {
            None
        };
        hints.extend(hint.filter(|hint| !hints.contains(hint)));
    });
    hints
}

/// Visits an error and its causes, also those that advice was attached to.
fn visit(error: &anyhow::Error, see: &mut dyn FnMut(&(dyn std::error::Error + 'static))) {
    for cause in error.chain() {
        see(cause);
        if let Some(hinted) = cause.downcast_ref::<Hinted>() {
            visit(&hinted.error, see);
            return;
        }
    }
}

/// Puts the file's name and advice on a configuration's error.
pub(super) fn config_error<T>(result: Result<T, ConfigError>, file: &str) -> anyhow::Result<T> {
    let what = || format!("`{file}` is no usable configuration");
    match result {
        Ok(value) => Ok(value),
        Err(ConfigError::Syntax { message, hint }) => {
            let hint = hint.unwrap_or_else(|| "docs/configuration.md lists every key".to_owned());
            usage(format!("{}: {message}", what()), hint)
        }
        Err(error @ ConfigError::Value { .. }) => usage(
            format!("{}: {error}", what()),
            "docs/configuration.md lists every key",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Hint as _, code, is_broken_pipe, render, usage};
    use crate::sandbox::SandboxError;
    use crate::view::Style;
    use anyhow::Context as _;

    #[test]
    fn shows_causes_once_and_every_hint() {
        let error = Err::<(), _>(SandboxError::Unavailable {
            what: "bubblewrap is not installed".to_owned(),
            hint: "run `apt install bubblewrap`".to_owned(),
        })
        .hint("or choose `--sandbox docker`")
        .context("could not start the sandbox")
        .expect_err("it is one");
        assert_eq!(
            render(&error, Style::plain(80)),
            "Error: could not start the sandbox\n\
             Caused by: bubblewrap is not installed\n\
             Hint: or choose `--sandbox docker`\n\
             Hint: run `apt install bubblewrap`"
        );
        assert_eq!(code(&error), Code::Unusable);
    }

    #[test]
    fn knows_wrong_usage_below_context() {
        let error = usage::<()>("no variant `x`", "see `dgm tree`")
            .context("could not show it")
            .expect_err("it is one");
        assert_eq!(code(&error), Code::Usage);
        assert_eq!(code(&anyhow::anyhow!("other")), Code::Failed);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let error = anyhow::Error::new(broken).context("could not write");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("other")));
    }
}
