//! Tests that need real things: containers, namespaces, processes.

mod docker_polyglot;
mod docker_sandbox;
mod local_benchmark;
mod local_sandbox;
mod sandbox_suite;
