//! Sets of completion indexes, as a status writes them: `1,3-5,7`.

use std::{collections::BTreeSet, fmt::Write as _};

/// Reads a set, leaving out what a Job of so many completions does not have.
pub(crate) fn parse(text: &str, completions: u32) -> BTreeSet<u32> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else { continue };
        indexes.extend(first..=last.min(completions.saturating_sub(1)));
    }
    indexes
}

/// Writes a set: neighbours of three and more as a range, two as a pair.
pub(crate) fn text(indexes: &BTreeSet<u32>) -> String {
    let mut text = String::new();
    let mut rest = indexes.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while rest.next_if_eq(&(last + 1)).is_some() {
            last += 1;
        }
        let comma = if text.is_empty() { "" } else { "," };
        // Writing into a text cannot fail.
        let _written = match last - first {
            0 => write!(text, "{comma}{first}"),
            1 => write!(text, "{comma}{first},{last}"),
            _ => write!(text, "{comma}{first}-{last}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_ranges_and_read_back() {
        let set = BTreeSet::from([0, 2, 3, 5, 6, 7, 8]);

        assert_eq!(text(&set), "0,2,3,5-8");
        assert_eq!(parse("0,2,3,5-8", 9), set);
        assert_eq!(parse("0,2,3,5-8", 6), BTreeSet::from([0, 2, 3, 5]));
        assert_eq!(parse("", 6), BTreeSet::new());
        assert_eq!(text(&BTreeSet::new()), "");
    }
}
