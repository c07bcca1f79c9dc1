//! Rows in columns, for terminals: whatever is in a cell is only shown.

use std::fmt;
use std::io;
use std::io::Write;

use crate::model::printable::printable;

/// Rows of as many cells each, in columns as wide as their widest cell.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// How wide the columns of rows that are printed already were.
    widths: Vec<usize>,
}

/// No column is wider, but for the last.
const WIDEST: usize = 44;

impl Table {
    /// With this row above the others.
    pub(super) fn headed(names: &[&str]) -> Table {
        let names = names.iter().map(ToString::to_string).collect();
        Table {
            rows: vec![names],
            widths: Vec::new(),
        }
    }

    /// Adds a row; a cell without text shows as `-`.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        let last = cells.len().saturating_sub(1);
        let shown = |(n, cell): (usize, String)| match cell.is_empty() {
            true => "-".to_owned(),
            false if n == last => printable(&cell).into_owned(),
            false => cut(&printable(&cell)),
        };
        self.rows
            .push(cells.into_iter().enumerate().map(shown).collect());
    }

    /// Prints the rows there are, and forgets them; those that are added later keep to the columns.
    pub(super) fn print(&mut self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{self}")?;
        self.widths = self.widths();
        self.rows.clear();
        Ok(())
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = self.widths.clone();
        for row in &self.rows {
            for (n, cell) in row.iter().enumerate() {
                let wide = cell.chars().count();
                match widths.get_mut(n) {
                    Some(width) => *width = wide.max(*width),
                    None => widths.push(wide),
                }
            }
        }
        widths
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDEST) {
        None => text.to_owned(),
        Some(_) => text.chars().take(WIDEST - 1).chain(['…']).collect(),
    }
}

impl fmt::Display for Table {
    /// Two blanks between columns, none at the end of a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let cells = row.iter().zip(&widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::headed(&["id", "tags", "at"]);
        table.row(vec!["ü".into(), String::new(), "a.yaml:1".into()]);
        table.row(vec!["x".repeat(50), "T".into(), "y".repeat(50)]);
        let expected = format!(
            "{:44}  tags  at\n{:44}  -     a.yaml:1\n{}…  T     {}\n",
            "id",
            "ü",
            "x".repeat(43),
            "y".repeat(50)
        );
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn rows_that_come_later_keep_to_the_columns() {
        let mut table = Table::headed(&["id", "tags"]);
        let mut printed = Vec::new();
        for id in ["abcdef", "a"] {
            table.row(vec![id.into(), "\u{1b}[2J".into()]);
            table.print(&mut printed).unwrap();
        }
        let expected = "id      tags\nabcdef  \\u{1b}[2J\na       \\u{1b}[2J\n";
        assert_eq!(String::from_utf8(printed).unwrap(), expected);
    }
}
