//! What a run's configuration lets tasks have.

use crate::sandbox::Network;
use std::collections::BTreeMap;

/// What a run's configuration lets tasks have beyond their own files.
#[derive(Clone, Debug, Default)]
pub struct Permits {
    /// The network, for tasks that want one.
    pub network: Network,
    /// Whether tasks that want some hosts only get the whole network, where tasks get one.
    pub allowlist_is_public: bool,
    /// Variables of this machine that a task may name.
    pub variables: BTreeMap<String, String>,
    /// Whether root in a task's image may do with its files and users what root may.
    pub file_rights: bool,
    /// Bytes of artifacts and answer that are taken out; none: the usual ones.
    pub collect: Option<u64>,
}
