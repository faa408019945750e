//! Integration tests that need real things: containers, namespaces, processes.

mod docker_sandbox;
mod local_sandbox;
mod sandbox_suite;
