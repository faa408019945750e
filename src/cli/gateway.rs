//! `dgm gateway`.

use super::caps;
use super::error::Hint as _;
use super::exit::Code;
use super::place::Place;
use super::progress::{command_line, provider};
use super::run::{model, settings};
use super::runtime::block_on;
use super::ui::Ui;
use crate::archive::{Reader, Writer};
use crate::config::{Overrides, Settings};
use crate::domain::{CallId, CallSettlement, JobId, Role, Usd};
use crate::evolve::{ManualCalls, Providers};
use crate::gateway::{Gateway, Socket};
use crate::model::{Allowance, FailedTry, Health, JobSubject, Metered};
use crate::sys::shutdown::Shutdown;
use crate::view::by_hand::{self, Totals};
use anyhow::Context as _;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the allowance is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Time for those who wait for an answer to get the error that ends everything.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serve a role's model on a Unix socket, by hand
///
/// For people who write agents, and for trying any client: what an agent sees in its sandbox,
/// with the archive's models, books and budgets, until Ctrl-C. The socket speaks the Chat
/// Completions API of OpenAI, and the Messages API where Anthropic serves the model.
#[derive(clap::Args)]
#[command(after_help = "\
Ends with exit code 0 when interrupted; 3 if the allowance or a budget was used up by then; 4 as
soon as the provider lets nobody in, or has answered nobody for `outage_hours`.

Examples:
  dgm gateway demo --role solve --socket /tmp/model.sock --allowance-usd 0.50
  curl --unix-socket /tmp/model.sock http://dgm/v1/models
  DGM_MODEL_SOCKET=/tmp/model.sock DGM_INSTRUCTION=task.md python3 -m agent")]
pub(super) struct Args {
    /// Folder of the archive [default: the current directory]
    dir: Option<PathBuf>,
    /// Whose model: `diagnose`, `modify` or `solve`
    #[arg(long, value_name = "ROLE", default_value = "solve", value_parser = role)]
    role: Role,
    /// Path of the socket; it must be free
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Who may use the socket, as `chmod` takes it
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = mode)]
    socket_mode: u32,
    /// Most money that the calls may cost, in US dollars
    #[arg(long, value_name = "USD", value_parser = dollars)]
    allowance_usd: Option<Usd>,
    /// Most calls
    #[arg(long, value_name = "N")]
    allowance_calls: Option<u64>,
    /// Most tokens, input and output together
    #[arg(long, value_name = "N")]
    allowance_tokens: Option<u64>,
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| {
        let known = Role::ALL.map(|role| format!("`{role}`")).join(", ");
        format!("there is no such role; there are {known}")
    })
}

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "a mode has three octal digits, such as 600 or 666".to_owned())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked, and micro-dollars are what is counted"
)]
fn dollars(text: &str) -> Result<Usd, String> {
    let amount: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.0..=1e9).contains(&amount) {
        return Err("not an amount between 0 and a billion".to_owned());
    }
    Ok(Usd((amount * 1e6).round() as i64))
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let place = Place::of(self.dir.as_deref())?;
        // Says in one sentence what a folder without an archive is.
        Reader::open(&place.dir)?;
        let settings = settings(&place.dir, &Overrides::default())?;
        block_on(self.serve(ui, &place.dir, &settings))
    }

    async fn serve(&self, ui: Ui, dir: &Path, settings: &Settings) -> anyhow::Result<Code> {
        let shutdown = Shutdown::on_signals().context("could not listen for signals")?;
        let model = model(settings, self.role)?;
        let writer = Writer::open(dir)?;
        let socket = Socket::open(self.socket.clone(), self.socket_mode)
            .wrong("`--socket` names a path that is free, in a folder that is there")?;
        let (told, calls) = mpsc::unbounded_channel();
        let manual = ManualCalls::open(
            writer,
            command_line(),
            settings.in_force(),
            &settings.engine.budgets,
            told,
        )?
        .keeping_traffic(settings.engine.record);
        let job = JobSubject {
            subject: JobId::Manual,
            execution: 1,
            role: self.role,
        };
        // No job's: what a person or a client does by hand has no usual size.
        let allowance = Allowance {
            calls: self.allowance_calls,
            tokens: self.allowance_tokens,
            cost: self.allowance_usd,
        };
        let wanted = super::run::wanted(settings, self.role);
        caps::warn_by_hand(ui, self.role, wanted, allowance);
        let limit = settings.engine.outage_limit;
        let mut providers = Providers::new([(self.role, model.pace().clone())], limit);
        let (witness, failures) = mpsc::unbounded_channel();
        let metered = Metered::new(model, manual.books(), job, allowance).asking_again();
        let metered = Arc::new(metered);
        metered.tell_failures(witness);
        let gateway = Gateway::serve_on(socket, metered.clone());
        self.greet(ui, metered.model().name(), allowance);
        let mut talk = Talk {
            ui,
            calls,
            failures,
            whys: HashMap::new(),
            totals: Totals::default(),
            is_out: false,
            barred: None,
        };
        let end = tokio::select! {
            () = shutdown.drain().cancelled() => None,
            end = talk.run(&metered, &mut providers) => end,
        };
        match &end {
            Some(_) => gateway.finish(LAST_WORDS).await,
            None => gateway.shutdown().await,
        }
        talk.look(&metered);
        let is_out = is_out_of_budget(&metered);
        drop(metered);
        manual
            .close(end.as_deref().unwrap_or("interrupted"))
            .await?;
        talk.end();
        if let Some(reason) = end {
            ui.talk(&format!(
                "stopped: {reason}\nsee to the provider (`dgm doctor --models` asks each model), then \
                 start it again"
            ));
            return Ok(Code::Unusable);
        }
        Ok(if is_out { Code::Budget } else { Code::Done })
    }

    fn greet(&self, ui: Ui, model: &str, allowance: Allowance) {
        let most = by_hand::most(allowance.calls, allowance.tokens, allowance.cost);
        let socket = self.socket.display();
        ui.status(&format!(
            "serving `{model}` (role {}) on `{socket}`{most}; Ctrl-C ends it\n\
             \x20 curl --unix-socket {socket} http://dgm/v1/chat/completions \\\n\
             \x20      -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\
             \x20 DGM_MODEL_SOCKET={socket} DGM_INSTRUCTION=task.md python3 -m agent",
            self.role,
        ));
    }
}

fn is_out_of_budget(metered: &Metered) -> bool {
    metered.out_of_budget().is_some() || metered.is_cut_by_run()
}

/// What is said about the calls.
struct Talk {
    ui: Ui,
    calls: mpsc::UnboundedReceiver<CallSettlement>,
    failures: mpsc::UnboundedReceiver<FailedTry>,
    /// Why calls failed that are not settled yet.
    whys: HashMap<CallId, String>,
    totals: Totals,
    is_out: bool,
    /// Why the provider lets nobody in, as it was told.
    barred: Option<String>,
}

impl Talk {
    /// Says what happens, until the books are closed; returns why to end where the provider
    /// leaves no other way.
    async fn run(&mut self, metered: &Metered, providers: &mut Providers) -> Option<String> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let (ui, style) = (self.ui, self.ui.talk_style());
            if !self.is_barred(metered) {
                let end = providers.heed(|news| {
                    if let Some(line) = provider(style, &news) {
                        ui.status(&line);
                    }
                });
                if end.is_some() {
                    return end;
                }
            }
            tokio::select! {
                call = self.calls.recv() => match call {
                    Some(call) => self.call(&call),
                    None => return None,
                },
                () = providers.changed() => {}
                _ = look.tick() => self.look(metered),
            }
        }
    }

    /// Returns whether the provider lets nobody in, which is told once. It is no end: whoever
    /// tries clients by hand can correct it, and the next call asks again.
    fn is_barred(&mut self, metered: &Metered) -> bool {
        let health = metered.model().pace().health().borrow().clone();
        let barred = match health {
            Health::Barred { what } => Some(what),
            Health::Well | Health::Slowed { .. } | Health::Out { .. } => None,
        };
        if let Some(what) = &barred
            && barred != self.barred
        {
            self.ui.warn(&format!(
                "the model cannot be used: {what}; each call asks again, but another key or \
                 setting needs another start"
            ));
        }
        self.barred = barred;
        self.barred.is_some()
    }

    /// Says where nothing is left to use.
    fn look(&mut self, metered: &Metered) {
        if !self.is_out && is_out_of_budget(metered) {
            self.is_out = true;
            self.ui
                .warn("a call was refused: the allowance or a budget is used up");
        }
    }

    /// Says how a call ended; clients are not told why there is no answer.
    fn call(&mut self, call: &CallSettlement) {
        // What it failed with is told before it is settled.
        while let Ok(FailedTry { call, why }) = self.failures.try_recv() {
            self.whys.insert(call, why);
        }
        self.totals.add(call);
        let why = self.whys.remove(&call.id);
        self.ui.status(&by_hand::line(call, why.as_deref()));
    }

    /// Says the rest, and the sum.
    fn end(mut self) {
        while let Ok(call) = self.calls.try_recv() {
            self.call(&call);
        }
        self.ui.talk(&self.totals.line());
    }
}

#[cfg(test)]
mod tests {
    use super::{dollars, mode, role};
    use crate::domain::{Role, Usd};

    #[test]
    fn arguments_are_read_exactly() {
        assert_eq!(dollars("0.50"), Ok(Usd(500_000)));
        assert_eq!(dollars("0.000001"), Ok(Usd(1)));
        for wrong in ["-1", "nan", "inf", "1e10", "$1", ""] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
        assert_eq!((mode("600"), mode("0666")), (Ok(0o600), Ok(0o666)));
        for wrong in ["", "8", "1777", "rw"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
        assert_eq!(role("modify"), Ok(Role::Modify));
        assert_eq!(
            role("write"),
            Err("there is no such role; there are `diagnose`, `modify`, `solve`".to_owned())
        );
    }
}
