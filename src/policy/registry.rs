//! The policies that a configuration can name: a line each.

use super::dgm;
use super::interface::Policy;
use super::settings::{PolicySettings, UnknownName};
use std::sync::Arc;

/// Makes a policy of its settings.
type Make = fn(&PolicySettings) -> Result<Arc<dyn Policy>, UnknownName>;

/// Names and makers.
const POLICIES: [(&str, Make); 1] = [("dgm", dgm::make)];

/// Makes the policy that the settings name.
pub fn make(settings: &PolicySettings) -> Result<Arc<dyn Policy>, UnknownName> {
    let found = POLICIES.iter().find(|(name, _)| *name == settings.name);
    let (_, make) = found.ok_or_else(|| UnknownName {
        key: "policy.name",
        value: settings.name.clone(),
        known: POLICIES.iter().map(|(name, _)| *name).collect(),
    })?;
    make(settings)
}
