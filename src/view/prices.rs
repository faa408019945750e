//! What models cost, in dollars per million tokens.

use super::json;
use super::page::Page;
use super::style::{Ink, Style};
use super::table::{Align, Table};
use crate::domain::Usd;
use serde::Serialize;

/// What one provider charges.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// Name of the provider.
    pub provider: String,
    /// Servers that the prices hold for.
    pub hosts: Vec<String>,
    /// Page on which they are published.
    pub source: String,
    /// Day for which they were last seen to be in force.
    pub as_of: String,
    /// Its models.
    pub models: Vec<Model>,
}

/// What one model costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Rates by length of the prompt, the shortest first; none where it is free.
    pub tiers: Vec<Tier>,
}

/// Rates per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tier {
    /// For prompts of more tokens than this.
    pub above: Option<u64>,
    /// Prompt tokens.
    pub input: Usd,
    /// Prompt tokens read from a cache.
    pub cached_input: Usd,
    /// Prompt tokens written to a cache.
    pub cache_write: Usd,
    /// Prompt tokens written to a cache for its longer time.
    pub cache_write_long: Usd,
    /// Completion tokens.
    pub output: Usd,
}

/// Returns price lists as text.
pub fn text(lists: &[List], style: Style) -> String {
    let mut page = Page::new(style, true);
    page.line(
        "US dollars per million tokens. `price` in `dgm.toml` takes the place of what stands here.",
    );
    for list in lists {
        page.heading(&format!("{} ({})", list.provider, list.hosts.join(", ")));
        page.line(style.paint(
            Ink::Dim,
            &format!("  as of {}, from {}", list.as_of, list.source),
        ));
        let table = table(&list.models);
        table.lines(style).iter().for_each(|line| page.line(line));
    }
    page.finish()
}

/// Returns models with their rates as a table.
pub(super) fn table(models: &[Model]) -> Table<7> {
    let mut table = Table::new([
        ("model", Align::Left),
        ("prompt", Align::Left),
        ("input", Align::Right),
        ("cached", Align::Right),
        ("cache write", Align::Right),
        ("longer", Align::Right),
        ("output", Align::Right),
    ]);
    for model in models {
        if model.tiers.is_empty() {
            let mut cells: [String; 7] = Default::default();
            cells[0] = super::clean(&model.name);
            cells[2] = "free".to_owned();
            table.row(cells, Ink::Plain);
        }
        for (index, tier) in model.tiers.iter().enumerate() {
            let cells = [
                match index {
                    0 => super::clean(&model.name),
                    _ => String::new(),
                },
                tier.above.map_or_else(String::new, |above| {
                    format!("over {}", super::figure::count(above))
                }),
                rate(tier.input),
                rate(tier.cached_input),
                rate(tier.cache_write),
                rate(tier.cache_write_long),
                rate(tier.output),
            ];
            table.row(cells, Ink::Plain);
        }
    }
    table
}

/// Returns a rate with as many digits as it has.
fn rate(rate: Usd) -> String {
    let text = format!("{:.6}", rate.dollars());
    let text = text.trim_end_matches('0');
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    match digits {
        0..=2 => format!("{:.2}", rate.dollars()),
        _ => text.to_owned(),
    }
}

#[derive(Serialize)]
struct PricesShape<'a> {
    schema: &'static str,
    providers: Vec<ListShape<'a>>,
}

#[derive(Serialize)]
struct ListShape<'a> {
    provider: &'a str,
    hosts: &'a [String],
    source: &'a str,
    as_of: &'a str,
    models: Vec<ModelShape<'a>>,
}

/// A model with its rates.
#[derive(Serialize)]
pub(super) struct ModelShape<'a> {
    model: &'a str,
    free: bool,
    usd_per_million: Vec<TierShape>,
}

#[derive(Serialize)]
struct TierShape {
    above_tokens: Option<u64>,
    input: f64,
    cached_input: f64,
    cache_write: f64,
    cache_write_long: f64,
    output: f64,
}

impl<'a> From<&'a Model> for ModelShape<'a> {
    fn from(model: &'a Model) -> Self {
        let tiers = model.tiers.iter().map(|tier| TierShape {
            above_tokens: tier.above,
            input: tier.input.dollars(),
            cached_input: tier.cached_input.dollars(),
            cache_write: tier.cache_write.dollars(),
            cache_write_long: tier.cache_write_long.dollars(),
            output: tier.output.dollars(),
        });
        Self {
            model: &model.name,
            free: model.tiers.is_empty(),
            usd_per_million: tiers.collect(),
        }
    }
}

/// Returns price lists as `dgm.prices/1`.
pub fn json(lists: &[List]) -> String {
    let providers = lists.iter().map(|list| ListShape {
        provider: &list.provider,
        hosts: &list.hosts,
        source: &list.source,
        as_of: &list.as_of,
        models: list.models.iter().map(ModelShape::from).collect(),
    });
    json::text(&PricesShape {
        schema: "dgm.prices/1",
        providers: providers.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::rate;
    use crate::domain::Usd;

    #[test]
    fn a_rate_has_the_digits_that_it_needs() {
        for (micros, text) in [
            (2_000_000, "2.00"),
            (12_500_000, "12.50"),
            (125_000, "0.125"),
            (6_000, "0.006"),
            (0, "0.00"),
            (10_000_000, "10.00"),
        ] {
            assert_eq!(rate(Usd(micros)), text);
        }
    }
}
