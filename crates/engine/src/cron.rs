//! Cron expressions: when a schedule fires, in UTC, and the ids of the instances that its firings create.
//!
//! The grammar is that of Cloudflare's own parser (`saffron`): five fields, names of months and days, lists, ranges and
//! steps, `L`, `LW`, `L-3` and `15W` for days of the month, `6L` and `MON#2` for days of the week. Sunday is day 1.
//! Who fires, and what becomes of firings that were missed, is [`crate::schedules`].

use std::sync::Arc;

use chrono::DateTime;
use saffron::parse::{CronExpr, DayOfMonthExpr, DayOfWeekExpr, Expr, Exprs, OrsExpr};
use thiserror::Error;

use crate::Millis;
use crate::limits::CRON_CHARS_MAX;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Spans behind a time in which its latest firing is looked for, one after the other: most fire within the hour, and the
/// rarest, on a leap day, within eight years.
const LOOK_BACK_MS: [i64; 5] = [HOUR_MS, DAY_MS, 31 * DAY_MS, 366 * DAY_MS, 9 * 366 * DAY_MS];

/// A cron expression.
#[derive(Debug, Clone)]
pub struct Cron {
    text: Arc<str>,
    times: saffron::Cron,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a cron expression: {reason}")]
pub struct CronError {
    text: String,
    reason: String,
}

/// What a scheduled instance knows of its firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiringOf<'a> {
    /// The expression as it was configured.
    pub cron: &'a str,
    /// When it was due.
    pub at: Millis,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// Where it is too long, not in the grammar, holds a range that runs backwards, or can never fire.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let error = |reason: &str| CronError { text: text.to_owned(), reason: reason.to_owned() };
        if text.len() > CRON_CHARS_MAX {
            return Err(error(&format!("it is longer than {CRON_CHARS_MAX} characters")));
        }
        let expression: CronExpr = text.parse().map_err(|_| {
            error(
                "expected minute, hour, day of month, month and day of week, one space between them, as in \
                 \"*/30 * * * *\" or \"0 0 * * MON#2\"",
            )
        })?;
        if runs_backwards(&expression) {
            return Err(error("a range runs from its lower end to its upper one; write two ranges instead"));
        }
        let times = saffron::Cron::new(expression);
        if !times.any() {
            return Err(error("there is no such day in any year"));
        }
        Ok(Self { text: text.into(), times })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The first firing after a time.
    #[must_use]
    pub fn next_after(&self, at: Millis) -> Option<Millis> {
        let next = self.times.next_after(DateTime::from_timestamp_millis(at)?)?;
        Some(next.timestamp_millis())
    }

    /// The last firing after `after` and not after `until`.
    #[must_use]
    pub fn latest(&self, after: Millis, until: Millis) -> Option<Millis> {
        let starts = LOOK_BACK_MS.iter().map(|span_ms| after.max(until.saturating_sub(*span_ms)));
        starts.filter_map(|start| self.last_between(start, until)).next()
    }

    fn last_between(&self, start: Millis, until: Millis) -> Option<Millis> {
        let firings = std::iter::successors(self.next_after(start), |at| self.next_after(*at));
        firings.take_while(|at| *at <= until).last()
    }
}

/// The id of the instance that a firing creates; that it can be created once is what keeps a firing from doubling.
#[must_use]
pub fn instance_id(cron: &str, at: Millis) -> Arc<str> {
    format!("{cron}-{at}").into()
}

/// The firing that created an instance of that id. Users cannot choose ids with the spaces of a cron expression.
#[must_use]
pub fn firing_of(id: &str) -> Option<FiringOf<'_>> {
    let (cron, at) = id.rsplit_once('-').filter(|(cron, _)| cron.contains(' '))?;
    Some(FiringOf { cron, at: at.parse().ok()? })
}

fn runs_backwards(expression: &CronExpr) -> bool {
    let in_days = match &expression.doms {
        DayOfMonthExpr::Many(days) => any_backwards(days),
        _ => false,
    };
    let in_week = match &expression.dows {
        DayOfWeekExpr::Many(days) => any_backwards(days),
        _ => false,
    };
    let in_others = is_backwards(&expression.minutes) || is_backwards(&expression.hours);
    in_days || in_week || in_others || is_backwards(&expression.months)
}

fn is_backwards<E: PartialOrd>(field: &Expr<E>) -> bool {
    matches!(field, Expr::Many(parts) if any_backwards(parts))
}

fn any_backwards<E: PartialOrd>(parts: &Exprs<E>) -> bool {
    parts.iter().any(|part| match part {
        OrsExpr::Range(start, end) | OrsExpr::Step { start, end, .. } => start > end,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        let time: DateTime<chrono::Utc> = text.parse().expect(text);
        time.timestamp_millis()
    }

    /// The first firings of an expression after the Saturday 2026-11-21T10:24:09Z.
    fn check(cron: &str, expected: [&str; 2]) {
        let cron = Cron::parse(cron).expect(cron);
        let first = cron.next_after(at("2026-11-21T10:24:09Z")).expect("a firing");
        let second = cron.next_after(first).expect("another");
        assert_eq!([first, second], expected.map(at), "{}", cron.text());
    }

    #[test]
    fn expressions_fire_as_on_cloudflare() {
        check("*/30 * * * *", ["2026-11-21T10:30:00Z", "2026-11-21T11:00:00Z"]);
        check("0 0 * * MON#2", ["2026-12-14T00:00:00Z", "2027-01-11T00:00:00Z"]);
        check("0 0 1,15 * *", ["2026-12-01T00:00:00Z", "2026-12-15T00:00:00Z"]);
        check("59 23 LW * *", ["2026-11-30T23:59:00Z", "2026-12-31T23:59:00Z"]);
        check("0 18 * * friL", ["2026-11-27T18:00:00Z", "2026-12-25T18:00:00Z"]);
        check("0 0 15W JAN *", ["2027-01-15T00:00:00Z", "2028-01-14T00:00:00Z"]);
        check("0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    }

    #[test]
    fn sunday_is_the_first_day_of_the_week() {
        check("0 0 * * 1", ["2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"]);
    }

    #[test]
    fn a_day_of_the_month_or_of_the_week_is_enough() {
        check("0 0 1 * mon", ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]);
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_its_text() {
        let long = format!("{} * * * *", "0,".repeat(127));
        for text in ["", "* * * *", "* * * * * *", "60 * * * *", "@daily", "0 22-2 * * *", "0 0 30 2 *", &long] {
            let error = Cron::parse(text).expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn the_latest_firing_is_found_however_long_ago() {
        let now = at("2027-11-21T10:24:09Z");
        for (cron, after, expected) in [
            ("* * * * *", "2000-01-01T00:00:00Z", Some("2027-11-21T10:24:00Z")),
            ("0 0 1 * *", "2026-01-01T00:00:00Z", Some("2027-11-01T00:00:00Z")),
            ("0 0 29 2 *", "2000-01-01T00:00:00Z", Some("2024-02-29T00:00:00Z")),
            ("0 0 1 * *", "2027-11-01T00:00:00Z", None),
            ("24 10 * * *", "2027-11-21T10:23:59Z", Some("2027-11-21T10:24:00Z")),
        ] {
            assert_eq!(Cron::parse(cron).expect(cron).latest(at(after), now), expected.map(at), "{cron}");
        }
    }

    #[test]
    fn an_id_leads_back_to_its_firing() {
        let id = instance_id("0 0 * * MON#2", 1_786_001_400_000);
        assert_eq!(&*id, "0 0 * * MON#2-1786001400000");
        assert_eq!(firing_of(&id), Some(FiringOf { cron: "0 0 * * MON#2", at: 1_786_001_400_000 }));
        assert_eq!(firing_of("order-17"), None);
    }
}
