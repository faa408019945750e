//! Tests that need real things: containers, namespaces, processes.

mod docker_sandbox;
mod sandbox_suite;
