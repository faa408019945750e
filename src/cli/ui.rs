//! The only printer: data to standard output, talk to standard error.
//!
//! Invariant: what a script reads goes through [`Ui::data`] and nothing else does. Colors,
//! characters and width are decided here, once, from flags, environment and terminal.

use crate::view::{Ink, Style};
use anyhow::Context as _;
use clap::ValueEnum;
use std::io::{self, IsTerminal as _, Write as _};

/// Columns where there is no terminal.
const WIDTH: usize = 100;

/// When to use color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set; elsewhere with `CLICOLOR_FORCE=1`
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The printer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    data: Style,
    talk: Style,
    quiet: bool,
}

impl Ui {
    /// Looks at flags, environment and terminal.
    pub(super) fn new(color: Color, quiet: bool) -> Self {
        let unicode = is_utf8(&|name| std::env::var(name).ok());
        let style = |is_terminal: bool| Style {
            color: colored(color, is_terminal, &|name| std::env::var(name).ok()),
            unicode,
            width: width(is_terminal),
        };
        Self {
            data: style(io::stdout().is_terminal()),
            talk: style(io::stderr().is_terminal()),
            quiet,
        }
    }

    /// Returns how data is drawn.
    pub(crate) fn data_style(&self) -> Style {
        self.data
    }

    /// Returns how talk is drawn.
    pub(crate) fn talk_style(&self) -> Style {
        self.talk
    }

    /// Returns whether a person reads the data on a terminal.
    pub(crate) fn data_is_read(&self) -> bool {
        self.data.color || io::stdout().is_terminal()
    }

    /// Prints data.
    pub(crate) fn data(&self, data: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(data.as_ref())
            .and_then(|()| out.flush())
            .context("could not write to standard output")
    }

    /// Returns whether little is to be said.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Says what is going on; silent with `--quiet`.
    pub(crate) fn status(&self, message: &str) {
        if !self.quiet {
            self.talk(message);
        }
    }

    /// Says what may be wrong.
    pub(crate) fn warn(&self, message: &str) {
        self.talk(&format!(
            "{} {message}",
            self.talk.paint(Ink::Warn, "Warning:")
        ));
    }

    /// Says something whatever the flags. That nobody listens changes nothing.
    pub(crate) fn talk(&self, message: &str) {
        writeln!(io::stderr().lock(), "{message}").unwrap_or_default();
    }
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// As <https://no-color.org> and <https://bixense.com/clicolors> ask for.
fn colored(color: Color, is_terminal: bool, env: Env<'_>) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if set("CLICOLOR_FORCE") && env("CLICOLOR_FORCE").as_deref() != Some("0") => {
            true
        }
        Color::Auto => {
            is_terminal
                && env("TERM").as_deref() != Some("dumb")
                && env("CLICOLOR").as_deref() != Some("0")
        }
    }
}

/// The first of the locale's variables that is set decides, as POSIX says.
fn is_utf8(env: Env<'_>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env(name).filter(|value| !value.is_empty()))
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

fn width(is_terminal: bool) -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let terminal = || {
        let size = rustix::termios::tcgetwinsize(io::stdout())
            .or_else(|_| rustix::termios::tcgetwinsize(io::stderr()));
        Some(usize::from(size.ok()?.ws_col)).filter(|width| *width > 0)
    };
    asked
        .or_else(|| if is_terminal { terminal() } else { None })
        .unwrap_or(WIDTH)
        .clamp(40, 1000)
}

#[cfg(test)]
mod tests {
    use super::{Color, colored, is_utf8};

    fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| {
            let pair = pairs.iter().find(|(key, _)| *key == name)?;
            Some(pair.1.to_owned())
        }
    }

    #[test]
    fn color_follows_flag_then_environment_then_terminal() {
        let auto = |terminal, pairs| colored(Color::Auto, terminal, &env(pairs));
        assert!(auto(true, &[]));
        assert!(!auto(false, &[]));
        assert!(!auto(true, &[("NO_COLOR", "1")]));
        assert!(auto(true, &[("NO_COLOR", "")]));
        assert!(auto(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!auto(true, &[("TERM", "dumb")]));
        assert!(!auto(true, &[("CLICOLOR", "0")]));
        assert!(!colored(
            Color::Never,
            true,
            &env(&[("CLICOLOR_FORCE", "1")])
        ));
        assert!(colored(Color::Always, false, &env(&[("NO_COLOR", "1")])));
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_locale() {
        assert!(is_utf8(&env(&[("LANG", "de_DE.UTF-8")])));
        assert!(is_utf8(&env(&[("LC_ALL", ""), ("LANG", "C.utf8")])));
        assert!(!is_utf8(&env(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")])));
        assert!(!is_utf8(&env(&[])));
    }
}
