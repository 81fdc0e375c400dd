//! The server's clock: the one place that says what time it is and how long a time on it takes.
//!
//! It is the machine's, unless a test has set it (`--test-clock`): then it begins at a moment of the test's choice and may
//! run faster. User code keeps the machine's clock, and so do timeouts that watch processes and connections.

use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stepwell_engine::Millis;

static TEST_CLOCK: OnceLock<Running> = OnceLock::new();

/// A clock for tests: `2026-11-21T10:00:00Z`, or with its speed `2026-11-21T10:00:00Z*60`; `now` stands for the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestClock {
    /// What it shows when it is set; the machine's time where absent.
    pub start_at: Option<Millis>,
    /// Its seconds in one second.
    pub speed: u32,
}

#[derive(Debug)]
struct Running {
    start_at: Millis,
    speed: u32,
    since: Instant,
}

impl FromStr for TestClock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (start, speed) = text.split_once('*').unwrap_or((text, "1"));
        let start_at = match start {
            "now" => None,
            time => Some(time.parse::<jiff::Timestamp>().map_err(|error| error.to_string())?.as_millisecond()),
        };
        let speed = speed.parse().ok().filter(|speed| *speed > 0);
        Ok(Self { start_at, speed: speed.ok_or("the speed is a number from 1")? })
    }
}

impl TestClock {
    /// Lets this be the process's clock from now on. The first one stays.
    pub fn set(self) {
        let running =
            || Running { start_at: self.start_at.unwrap_or_else(machine_ms), speed: self.speed, since: Instant::now() };
        TEST_CLOCK.get_or_init(running);
    }
}

/// Now, in epoch milliseconds.
#[must_use]
pub fn now_ms() -> Millis {
    TEST_CLOCK.get().map_or_else(machine_ms, |clock| clock.at(clock.since.elapsed()))
}

/// How long so many milliseconds of this clock take.
#[must_use]
pub fn real(ms: u64) -> Duration {
    let real = Duration::from_millis(ms);
    TEST_CLOCK.get().map_or(real, |clock| real / clock.speed)
}

impl Running {
    fn at(&self, passed: Duration) -> Millis {
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        self.start_at.saturating_add(passed_ms.saturating_mul(i64::from(self.speed)))
    }
}

fn machine_ms() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_clock_has_a_start_and_a_speed() {
        assert_eq!("now*60".parse(), Ok(TestClock { start_at: None, speed: 60 }));
        assert_eq!("1970-01-01T00:00:02Z".parse(), Ok(TestClock { start_at: Some(2_000), speed: 1 }));
        for text in ["soon", "now*0", "now*fast", "*2"] {
            assert!(text.parse::<TestClock>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_fast_clock_passes_time_faster() {
        let clock = Running { start_at: 5, speed: 60, since: Instant::now() };
        assert_eq!(clock.at(Duration::from_millis(10)), 605);
    }
}
