//! `stepwell workflows instances list`: instances of a workflow, a page at a time.

use clap::Args;
use hyper::Method;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::client::{Answer, Ask};
use super::desk::Desk;
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::one_line;
use super::watch::{until_interrupted, watch_list};
use super::workflows::check_name;
use super::{CliError, ExitCode, status, times};

/// Of a day, as far as the API counts.
const LAST_MOMENT: Time = Time::constant(23, 59, 59, 999_000_000);

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Name of the workflow
    name: String,
    /// Only instances of this status
    #[arg(long, value_parser = status::WORDS)]
    status: Option<String>,
    /// The oldest first
    #[arg(long)]
    reverse: bool,
    /// Which page of the list
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// Instances on a page
    #[arg(long, value_name = "N")]
    per_page: Option<u32>,
    /// Only instances created at this time or later, as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = first_moment)]
    date_start: Option<Timestamp>,
    /// Only instances created until this time; a date means all of that day, in UTC
    #[arg(long, value_name = "TIME", value_parser = last_moment)]
    date_end: Option<Timestamp>,
    /// Show it again whenever something changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    status: String,
    created_on: Timestamp,
    started_on: Option<Timestamp>,
    ended_on: Option<Timestamp>,
    wake_at: Option<Timestamp>,
}

impl ListArgs {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        check_name(&self.name)?;
        if let (Some(start), Some(end)) = (self.date_start, self.date_end)
            && start > end
        {
            let message = format!("--date-start {start} is after --date-end {end}, so nothing is between them");
            return Err(CliError::Usage(message));
        }
        let told = |answer: &Answer, screen: &Screen| self.told(answer, screen);
        if self.watch {
            return until_interrupted(watch_list(desk, &self.ask(), told)).await;
        }
        let answer = desk.client.ask(self.ask()).await?;
        match desk.screen.is_json {
            true => desk.screen.line(answer.result.get())?,
            false => desk.screen.print(&self.told(&answer, desk.screen)?)?,
        }
        Ok(ExitCode::Ok)
    }

    fn ask(&self) -> Ask {
        let per_page = self.per_page.map(|count| count.to_string());
        let page = (self.page > 1).then(|| self.page.to_string());
        let date = |date: Option<Timestamp>| date.map(|date| date.to_string());
        Ask::new(Method::GET, &["workflows", &self.name, "instances"])
            .query("direction", if self.reverse { "asc" } else { "desc" })
            .maybe_query("status", self.status.as_deref())
            .maybe_query("per_page", per_page.as_deref())
            .maybe_query("page", page.as_deref())
            .maybe_query("date_start", date(self.date_start).as_deref())
            .maybe_query("date_end", date(self.date_end).as_deref())
    }

    fn told(&self, answer: &Answer, screen: &Screen) -> Result<String, CliError> {
        let rows: Vec<Row> = answer.parse()?;
        if rows.is_empty() {
            return Ok(self.none() + "\n");
        }
        let count = rows.len();
        let mut text = table(rows, screen).render(screen);
        if answer.info.cursor.as_deref().is_some_and(|cursor| !cursor.is_empty()) {
            let of = answer.info.total_count.map_or_else(String::new, |total| format!(" of {total}"));
            let more = format!("{count}{of} instances; the next are on --page {}", self.page + 1);
            text += &(screen.paint(Tone::Dim, &more) + "\n");
        }
        Ok(text)
    }

    fn none(&self) -> String {
        let name = one_line(&self.name);
        if self.page > 1 {
            return format!("No instances on page {}.", self.page);
        }
        match &self.status {
            Some(status) => format!("Workflow {name} has no instance that is {status}."),
            None => format!("Workflow {name} has no instances. Create one with `stepwell workflows trigger {name}`."),
        }
    }
}

fn table(rows: Vec<Row>, screen: &Screen) -> Table<'static> {
    let now = screen.now();
    let row = |row: Row| {
        let took = row.started_on.map(|start| times::millis(start, row.ended_on.unwrap_or(now)));
        let wakes = row.wake_at.filter(|_| row.ended_on.is_none()).map(|at| times::relative(at, now));
        vec![
            row.id.into(),
            Cell(status::label(&row.status), status::tone(&row.status)),
            times::local_and_relative(row.created_on, now, &screen.zone).into(),
            took.map_or_else(String::new, times::duration).into(),
            wakes.unwrap_or_default().into(),
        ]
    };
    Table {
        headings: &["INSTANCE", "STATUS", "CREATED", "DURATION", "WAKES"],
        shrinking: &[2],
        rows: rows.into_iter().map(row).collect(),
    }
}

fn first_moment(text: &str) -> Result<Timestamp, String> {
    moment(text, Time::midnight())
}

fn last_moment(text: &str) -> Result<Timestamp, String> {
    moment(text, LAST_MOMENT)
}

/// A time, or `of_day` of a date.
fn moment(text: &str, of_day: Time) -> Result<Timestamp, String> {
    let of_date = || text.parse::<Date>().ok()?.to_datetime(of_day).to_zoned(TimeZone::UTC).ok();
    let time = text.parse::<Timestamp>().ok().or_else(|| of_date().map(|zoned| zoned.timestamp()));
    time.ok_or_else(|| "write a time as 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_all_of_its_day() {
        for (text, first, last) in [
            ("2026-01-31", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59.999Z"),
            ("2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00Z", "2026-01-31T11:00:00Z"),
        ] {
            let told = |moment: Result<Timestamp, String>| moment.map(|moment| moment.to_string());
            assert_eq!(
                (told(first_moment(text)), told(last_moment(text))),
                (Ok(first.to_owned()), Ok(last.to_owned()))
            );
        }
        assert!(first_moment("yesterday").is_err());
    }
}
