//! Tables as RFC 4180 has them, for whoever opens them in a spreadsheet.

use std::fmt::Write as _;

/// One table, its header first.
#[derive(Debug, Default)]
pub struct Csv(String);

impl Csv {
    /// Begins with the names of the columns.
    #[must_use]
    pub fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut csv = Self::default();
        csv.row(columns);
        csv
    }

    /// Adds a row.
    pub fn row<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) {
        for (place, field) in fields.into_iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            // A spreadsheet would run what begins like a formula.
            let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
            let text = format!("{guard}{field}");
            let text = match text.contains([',', '"', '\n', '\r']) {
                true => format!("\"{}\"", text.replace('"', "\"\"")),
                false => text,
            };
            let _ = write!(self.0, "{comma}{text}");
        }
        self.0.push_str("\r\n");
    }

    /// The whole table.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_is_quoted_and_what_would_run_is_not_run() {
        let mut csv = Csv::new(["a", "b"]);
        csv.row(["1,5", "say \"no\""]);
        csv.row(["=1+1", "-2"]);
        csv.row(["", "two\nlines"]);
        assert_eq!(csv.finish(), "a,b\r\n\"1,5\",\"say \"\"no\"\"\"\r\n'=1+1,'-2\r\n,\"two\nlines\"\r\n");
    }
}
