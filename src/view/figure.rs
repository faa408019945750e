//! Figures as people read them: shares, money, tokens, durations, moments.

use super::style::Style;
use crate::domain::{Tally, Usd};
use crate::lineage::SubjectSpend;
use crate::stats::{Interval, wilson};

/// Returns `3/10`, or a dash where nothing was counted.
pub(super) fn tally(tally: Tally) -> String {
    if tally.counted == 0 {
        "-".to_owned()
    } else {
        format!("{}/{}", tally.resolved, tally.counted)
    }
}

/// Returns the mean in percent without a sign, such as `30 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Returns the 95 % interval of a score.
pub(super) fn interval(tally: Tally) -> Interval {
    wilson(tally.resolved, tally.counted)
}

/// Returns the 95 % interval of a score in percent, such as `11–60 %`.
pub(super) fn interval_text(tally: Tally, style: Style) -> String {
    let Interval { low, high } = interval(tally);
    let to = style.glyphs().to;
    format!("{:.0}{to}{:.0} %", low * 100.0, high * 100.0)
}

/// Returns a difference of two shares in percentage points, with its sign.
pub(super) fn points(difference: f64, style: Style) -> String {
    let points = (difference * 100.0).round();
    if points > 0.0 {
        format!("+{points:.0}")
    } else if points < 0.0 {
        format!("{}{:.0}", style.glyphs().minus, -points)
    } else {
        "0".to_owned()
    }
}

/// Returns an amount with as many digits as it needs, such as `$0.0123` or `$12.34`.
pub(super) fn money(amount: Usd) -> String {
    let dollars = amount.dollars();
    if amount.0 == 0 {
        "$0".to_owned()
    } else if dollars.abs() < 1.0 {
        format!("${dollars:.4}")
    } else {
        format!("${dollars:.2}")
    }
}

/// Returns an amount like [`money`], but never less than it is: for what can be at most.
pub(super) fn money_up(amount: Usd) -> String {
    let digit = if amount.0.abs() < 1_000_000 {
        100
    } else {
        10_000
    };
    let over = amount.0.rem_euclid(digit);
    money(Usd(if over == 0 {
        amount.0
    } else {
        amount.0.saturating_add(digit - over)
    }))
}

/// Returns what calls cost in a cell: with a mark where it is the most that it can be,
/// because calls are unsettled, or partly an estimate.
pub(super) fn spent(spend: &SubjectSpend, style: Style) -> String {
    let glyphs = style.glyphs();
    match (spend.calls, spend.unsettled, spend.estimated) {
        (0, _, _) => String::new(),
        (_, 0, 0) => money(spend.cost),
        (_, 0, _) => format!("{}{}", glyphs.about, money(spend.cost)),
        (_, _, _) => format!("{}{}", glyphs.at_most, money_up(spend.at_most())),
    }
}

/// Says which part of a cost is not exact, to be put behind it; empty where all of it is.
pub(super) fn inexact(spend: &SubjectSpend) -> String {
    let estimated = match spend.estimated {
        0 => String::new(),
        _ => format!("; {} of it estimated", money(spend.estimated_cost)),
    };
    match spend.unsettled {
        0 => estimated,
        calls => format!(
            "{estimated}; {} unsettled: at most {} more",
            plural(calls, "call", "calls"),
            money_up(spend.unsettled_at_most)
        ),
    }
}

/// Returns a count with its digits in groups of three.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns `1 child` or `2 children`.
pub(super) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Returns milliseconds in units that suit them: `4.2 s`, `3 min 20 s`, `2 h 30 min`.
pub fn duration(ms: u64) -> String {
    if ms < 120_000 {
        return format!("{}.{} s", ms / 1000, ms % 1000 / 100);
    }
    if ms >= 7_200_000 {
        return format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000);
    }
    format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000)
}

/// Returns milliseconds as seconds, for JSON.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 milliseconds are 285,000 years"
)]
pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

/// Returns a size in bytes with a unit of 1024.
pub fn size(bytes: u64) -> String {
    let mut unit = "B";
    let mut shift = 0;
    for (index, larger) in ["KiB", "MiB", "GiB", "TiB"].into_iter().enumerate() {
        let next = 10 * (index + 1);
        if bytes >> next > 0 {
            (unit, shift) = (larger, next);
        }
    }
    if shift == 0 {
        return format!("{bytes} B");
    }
    let tenths = (bytes >> (shift - 10)) * 10 / 1024;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Returns a moment as RFC 3339 in UTC with seconds.
pub fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| format!("{ms} ms"),
        |moment| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// Returns the day of a moment in UTC.
pub(super) fn day(ms: i64) -> String {
    moment(ms).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::{Style, count, duration, moment, money, money_up, points, size};
    use crate::domain::Usd;

    #[test]
    fn reads_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(money(Usd(0)), "$0");
        assert_eq!(money(Usd(12_345)), "$0.0123");
        assert_eq!(money(Usd(12_345_678)), "$12.35");
        assert_eq!(money_up(Usd(12_345)), "$0.0124");
        assert_eq!(money_up(Usd(12_300)), "$0.0123");
        assert_eq!(money_up(Usd(999_901)), "$1.00");
        assert_eq!(money_up(Usd(1_000_001)), "$1.01");
        assert_eq!(duration(4_250), "4.2 s");
        assert_eq!(duration(200_000), "3 min 20 s");
        assert_eq!(duration(9_000_000), "2 h 30 min");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(20 << 30), "20.0 GiB");
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn signs_differences() {
        let style = Style::plain(80);
        assert_eq!(points(0.2, style), "+20");
        assert_eq!(points(-0.1, style), "−10");
        assert_eq!(points(0.001, style), "0");
    }
}
