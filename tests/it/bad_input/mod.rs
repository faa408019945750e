//! Bad input, from the command line's side: for each a clear message, the documented exit
//! code, and an archive that has lost nothing and goes on.

mod agents;
mod archives;
mod benchmarks;
mod checks;
mod children;
mod configurations;
mod disks;
mod harbor_tasks;
mod hostile;
mod machine;
mod places;
mod world;
