//! `dgm cost --prices`: the table of prices that the program brings along.

use crate::model::{Price, PriceList, Rates, price_table};
use crate::view::prices::{self, List, Model, Tier};

/// Returns the table as it is shown.
pub(super) fn lists() -> Vec<List> {
    price_table().iter().map(list).collect()
}

fn list(list: &PriceList) -> List {
    List {
        provider: list.title.clone(),
        hosts: list.hosts.clone(),
        source: list.source.clone(),
        as_of: list.as_of.clone(),
        models: list
            .models
            .iter()
            .flat_map(|(names, price)| names.iter().map(|name| model(name, *price)))
            .collect(),
    }
}

/// Returns a price as it is shown.
pub(super) fn model(name: &str, price: Price) -> Model {
    let tier = |rates: Rates, above: Option<u64>| Tier {
        above,
        input: rates.input,
        cached_input: rates.cached_input,
        cache_write: rates.cache_write,
        cache_write_long: rates.cache_write_long,
        output: rates.output,
    };
    Model {
        name: name.to_owned(),
        tiers: match price {
            Price::Free => Vec::new(),
            Price::PerMillion(rates) => vec![tier(rates, None)],
            Price::Tiered { short, above, long } => {
                vec![tier(short, None), tier(long, Some(above))]
            }
        },
    }
}

/// Returns the table as text or as JSON.
pub(super) fn show(json: bool, style: crate::view::Style) -> String {
    if json {
        prices::json(&lists())
    } else {
        prices::text(&lists(), style)
    }
}
