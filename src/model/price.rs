//! What tokens cost: micro-dollars as integers, always rounded up.

use crate::domain::{Tokens, Usd};

/// US dollars per million tokens, each in micro-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens that no cache knows.
    pub input: Usd,
    /// Prompt tokens read from the provider's cache.
    pub cached_input: Usd,
    /// Prompt tokens written to the provider's cache for its usual time.
    pub cache_write: Usd,
    /// Prompt tokens written to the provider's cache for its longer time.
    pub cache_write_long: Usd,
    /// Completion tokens, reasoning included.
    pub output: Usd,
}

/// What tokens cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Nothing, or nothing that is counted.
    Free,
    /// The same, however long the prompt is.
    PerMillion(Rates),
    /// More for long prompts: then all tokens of the call cost more.
    Tiered {
        /// Prompts of at most `above` tokens.
        short: Rates,
        /// Longest prompt of the short rates, in tokens.
        above: u64,
        /// Longer prompts.
        long: Rates,
    },
}

impl Rates {
    /// Returns rates without a word about caches: reading and writing cost what input does.
    pub fn plain(input: Usd, output: Usd) -> Self {
        Self {
            input,
            cached_input: input,
            cache_write: input,
            cache_write_long: input,
            output,
        }
    }

    /// Returns all of them, with the names that the configuration has for them.
    pub fn named(self) -> [(&'static str, Usd); 5] {
        [
            ("input", self.input),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_long", self.cache_write_long),
            ("output", self.output),
        ]
    }

    fn cost(self, tokens: Tokens) -> Usd {
        let cached = tokens.cached.min(tokens.input);
        let written = tokens.cache_written.min(tokens.input - cached);
        let long = tokens.cache_written_long.min(written);
        sum([
            (tokens.input - cached - written, self.input),
            (cached, self.cached_input),
            (written - long, self.cache_write),
            (long, self.cache_write_long),
            (tokens.output, self.output),
        ])
    }

    /// Nobody knows before the call what a cache will hold.
    fn at_most(self, input: u64, output: u64) -> Usd {
        let dearest = self
            .input
            .max(self.cached_input)
            .max(self.cache_write)
            .max(self.cache_write_long);
        sum([(input, dearest), (output, self.output)])
    }
}

/// Returns the sum in micro-dollars, rounded up; the largest amount there is where it is more.
fn sum<const N: usize>(parts: [(u64, Usd); N]) -> Usd {
    let pico = parts.into_iter().fold(0_u128, |sum, (tokens, rate)| {
        let rate = u128::from(rate.0.max(0).unsigned_abs());
        sum.saturating_add(u128::from(tokens).saturating_mul(rate))
    });
    Usd(i64::try_from(pico.div_ceil(1_000_000)).unwrap_or(i64::MAX))
}

impl Price {
    /// Returns a price that knows nothing of caches.
    pub fn plain(input: Usd, output: Usd) -> Self {
        Self::PerMillion(Rates::plain(input, output))
    }

    /// Returns what these tokens cost, rounded up to the next micro-dollar.
    pub fn cost(self, tokens: Tokens) -> Usd {
        match self {
            Self::Free => Usd::default(),
            Self::PerMillion(rates) => rates.cost(tokens),
            Self::Tiered { short, above, long } => {
                let rates = if tokens.input > above { long } else { short };
                rates.cost(tokens)
            }
        }
    }

    /// Returns what a call can cost at most that uses at most these tokens, whatever the
    /// provider's cache does.
    pub fn at_most(self, tokens: Tokens) -> Usd {
        let Tokens { input, output, .. } = tokens;
        match self {
            Self::Free => Usd::default(),
            Self::PerMillion(rates) => rates.at_most(input, output),
            Self::Tiered { short, above, long } => {
                // A prompt that is short in the end is charged at the short rates.
                let as_short = short.at_most(input.min(above), output);
                if input > above {
                    as_short.max(long.at_most(input, output))
                } else {
                    as_short
                }
            }
        }
    }

    /// Returns the rates, the short ones first.
    pub fn rates(self) -> Vec<Rates> {
        match self {
            Self::Free => Vec::new(),
            Self::PerMillion(rates) => vec![rates],
            Self::Tiered { short, long, .. } => vec![short, long],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Price, Rates};
    use crate::domain::{Tokens, Usd};
    use proptest::prelude::{Strategy, any};
    use proptest::{prop_assert, prop_assert_eq, proptest};

    fn rates() -> impl Strategy<Value = Rates> {
        let rate = || (0..=i64::MAX).prop_map(Usd);
        (rate(), rate(), rate(), rate(), rate()).prop_map(
            |(input, cached_input, cache_write, cache_write_long, output)| Rates {
                input,
                cached_input,
                cache_write,
                cache_write_long,
                output,
            },
        )
    }

    fn small_rates() -> impl Strategy<Value = Rates> {
        rates().prop_map(|rates| Rates {
            input: Usd(rates.input.0 % 100_000_000),
            cached_input: Usd(rates.cached_input.0 % 100_000_000),
            cache_write: Usd(rates.cache_write.0 % 100_000_000),
            cache_write_long: Usd(rates.cache_write_long.0 % 100_000_000),
            output: Usd(rates.output.0 % 100_000_000),
        })
    }

    fn tokens() -> impl Strategy<Value = Tokens> {
        any::<[u64; 6]>().prop_map(|counts| {
            let [
                input,
                cached,
                cache_written,
                cache_written_long,
                output,
                reasoning,
            ] = counts;
            Tokens {
                input,
                cached,
                cache_written,
                cache_written_long,
                output,
                reasoning,
            }
        })
    }

    fn few(tokens: Tokens) -> Tokens {
        Tokens {
            input: tokens.input % 1_000_000,
            cached: tokens.cached % 1_000_000,
            cache_written: tokens.cache_written % 1_000_000,
            cache_written_long: tokens.cache_written_long % 1_000_000,
            output: tokens.output % 100_000,
            reasoning: 0,
        }
    }

    #[test]
    fn each_kind_of_token_has_its_rate_and_the_sum_is_rounded_up() {
        let rates = Rates {
            input: Usd(3_000_000),
            cached_input: Usd(300_000),
            cache_write: Usd(3_750_000),
            cache_write_long: Usd(6_000_000),
            output: Usd(15_000_000),
        };
        let price = Price::PerMillion(rates);
        let tokens = Tokens {
            input: 1000,
            cached: 600,
            cache_written: 300,
            cache_written_long: 100,
            output: 10,
            reasoning: 5,
        };
        // 100 plain, 600 read, 200 written, 100 written for long, 10 out.
        assert_eq!(price.cost(tokens), Usd(300 + 180 + 750 + 600 + 150));
        let one = Tokens {
            input: 1,
            cached: 1,
            ..Tokens::default()
        };
        assert_eq!(price.cost(one), Usd(1), "0.3 micro-dollars");
        assert_eq!(price.cost(Tokens::default()), Usd(0));
        assert_eq!(Price::Free.cost(tokens), Usd(0));
        assert_eq!(price.at_most(tokens), Usd(6000 + 150));
    }

    #[test]
    fn a_long_prompt_makes_the_whole_call_dearer() {
        let price = Price::Tiered {
            short: Rates::plain(Usd(1_000_000), Usd(2_000_000)),
            above: 100,
            long: Rates::plain(Usd(2_000_000), Usd(3_000_000)),
        };
        let tokens = |input| Tokens {
            input,
            output: 10,
            ..Tokens::default()
        };
        assert_eq!(price.cost(tokens(100)), Usd(120));
        assert_eq!(price.cost(tokens(101)), Usd(232));
        assert_eq!(price.at_most(tokens(100)), Usd(120));
        assert_eq!(price.at_most(tokens(101)), Usd(232));
    }

    proptest! {
        #[test]
        fn nothing_overflows(rates in rates(), tokens in tokens()) {
            let price = Price::PerMillion(rates);
            prop_assert!(price.cost(tokens) >= Usd(0));
            prop_assert!(price.at_most(tokens) >= price.cost(tokens));
        }

        #[test]
        fn no_call_costs_more_than_its_bound(
            short in small_rates(),
            long in small_rates(),
            above in 0..1_000_000_u64,
            bound in tokens(),
            part in tokens(),
        ) {
            let bound = few(bound);
            let used = Tokens {
                input: few(part).input.min(bound.input),
                output: few(part).output.min(bound.output),
                ..few(part)
            };
            for price in [
                Price::Free,
                Price::PerMillion(short),
                Price::Tiered { short, above, long },
            ] {
                prop_assert!(price.cost(used) <= price.at_most(bound), "{price:?}");
            }
        }

        #[test]
        fn without_caches_a_cost_is_what_it_says(rates in small_rates(), tokens in tokens()) {
            let Tokens { input, output, .. } = few(tokens);
            let plain = Tokens { input, output, ..Tokens::default() };
            let exact = i128::from(input) * i128::from(rates.input.0)
                + i128::from(output) * i128::from(rates.output.0);
            let cost = i128::from(Price::PerMillion(rates).cost(plain).0);
            prop_assert_eq!(cost, (exact + 999_999) / 1_000_000);
        }
    }
}
