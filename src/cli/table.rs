//! Rows in columns, for terminals.

use std::fmt;

/// Rows of as many cells each, in columns as wide as their widest cell.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Vec<String>>);

/// No column is wider, but for the last.
const WIDEST: usize = 44;

impl Table {
    /// With this row above the others.
    pub(super) fn headed(names: &[&str]) -> Table {
        Table(vec![names.iter().map(ToString::to_string).collect()])
    }

    /// Adds a row; a cell without text shows as `-`.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        let last = cells.len().saturating_sub(1);
        let shown = |(n, cell): (usize, String)| match cell.is_empty() {
            true => "-".to_owned(),
            false if n == last => cell,
            false => cut(&cell),
        };
        self.0
            .push(cells.into_iter().enumerate().map(shown).collect());
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
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.0 {
            for (n, cell) in row.iter().enumerate() {
                let wide = cell.chars().count();
                match widths.get_mut(n) {
                    Some(width) => *width = wide.max(*width),
                    None => widths.push(wide),
                }
            }
        }
        for row in &self.0 {
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
}
