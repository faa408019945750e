//! Tests that need real things: processes, git, sandboxes, containers.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has to stop"
)]

mod adversarial;
mod agents;
mod anthropic;
mod archive;
mod bad_input;
mod budgets;
mod cli_check;
mod cli_help;
mod cli_read;
mod docker_image_root;
mod docker_polyglot;
mod docker_sandbox;
mod doctor_models;
mod eval;
mod evidence;
mod evolve;
mod exports;
mod first_run;
mod gateway_by_hand;
mod gateway_limits;
mod harbor;
mod harbor_answers;
mod holdout;
mod keys;
mod kill;
mod local_benchmark;
mod local_sandbox;
mod outage;
mod python_sdks;
mod rehearsal;
mod replay;
mod sandbox_suite;
mod smoke_tasks;
mod support;
mod swebench;
mod tls;
mod trajectory;
mod view_order;
mod wire;
