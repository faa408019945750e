//! Values that take several columns, or a column of JSON.

use super::column::{Binder, ColumnCell, Columns, Field, Read};
use crate::domain::{
    CallId, Cause, EvaluationKey, Failure, JobId, Judgement, Proposal, Purpose, Rewards, TaskId,
    Timing, Tokens, VariantId, Verdict,
};
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::Serialize;

/// Structs whose fields take their columns one after the other.
macro_rules! fields {
    ($($value:ident { $($field:ident),+ $(,)? })+) => {$(
        impl Field for $value {
            fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
                $( self.$field.bind(row)?; )+
                Ok(())
            }

            fn take(row: &mut Columns<'_>) -> Read<Self> {
                $( let $field = Field::take(row)?; )+
                Ok(Self { $($field),+ })
            }
        }
    )+};
}

fields! {
    EvaluationKey { variant, task, repeat }
    Judgement { outcome, passed, reward, rewards, cause, detail, task_digest }
    Timing { agent_ms, verifier_ms }
    Tokens { input, cached, cache_written, cache_written_long, output, reasoning }
    Proposal {
        log_summarization,
        potential_improvements,
        improvement_proposal,
        implementation_suggestion,
        problem_description,
    }
}

/// The columns `stage` and `holdout`.
impl Field for Purpose {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        let stage = match self {
            Self::Stage(stage) => Some(*stage),
            Self::Extra | Self::Holdout => None,
        };
        stage.bind(row)?;
        (*self == Self::Holdout).bind(row)
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        let stage: Option<u32> = Field::take(row)?;
        Ok(match (stage, bool::take(row)?) {
            (Some(stage), false) => Self::Stage(stage),
            (None, false) => Self::Extra,
            (None, true) => Self::Holdout,
            (Some(_), true) => return Err(row.unreadable("1 beside a stage")),
        })
    }
}

/// The columns `failure`, `cause` and `detail`.
impl Field for Option<(Failure, String)> {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        let failure = self.as_ref().map(|(failure, _)| failure);
        failure.map(|failure| failure.encode()).bind(row)?;
        failure.and_then(|failure| failure.cause()).bind(row)?;
        let detail = self.as_ref().map(|(_, detail)| detail.as_str());
        detail.map(ToOwned::to_owned).bind(row)
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        let failure: Option<String> = Field::take(row)?;
        let cause: Option<Cause> = Field::take(row)?;
        let failure = failure
            .map(|text| Failure::decode(&text, cause).ok_or_else(|| row.unreadable(&text)))
            .transpose()?;
        Ok(failure.zip(Field::take(row)?))
    }
}

/// The columns `verdict` and `reason`.
impl Field for Verdict {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        let (name, reason) = match self {
            Self::Admitted => ("admitted", None),
            Self::Rejected(reason) => ("rejected", Some(reason.clone())),
        };
        name.to_owned().bind(row)?;
        reason.bind(row)
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        let name = String::take(row)?;
        let reason: Option<String> = Field::take(row)?;
        match (name.as_str(), reason) {
            ("admitted", None) => Ok(Self::Admitted),
            ("rejected", Some(reason)) => Ok(Self::Rejected(reason)),
            (_, _) => Err(row.unreadable(&name)),
        }
    }
}

/// The columns `attempt`, `variant`, `task`, `repeat` and `regrade`.
impl Field for JobId {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        let (attempt, key) = match self {
            Self::Attempt(attempt) => (Some(*attempt), None),
            Self::Evaluation(key) | Self::Regrade(key) => (None, Some(key)),
            // The table of faults refuses it: only calls are made by hand.
            Self::Manual => (None, None),
        };
        attempt.bind(row)?;
        match key {
            Some(key) => key.bind(row)?,
            None => (0..3).try_for_each(|_| None::<u32>.bind(row))?,
        }
        matches!(self, Self::Regrade(_)).bind(row)
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        let attempt: Option<VariantId> = Field::take(row)?;
        let variant: Option<VariantId> = Field::take(row)?;
        let task: Option<TaskId> = Field::take(row)?;
        let repeat: Option<u32> = Field::take(row)?;
        let key = |variant, task, repeat| EvaluationKey {
            variant,
            task,
            repeat,
        };
        match (attempt, variant, task, repeat, bool::take(row)?) {
            (Some(attempt), None, None, None, false) => Ok(Self::Attempt(attempt)),
            (None, Some(variant), Some(task), Some(repeat), false) => {
                Ok(Self::Evaluation(key(variant, task, repeat)))
            }
            (None, Some(variant), Some(task), Some(repeat), true) => {
                Ok(Self::Regrade(key(variant, task, repeat)))
            }
            (None, None, None, None, false) => Ok(Self::Manual),
            (_, _, _, _, _) => Err(row.unreadable("neither an attempt nor an evaluation")),
        }
    }
}

/// The columns `base` and `base_messages`.
impl Field for Option<(CallId, u64)> {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        self.map(|(call, _)| call).bind(row)?;
        self.map(|(_, messages)| messages).bind(row)
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        let call: Option<CallId> = Field::take(row)?;
        Ok(call.zip(Field::take(row)?))
    }
}

/// An object of numbers; null where there are none.
impl Field for Rewards {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        let text = (!self.is_empty()).then(|| json(self)).transpose()?;
        text.bind(row)
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        let text: Option<String> = Field::take(row)?;
        let Some(text) = text else {
            return Ok(Self::new());
        };
        serde_json::from_str(&text).map_err(|_| row.unreadable(&text))
    }
}

/// A list of texts.
impl ColumnCell for Vec<String> {
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(json(self)?.into())
    }

    fn load(value: ValueRef<'_>) -> Option<Self> {
        serde_json::from_str(value.as_str().ok()?).ok()
    }
}

/// The tasks of each stage, as a list of lists of texts.
impl ColumnCell for Vec<Vec<TaskId>> {
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let names = |tasks: &Vec<TaskId>| -> Vec<String> {
            tasks.iter().map(|task| task.as_str().to_owned()).collect()
        };
        let stages: Vec<Vec<String>> = self.iter().map(names).collect();
        Ok(json(&stages)?.into())
    }

    fn load(value: ValueRef<'_>) -> Option<Self> {
        let stages: Vec<Vec<String>> = serde_json::from_str(value.as_str().ok()?).ok()?;
        let tasks = |names: Vec<String>| names.into_iter().map(TaskId::new).collect();
        Some(stages.into_iter().map(tasks).collect())
    }
}

/// `[[variant, probability], …]`. Not with a JSON library, because the exact number is wanted
/// back and the usual parsers may be off by one unit in the last place.
impl ColumnCell for Vec<(VariantId, f64)> {
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let pairs: Vec<String> = self
            .iter()
            .map(|(variant, weight)| format!("[{},{weight:?}]", variant.0))
            .collect();
        Ok(format!("[{}]", pairs.join(",")).into())
    }

    fn load(value: ValueRef<'_>) -> Option<Self> {
        let text = value.as_str().ok()?;
        let compact: String = text.split_ascii_whitespace().collect();
        let inner = compact.strip_prefix('[')?.strip_suffix(']')?;
        if inner.is_empty() {
            return Some(Self::new());
        }
        inner
            .strip_prefix('[')?
            .strip_suffix(']')?
            .split("],[")
            .map(|pair| {
                let (variant, weight) = pair.split_once(',')?;
                Some((VariantId(variant.parse().ok()?), weight.parse().ok()?))
            })
            .collect()
    }
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
