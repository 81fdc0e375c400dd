//! Columns of text under headings, fitted to the screen.

use super::screen::{Screen, Tone};
use super::text::{columns, cut, one_line, pad};

const GAP: usize = 2;
/// A column that gives way keeps so many columns: enough to recognise what is in it.
const SHRUNK_MIN: usize = 8;
/// Letters of a heading by which a reader knows it.
const HEADING_MIN: usize = 4;

/// A cell: text, and how it is meant.
pub struct Cell(pub String, pub Tone);

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self(text, Tone::Plain)
    }
}

/// Rows under headings. Ids are to be copied, so only the columns named as `shrinking` give way to a narrow screen.
pub struct Table<'a> {
    pub headings: &'a [&'a str],
    pub shrinking: &'a [usize],
    pub rows: Vec<Vec<Cell>>,
}

impl Table<'_> {
    /// Lines, each with its end.
    pub fn render(mut self, screen: &Screen) -> String {
        for cell in self.rows.iter_mut().flatten() {
            cell.0 = one_line(&cell.0);
        }
        let widths = self.widths(screen.width);
        let headings = self.headings.iter().map(|heading| Cell((*heading).to_owned(), Tone::Dim)).collect();
        let all = std::iter::once(headings).chain(self.rows);
        all.map(|row| line(&row, &widths, screen) + "\n").collect()
    }

    fn widths(&self, available: Option<usize>) -> Vec<usize> {
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(&cell.0));
            cells.chain([columns(self.headings[column])]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.headings.len()).map(widest).collect();
        let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let mut excess = available.map_or(0, |available| total.saturating_sub(available));
        while let Some(column) = self.shrinking.iter().copied().max_by_key(|column| widths[*column])
            && excess > 0
            && widths[column] > SHRUNK_MIN
        {
            widths[column] -= 1;
            excess -= 1;
        }
        self.cut_headings(&mut widths, excess);
        widths
    }

    /// Where that was not enough, headings that are wider than all below them give way as well.
    fn cut_headings(&self, widths: &mut [usize], excess: usize) {
        let cells =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(&cell.0)).max();
        for _ in 0..excess {
            let spare = |column: &usize| widths[*column].saturating_sub(cells(*column).unwrap_or(0).max(HEADING_MIN));
            match (0..widths.len()).filter(|column| spare(column) > 0).max_by_key(spare) {
                Some(column) => widths[column] -= 1,
                None => return,
            }
        }
    }
}

fn line(row: &[Cell], widths: &[usize], screen: &Screen) -> String {
    let mut line = String::new();
    for (place, (Cell(text, tone), width)) in row.iter().zip(widths).enumerate() {
        let text = cut(text, *width);
        line.push_str(&screen.paint(*tone, &text));
        if place + 1 < row.len() {
            line.push_str(&pad("", width - columns(&text) + GAP));
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(width: Option<usize>) -> String {
        let row = |cells: [&str; 3]| cells.map(|cell| Cell::from(cell.to_owned())).into_iter().collect();
        let rows = vec![row(["one", "a-rather-long-class", "x"]), row(["three-three", "Short", "y"])];
        let table = Table { headings: &["NAME", "CLASS", "N"], shrinking: &[1], rows };
        table.render(&Screen::plain(width, jiff::Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let expected = "NAME         CLASS                N\n\
                        one          a-rather-long-class  x\n\
                        three-three  Short                y\n";
        assert_eq!(render(None), expected);
    }

    #[test]
    fn headings_give_way_to_a_narrow_screen_after_that() {
        let rows = vec![vec![Cell::from("an-identifier".to_owned()), Cell::from("3".to_owned())]];
        let table = Table { headings: &["NAME", "LIVE INSTANCES"], shrinking: &[], rows };
        let narrow = table.render(&Screen::plain(Some(21), jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(narrow, "NAME           LIVE …\nan-identifier  3\n");
    }

    #[test]
    fn a_narrow_screen_takes_from_the_columns_that_may_shrink() {
        let expected = "NAME         CLASS       N\n\
                        one          a-rather-…  x\n\
                        three-three  Short       y\n";
        assert_eq!(render(Some(26)), expected);
        assert!(render(Some(1)).contains("a-rathe…"), "{}", render(Some(1)));
    }
}
