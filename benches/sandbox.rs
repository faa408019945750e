//! What a run in the Docker sandbox costs beyond the bare engine.
//!
//! `cargo bench --bench sandbox [-- ROUNDS]`, with an engine and the image `dgm-smoke`.
//! In turns, in one program, with 1, 2 and 4 in flight:
//! - `plain`: the engine's create, start, wait and remove of a container that does nothing,
//!   with the engine's defaults but without network;
//! - `alike`: the same with the isolation and limits that the sandbox asks for;
//! - `sandbox`: `DockerSandbox::run` with a command that does nothing and no files.
//!
//! Each round's ratios compare neighbors in time, so that other load on the machine falls on
//! all of them.

#![expect(clippy::print_stdout, reason = "a benchmark's numbers are its output")]

mod bare;

use bare::{IMAGE, alike, plain};
use bollard::Docker;
use dgm::sandbox::docker::DockerSandbox;
use dgm::sandbox::{Limits, Sandbox as _, Spec};
use futures_util::{StreamExt as _, stream};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Containers of one kind in one round, a multiple of every number in flight.
const PER_ROUND: usize = 8;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rounds = std::env::args().find_map(|argument| argument.parse().ok());
    let rounds: usize = rounds.unwrap_or(10);
    let runtime = tempfile::tempdir()?;
    let label = format!("bench-{}", std::process::id());
    let sandbox = DockerSandbox::connect(label, runtime.path().to_owned()).await?;
    sandbox.check(&[IMAGE.to_owned()]).await?;
    let docker = Docker::connect_with_local_defaults()?;
    // Once unmeasured: caches of the engine, of the client and of the kernel.
    bare::run(&docker, alike()).await?;
    hardened(&sandbox).await?;
    println!("ms for each, and the ratio's median (p10, p90) of {rounds} rounds");
    println!("in flight   plain   alike  sandbox   sandbox/plain         sandbox/alike");
    for in_flight in [1, 2, 4] {
        let mut times = Vec::new();
        for round in 0..rounds {
            let mut took = [0.0; 3];
            // Whoever comes next finds the engine still busy with the one before.
            for turn in 0..3 {
                let kind = (round + turn) % 3;
                let begun = Instant::now();
                let runs: Vec<anyhow::Result<()>> = stream::iter(0..PER_ROUND)
                    .map(|_| async {
                        match kind {
                            0 => bare::run(&docker, plain()).await,
                            1 => bare::run(&docker, alike()).await,
                            _ => hardened(&sandbox).await,
                        }
                    })
                    .buffer_unordered(in_flight)
                    .collect()
                    .await;
                runs.into_iter().collect::<anyhow::Result<()>>()?;
                took[kind] = begun.elapsed().as_secs_f64() * 1e3 / PER_ROUND as f64;
            }
            times.push(took);
        }
        print_row(in_flight, &times);
    }
    Ok(())
}

fn print_row(in_flight: usize, times: &[[f64; 3]]) {
    let of = |pick: &dyn Fn(&[f64; 3]) -> f64, part: f64| {
        let mut values: Vec<f64> = times.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values[((values.len() - 1) as f64 * part).round() as usize]
    };
    let ratio = |to: usize| {
        let of = |part| of(&|took| took[2] / took[to], part);
        format!("{:.3} ({:.3}, {:.3})", of(0.5), of(0.1), of(0.9))
    };
    println!(
        "{in_flight:>9} {:>7.1} {:>7.1} {:>8.1}   {:<20}  {}",
        of(&|took| took[0], 0.5),
        of(&|took| took[1], 0.5),
        of(&|took| took[2], 0.5),
        ratio(0),
        ratio(1),
    );
}

async fn hardened(sandbox: &DockerSandbox) -> anyhow::Result<()> {
    let spec = Spec {
        job: "bench".to_owned(),
        image: Some(IMAGE.to_owned()),
        agent: None,
        placed: Vec::new(),
        root: dgm::sandbox::Root::Sealed,
        workdir: Some("/app".to_owned()),
        writable: Vec::new(),
        command: vec!["true".to_owned()],
        env: Vec::new(),
        socket_dir: None,
        deadline: Duration::from_secs(60),
        collect: vec!["/app".to_owned()],
        vital: Vec::new(),
        limits: Limits::default(),
    };
    let ended = sandbox.run(spec, CancellationToken::new()).await?;
    anyhow::ensure!(
        ended.exit == dgm::sandbox::Exit::Code(0),
        "{:?}",
        ended.exit
    );
    Ok(())
}
