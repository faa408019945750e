//! The table of prices that the program brings along: dated, with its sources.
//!
//! Invariant: no guess. A price holds for the servers that it was published for, and for a
//! name of the table or a dated snapshot of it; a model that is merely called alike has none.

use super::{Price, Rates};
use crate::domain::Usd;
use serde::Deserialize;
use std::sync::LazyLock;

/// The providers of the table.
pub fn price_table() -> &'static [PriceList] {
    static TABLE: LazyLock<Vec<PriceList>> = LazyLock::new(|| {
        let file: PriceFile = toml::from_str(include_str!("prices.toml"))
            .expect("invariant: the program's own table can be read");
        file.provider.into_iter().map(PriceList::from).collect()
    });
    &TABLE
}

/// What one provider charges.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceList {
    /// Short name.
    pub name: String,
    /// Name for a reader.
    pub title: String,
    /// Servers that these prices hold for.
    pub hosts: Vec<String>,
    /// Page on which the provider publishes them.
    pub source: String,
    /// Day for which they were last seen to be in force.
    pub as_of: String,
    /// Names of models, and their price.
    pub models: Vec<(Vec<String>, Price)>,
}

impl PriceList {
    /// Returns the price of a model of this provider, and the name under which it is listed.
    fn find(&self, model: &str) -> Option<(&str, Price)> {
        let named = |is_it: &dyn Fn(&str) -> bool| {
            self.models.iter().find_map(|(names, price)| {
                let name = names.iter().find(|name| is_it(name))?;
                Some((name.as_str(), *price))
            })
        };
        // A snapshot with a price of its own comes before the model that it is one of.
        named(&|name| name == model).or_else(|| named(&|name| is_snapshot(model, name)))
    }
}

/// A price of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Whose price list it is from.
    pub list: &'static PriceList,
    /// Under which name it is listed.
    pub name: &'static str,
    /// The price.
    pub price: Price,
}

/// Returns the price of a model at the server that a provider's settings name.
pub fn listed_price(provider: &str, base_url: Option<&str>, model: &str) -> Option<Listed> {
    let host = match (base_url, provider) {
        (Some(url), _) => host(url)?,
        (None, "anthropic") => "api.anthropic.com".to_owned(),
        (None, "openai") => "api.openai.com".to_owned(),
        // What a program of the user's asks, nobody knows here.
        (None, _) => return None,
    };
    let list = price_table()
        .iter()
        .find(|list| list.hosts.contains(&host))?;
    let (name, price) = list.find(model)?;
    Some(Listed { list, name, price })
}

/// Returns the host of an address, in lower case.
fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?;
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// Returns whether a name is another one with a date behind it.
fn is_snapshot(model: &str, of: &str) -> bool {
    let Some(rest) = model.strip_prefix(of) else {
        return false;
    };
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let Some(date) = rest.strip_prefix('-').or_else(|| rest.strip_prefix('@')) else {
        return false;
    };
    let parts: Vec<&str> = date.split('-').collect();
    let (year, month, day) = match parts.as_slice() {
        [date] if digits(date, 8) => (&date[..4], &date[4..6], &date[6..]),
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            (*year, *month, *day)
        }
        _ => return false,
    };
    ("2020".."2100").contains(&year)
        && ("01"..="12").contains(&month)
        && ("01"..="31").contains(&day)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    provider: Vec<ProviderTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderTable {
    name: String,
    title: String,
    hosts: Vec<String>,
    source: String,
    as_of: String,
    model: Vec<ModelTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelTable {
    names: Vec<String>,
    rates: RatesTable,
    long: Option<LongTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatesTable {
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    cache_write_long: Option<f64>,
    output: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongTable {
    above: u64,
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    cache_write_long: Option<f64>,
    output: f64,
}

impl From<ProviderTable> for PriceList {
    fn from(table: ProviderTable) -> Self {
        let models = table.model.into_iter().map(|model| {
            let short = rates(&model.rates);
            let price = match model.long {
                None => Price::PerMillion(short),
                Some(long) => Price::Tiered {
                    short,
                    above: long.above,
                    long: rates(&RatesTable {
                        input: long.input,
                        cached_input: long.cached_input,
                        cache_write: long.cache_write,
                        cache_write_long: long.cache_write_long,
                        output: long.output,
                    }),
                },
            };
            (model.names, price)
        });
        Self {
            models: models.collect(),
            name: table.name,
            title: table.title,
            hosts: table.hosts,
            source: table.source,
            as_of: table.as_of,
        }
    }
}

fn rates(table: &RatesTable) -> Rates {
    let cache_write = table.cache_write.unwrap_or(table.input);
    Rates {
        input: micros(table.input),
        cached_input: micros(table.cached_input.unwrap_or(table.input)),
        cache_write: micros(cache_write),
        cache_write_long: micros(table.cache_write_long.unwrap_or(cache_write)),
        output: micros(table.output),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "prices are some dollars; the test looks at each"
)]
fn micros(dollars: f64) -> Usd {
    Usd((dollars * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::{is_snapshot, listed_price, price_table};
    use crate::domain::{Tokens, Usd};
    use crate::model::Price;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_makes_sense() {
        let mut hosts = BTreeSet::new();
        for list in price_table() {
            assert!(list.source.starts_with("https://"), "{}", list.name);
            assert!(
                is_snapshot(&format!("x-{}", list.as_of), "x"),
                "{}",
                list.as_of
            );
            assert!(
                list.hosts.iter().all(|host| hosts.insert(host)),
                "{}",
                list.name
            );
            let mut names = BTreeSet::new();
            for (of, price) in &list.models {
                assert!(of.iter().all(|name| names.insert(name)), "{of:?}");
                for rates in price.rates() {
                    for (name, rate) in rates.named() {
                        assert!(
                            (Usd(1)..Usd(1_000_000_000)).contains(&rate),
                            "{of:?} {name}"
                        );
                    }
                    assert!(rates.cached_input <= rates.input, "{of:?}");
                    assert!(rates.input <= rates.cache_write, "{of:?}");
                    assert!(rates.cache_write <= rates.cache_write_long, "{of:?}");
                    assert!(rates.input <= rates.output, "{of:?}");
                }
                if let Price::Tiered { short, above, long } = price {
                    assert!(*above > 10_000 && short.input < long.input, "{of:?}");
                }
            }
        }
        assert!(price_table().len() >= 7);
    }

    fn input_price(provider: &str, base_url: Option<&str>, model: &str) -> Option<Usd> {
        let million = Tokens {
            input: 50_000,
            ..Tokens::default()
        };
        let cost = listed_price(provider, base_url, model)?.price.cost(million);
        Some(Usd(cost.0 * 20))
    }

    #[test]
    fn finds_a_model_and_its_dated_snapshots_and_guesses_nothing() {
        let anthropic = |model| input_price("anthropic", None, model);
        assert_eq!(anthropic("claude-sonnet-5-5"), Some(Usd(2_000_000)));
        assert_eq!(anthropic("claude-opus-4-5-20251101"), Some(Usd(5_000_000)));
        assert_eq!(anthropic("claude-opus-4-5@20251101"), Some(Usd(5_000_000)));
        // Opus 4 is another model than Opus 4.5, whose name begins alike.
        assert_eq!(anthropic("claude-opus-4-20250514"), None);
        for strange in [
            "claude-opus",
            "claude-opus-6",
            "claude-opus-5-fast",
            "claude-opus-5-7",
            "claude-opus-5-99999999",
            "claude-opus-5-2026-13-01",
            "claude-opus-5-",
            "gpt-5",
            "",
        ] {
            assert_eq!(anthropic(strange), None, "{strange}");
        }
        let openai = |model| input_price("openai", None, model);
        assert_eq!(openai("gpt-4o-2024-08-06"), Some(Usd(2_500_000)));
        assert_eq!(openai("gpt-4o-2024-05-13"), Some(Usd(5_000_000)), "its own");
        assert_eq!(openai("gpt-4o-mini"), Some(Usd(150_000)));
        assert_eq!(openai("gpt-4o-audio-preview"), None);
    }

    #[test]
    fn a_price_holds_for_the_servers_that_it_was_published_for() {
        let at = |url, model| input_price("openai", Some(url), model);
        assert_eq!(
            at("https://api.openai.com/v1", "gpt-5"),
            Some(Usd(1_250_000))
        );
        assert_eq!(
            at("https://API.OpenAI.com:443", "gpt-5"),
            Some(Usd(1_250_000))
        );
        assert_eq!(at("http://localhost:8000/v1", "gpt-5"), None);
        assert_eq!(at("https://api.openai.com.example.org/", "gpt-5"), None);
        assert_eq!(at("https://api.openai.com@example.org/", "gpt-5"), None);
        assert_eq!(at("https://api.x.ai/v1", "grok-4.5"), Some(Usd(2_000_000)));
        assert_eq!(at("https://api.x.ai/v1", "gpt-5"), None);
        assert_eq!(at("no address", "gpt-5"), None);
        assert_eq!(input_price("command", None, "gpt-5"), None);
    }
}
