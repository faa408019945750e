//! Containers through the engine API.
