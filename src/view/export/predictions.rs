//! Predictions for SWE-bench's harness: as lines (its own format) and as one table by instance
//! (`preds.json` of mini-swe-agent).

use crate::view::json;
use serde::Serialize;
use std::collections::BTreeMap;

/// What one agent answered to one instance.
#[derive(Clone, Debug, Serialize)]
pub struct Prediction {
    /// Id of the instance.
    pub instance_id: String,
    /// Who answered.
    pub model_name_or_path: String,
    /// The change as a unified diff; empty where nothing was changed.
    pub model_patch: String,
}

/// Returns predictions as JSON lines.
pub fn predictions(predictions: &[Prediction]) -> String {
    let lines = predictions.iter().map(|prediction| {
        let json =
            serde_json::to_string(prediction).expect("invariant: a shape of texts is always JSON");
        // Some readers take these for ends of lines.
        json.replace('\u{85}', "\\u0085")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029")
            + "\n"
    });
    lines.collect()
}

/// Returns predictions as one JSON object, by instance.
pub fn preds(predictions: &[Prediction]) -> String {
    let by_instance: BTreeMap<&str, &Prediction> = predictions
        .iter()
        .map(|prediction| (prediction.instance_id.as_str(), prediction))
        .collect();
    json::text(&by_instance)
}
