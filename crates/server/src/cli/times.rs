//! Times and durations as people read them: where they are, and how far away.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// `2026-11-21 12:00:00 CET`.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// `12:00:00`, with the date unless it is the day of `beside`.
pub fn local_beside(at: Timestamp, beside: Timestamp, zone: &TimeZone) -> String {
    let (at, beside) = (at.to_zoned(zone.clone()), beside.to_zoned(zone.clone()));
    let format = if at.date() == beside.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    at.strftime(format).to_string()
}

/// `3 min ago`, `in 2 h`, `now`: one unit, as nobody needs more.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let away_ms = millis(now, at);
    let text = match away_ms.abs() {
        0..SECOND_MS => return "now".to_owned(),
        ms @ SECOND_MS..MINUTE_MS => format!("{} s", ms / SECOND_MS),
        ms @ MINUTE_MS..HOUR_MS => format!("{} min", ms / MINUTE_MS),
        ms @ HOUR_MS..DAY_MS => format!("{} h", ms / HOUR_MS),
        ms if ms < 2 * DAY_MS => "1 day".to_owned(),
        ms => format!("{} days", ms / DAY_MS),
    };
    if away_ms > 0 { format!("in {text}") } else { format!("{text} ago") }
}

/// `2026-11-21 12:00:00 CET (3 min ago)`.
pub fn local_and_relative(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    format!("{} ({})", local(at, zone), relative(at, now))
}

/// Milliseconds from `from` to `to`.
pub fn millis(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond() - from.as_millisecond()
}

/// `120 ms`, `1.5 s`, `2 min 5 s`, `3 h 4 min`, `2 days 3 h`: two units at most. A clock that was set back counts as 0.
pub fn duration(ms: i64) -> String {
    let two = |big: i64, big_name: &str, small: i64, small_name: &str| match small {
        0 => format!("{big} {big_name}"),
        _ => format!("{big} {big_name} {small} {small_name}"),
    };
    match ms.max(0) {
        ms @ 0..SECOND_MS => format!("{ms} ms"),
        ms @ SECOND_MS..MINUTE_MS => seconds(ms),
        ms @ MINUTE_MS..HOUR_MS => two(ms / MINUTE_MS, "min", ms % MINUTE_MS / SECOND_MS, "s"),
        ms @ HOUR_MS..DAY_MS => two(ms / HOUR_MS, "h", ms % HOUR_MS / MINUTE_MS, "min"),
        ms => {
            let days = ms / DAY_MS;
            two(days, if days == 1 { "day" } else { "days" }, ms % DAY_MS / HOUR_MS, "h")
        }
    }
}

/// Tenths where there are any; cut, not rounded, so that it never says 60.
fn seconds(ms: i64) -> String {
    match (ms / SECOND_MS, ms % SECOND_MS / 100) {
        (whole, 0) => format!("{whole} s"),
        (whole, tenths) => format!("{whole}.{tenths} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn durations_have_the_units_that_matter() {
        for (ms, text) in [
            (-5, "0 ms"),
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_590, "1.5 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (125_000, "2 min 5 s"),
            (3 * HOUR_MS + 4 * MINUTE_MS, "3 h 4 min"),
            (DAY_MS, "1 day"),
            (2 * DAY_MS + 3 * HOUR_MS, "2 days 3 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn distances_are_told_in_one_unit() {
        let now = at("2026-11-21T12:00:00Z");
        for (time, text) in [
            ("2026-11-21T11:59:59.5Z", "now"),
            ("2026-11-21T11:59:18Z", "42 s ago"),
            ("2026-11-21T12:04:30Z", "in 4 min"),
            ("2026-11-21T09:59:00Z", "2 h ago"),
            ("2026-11-22T12:00:00Z", "in 1 day"),
            ("2026-12-21T12:00:00Z", "in 30 days"),
        ] {
            assert_eq!(relative(at(time), now), text);
        }
    }

    #[test]
    fn a_time_of_the_same_day_needs_no_date() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let created = at("2026-11-21T12:00:00Z");
        assert_eq!(local_beside(at("2026-11-21T21:59:59Z"), created, &zone), "23:59:59");
        assert_eq!(local_beside(at("2026-11-21T22:00:00Z"), created, &zone), "2026-11-22 00:00:00");
        assert_eq!(local(created, &TimeZone::UTC), "2026-11-21 12:00:00 UTC");
    }
}
