//! Integration tests that need real things.

mod local_sandbox;
