//! The duration grammar of Cloudflare Workflows (that of the npm package `itty-time`), for durations that reach the server
//! without passing through the shim, which has the same grammar in JavaScript.

/// Milliseconds of a text such as `30 seconds`, `1.5 hours` or `500`; `None` where it is no duration. An unknown unit,
/// which the original takes for milliseconds, is none: what is read here says when data are deleted.
#[must_use]
pub fn parse_ms(text: &str) -> Option<u64> {
    if let Some(ms) = number(text.trim()) {
        return whole(ms);
    }
    let (value, unit) = text.split_once(' ')?;
    let unit = unit.trim_start_matches(' ');
    whole(number(value)? * unit_ms(unit)?)
}

/// A number of milliseconds, as user code may give one.
#[must_use]
pub fn whole(ms: f64) -> Option<u64> {
    (ms.is_finite() && ms >= 0.0 && ms < u64::MAX as f64).then_some(ms.round() as u64)
}

fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_plain { text.parse().ok() } else { None }
}

fn unit_ms(unit: &str) -> Option<f64> {
    Some(match unit.strip_suffix('s').unwrap_or(unit) {
        "m" if unit == "ms" => 1.0,
        "second" => 1e3,
        "minute" => 60e3,
        "hour" => 3_600e3,
        "day" => 86_400e3,
        "week" => 604_800e3,
        "month" => 2_592_000e3,
        "year" => 31_557_600e3,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_cloudflare_reads_them() {
        for (text, expected) in [
            ("500", Some(500)),
            ("1 second", Some(1_000)),
            ("30 seconds", Some(30_000)),
            ("1.5 hours", Some(5_400_000)),
            ("1e3 minutes", Some(60_000_000)),
            ("7  days", Some(604_800_000)),
            ("1 month", Some(2_592_000_000)),
            ("1 year", Some(31_557_600_000)),
            ("3 ms", Some(3)),
            ("3 fortnights", None),
            ("3 d", None),
            ("3 m", None),
            ("i like trains", None),
            ("seven days", None),
            ("-1 day", None),
            ("7days", None),
            ("7 ", Some(7)),
            ("", None),
            ("inf", None),
        ] {
            assert_eq!(parse_ms(text), expected, "{text:?}");
        }
    }
}
