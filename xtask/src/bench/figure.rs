//! A figure of the benchmark with the goal it is held against, and the table of all of them.

use serde_json::{Value, json};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
    /// It only tells.
    None,
}

/// One measured figure.
#[derive(Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// In `unit`.
    pub value: f64,
    /// Unit.
    pub unit: &'static str,
    /// What it should be.
    pub goal: Goal,
}

impl Figure {
    /// A figure.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, goal: Goal) -> Self {
        Self { name: name.into(), value, unit, goal }
    }

    fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(bound) => Some(self.value >= bound),
            Goal::AtMost(bound) => Some(self.value <= bound),
            Goal::None => None,
        }
    }

    fn goal_text(&self) -> String {
        match self.goal {
            Goal::AtLeast(bound) => format!("≥ {}", number(bound)),
            Goal::AtMost(bound) => format!("≤ {}", number(bound)),
            Goal::None => String::new(),
        }
    }

    /// The figure for programs.
    pub fn to_json(&self) -> Value {
        let (least, most) = match self.goal {
            Goal::AtLeast(bound) => (Some(bound), None),
            Goal::AtMost(bound) => (None, Some(bound)),
            Goal::None => (None, None),
        };
        json!({
            "name": self.name, "value": self.value, "unit": self.unit,
            "at_least": least, "at_most": most, "met": self.is_met(),
        })
    }
}

/// The figures for people, as a Markdown table.
pub fn table(figures: &[Figure]) -> String {
    let mut text = "| what | measured | goal | |\n|---|---:|---:|---|\n".to_owned();
    for figure in figures {
        let met = match figure.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        let Figure { name, unit, .. } = figure;
        text += &format!("| {name} | {} {unit} | {} | {met} |\n", number(figure.value), figure.goal_text());
    }
    text
}

/// The middle of some measurements, the lower one of two.
pub fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured.get(measured.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Three significant digits; whole numbers in groups of three.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        for (value, text) in
            [(0.3456, "0.346"), (12.0, "12"), (99.95, "99.95"), (123.6, "124"), (1234567.0, "1,234,567")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.0);
    }

    #[test]
    fn a_missed_goal_is_told() {
        let figures =
            [Figure::new("speed", 40.0, "steps/s", Goal::AtLeast(50.0)), Figure::new("x", 1.0, "s", Goal::None)];
        assert!(table(&figures).contains("| speed | 40 steps/s | ≥ 50 | missed |\n| x | 1 s |  |  |\n"));
    }
}
