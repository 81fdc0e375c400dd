//! What stands on a terminal and is drawn over, so that it changes in place and nothing flickers.

use super::screen::Screen;

/// Lines that stay at the top of a screen that is too low: what it is about.
const HEAD_LINES: usize = 5;
/// A line that the terminal broke in two would be covered in half; characters may be wider than we count.
const NO_LINE_BREAKS: &str = "\u{1b}[?7l";
const LINE_BREAKS: &str = "\u{1b}[?7h";

/// A drawing on the screen.
#[derive(Debug, Default)]
pub struct Drawing {
    lines: usize,
}

impl Drawing {
    /// What puts `lines` in place of the last drawing on a terminal. Whoever is interrupted in between leaves no trace.
    pub fn redrawn(&mut self, lines: Vec<String>, screen: &Screen) -> String {
        format!("{NO_LINE_BREAKS}{}{LINE_BREAKS}", self.over(fitted(lines, screen)))
    }

    /// What puts `lines` in place of the last drawing. Each line clears what it covers.
    pub fn over(&mut self, lines: Vec<String>) -> String {
        if self.lines == 0 && lines.is_empty() {
            return String::new();
        }
        let up = if self.lines > 0 { format!("\u{1b}[{}A\r", self.lines) } else { String::new() };
        let clears = self.lines > 0;
        self.lines = lines.len();
        let end = if clears { "\u{1b}[K\n" } else { "\n" };
        let below = if clears { "\u{1b}[J" } else { "" };
        let body: String = lines.into_iter().map(|line| line + end).collect();
        format!("{up}{body}{below}")
    }
}

/// What cannot be scrolled back to cannot be drawn over: the middle is left out where the screen is too low.
fn fitted(lines: Vec<String>, screen: &Screen) -> Vec<String> {
    let rows = screen.rows.map_or(usize::MAX, |rows| rows.saturating_sub(1)).max(HEAD_LINES + 2);
    if lines.len() <= rows {
        return lines;
    }
    let tail = rows - HEAD_LINES - 1;
    let left_out = lines.len() - HEAD_LINES - tail;
    let mut shown = lines[..HEAD_LINES].to_vec();
    shown.push(format!("… {left_out} more lines"));
    shown.extend_from_slice(&lines[lines.len() - tail..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_drawing_covers_the_one_before() {
        let mut drawing = Drawing::default();
        assert_eq!(drawing.over(lines(&["a", "b"])), "a\nb\n");
        assert_eq!(drawing.over(lines(&["c"])), "\u{1b}[2A\rc\u{1b}[K\n\u{1b}[J");
        assert_eq!(drawing.over(lines(&["d"])), "\u{1b}[1A\rd\u{1b}[K\n\u{1b}[J");
    }

    #[test]
    fn a_low_screen_shows_the_head_and_the_newest() {
        let mut screen = Screen::plain(None, jiff::Timestamp::UNIX_EPOCH);
        let all: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(fitted(all.clone(), &screen), all);
        screen.rows = Some(10);
        assert_eq!(fitted(all, &screen), lines(&["0", "1", "2", "3", "4", "… 12 more lines", "17", "18", "19"]));
    }
}
