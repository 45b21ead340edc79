//! How does the exercise show what it did? A row a step: what, whether, how long.

use std::time::Duration;

/// The steps so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    step: String,
    took: Duration,
    outcome: Result<String, String>,
}

impl Table {
    /// Adds a step, and gives its row as it is printed at once.
    pub(super) fn add(
        &mut self,
        step: &str,
        took: Duration,
        outcome: Result<String, String>,
    ) -> String {
        let row = Row { step: step.to_owned(), took, outcome };
        let line = row.line();
        self.rows.push(row);
        line
    }

    pub(super) fn has_passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|it| it.outcome.is_ok())
    }

    /// The last line.
    pub(super) fn summary(&self, took: Duration) -> String {
        let failed = self.rows.iter().filter(|it| it.outcome.is_err()).count();
        let passed = self.rows.len() - failed;
        format!("\n{passed} steps passed, {failed} failed, in {:.1} s\n", took.as_secs_f64())
    }
}

impl Row {
    fn line(&self) -> String {
        let (mark, text) = match &self.outcome {
            Ok(text) => ("ok  ", text),
            Err(text) => ("FAIL", text),
        };
        format!("{mark} {:>7.2} s  {:<44} {text}\n", self.took.as_secs_f64(), self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_whole_and_no_step_is_no_pass() {
        let mut table = Table::default();
        assert!(!table.has_passed());

        table.add("a push", Duration::from_secs(1), Ok("one Job".to_owned()));
        assert!(table.has_passed());

        let line = table.add("a crash", Duration::from_secs(1), Err("two Jobs".to_owned()));
        assert!(line.starts_with("FAIL") && line.contains("two Jobs"), "{line}");
        assert!(!table.has_passed());
    }
}
