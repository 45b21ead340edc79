//! Sets of a Job's indexes as text, such as `1,3-5`: how many there are, and what is wrong with the text.

/// How many indexes a text names, of a Job that has so many.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let (mut total, mut last) = (0, None);
    for part in text.split(',') {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|it| *it >= first) {
            return Err(out_of_order(last, first));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that two texts share, as far as they can be read.
pub(super) fn overlap(one: &str, other: &str, completions: i64) -> Option<i64> {
    let read = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|it| interval(it, completions).ok()).collect()
    };
    let (one, other) = (read(one), read(other));
    let shared = one.iter().flat_map(|(first, last)| {
        let within = other.iter().filter(move |it| *first <= it.1 && it.0 <= *last);
        within.map(move |it| it.0.max(*first))
    });
    shared.min()
}

fn interval(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let mut limits = part.split('-');
    let first = index(limits.next().unwrap_or_default(), completions);
    let last = limits.next();
    if limits.next().is_some() {
        return Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most \
             two parts separated by '-'"
        ));
    }
    let first = first?;
    let Some(last) = last else { return Ok((first, first)) };
    let last = index(last, completions)?;
    if first >= last {
        return Err(out_of_order(first, last));
    }
    Ok((first, last))
}

fn index(text: &str, completions: i64) -> Result<i64, String> {
    let number = text.parse::<i64>();
    let number =
        number.map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
    if number >= completions {
        return Err(format!("too large index: {text:?}"));
    }
    Ok(number)
}

fn out_of_order(previous: i64, current: i64) -> String {
    format!("non-increasing order, previous: {previous}, current: {current}")
}

#[cfg(test)]
mod tests {
    use super::{count, overlap};

    #[test]
    fn indexes_are_counted_in_order() {
        assert_eq!(count("", 3), Ok(0));
        assert_eq!(count("0,2-4", 5), Ok(4));
        for (text, why) in [
            ("2,1", "non-increasing order, previous: 2, current: 1"),
            ("3-3", "non-increasing order, previous: 3, current: 3"),
            ("0-1-2", "at most two parts separated by '-'"),
            ("x", "cannot convert string to integer for index: \"x\""),
            ("0-5", "too large index: \"5\""),
        ] {
            let said = count(text, 5).unwrap_err();

            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn the_first_shared_index_is_found() {
        assert_eq!(overlap("0-2,6", "2-4", 9), Some(2));
        assert_eq!(overlap("0-1,6", "2-4", 9), None);
    }
}
