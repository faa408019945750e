//! Bubblewrap.
