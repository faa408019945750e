//! The one way to run a task: an agent's turn in a sandbox, what it left, the verdict of a
//! verifier that no agent has seen, and what that means for a score.
//!
//! Invariants: every task, whatever its format, is run and judged here; the answer is what the
//! sandbox collected, taken from outside; a verifier starts after the last process of an agent
//! is dead; who interrupted an agent is decided by one table ([`Interruption`]); and an answer
//! that keeps the verifier from giving a reward counts as what it is, not as nothing.
//!
//! `road` leads a task through its steps. `turn` is what an agent finds, `agent` runs one with
//! its gateway; `answer` and `artifacts` take what it left, `answer_tar` keeps it; `judge` and
//! `swebench` ask a verifier; `outcome` is the table from what was observed to an outcome.
//! `evaluate`, `regrade` and `check` are the three things that are done with the road.

mod agent;
mod answer;
mod answer_tar;
mod artifacts;
mod check;
mod evaluate;
mod interruption;
mod judge;
mod outcome;
mod phases;
mod regrade;
mod road;
mod swebench;
mod turn;
mod verifier;

pub use agent::{AgentJob, SandboxHost, run_agent};
pub use answer::{Answer, AnswerFault, KeptAnswer, KeptStep, take_answer};
pub use check::{Effort, NotRun, check};
pub use evaluate::{EvaluateEnd, EvaluateJob, evaluate};
pub use interruption::Interruption;
pub use judge::judge;
pub use phases::folder_root;
pub use regrade::{RegradeEnd, RegradeJob, regrade};
pub use swebench::judge_patch;
pub use turn::{AgentTurn, TurnEnd};
pub use verifier::VerifierEnd;
