//! How long does a server want to be left alone? `Retry-After`, in seconds or as a date.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{DATE, HeaderName, RETRY_AFTER},
};

/// A host that asks for more is asked again in an hour.
const LONGEST: Duration = Duration::from_hours(1);

/// What the headers ask for. A date is told from the server's own clock: without one it says
/// nothing, and one that is over asks for nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text(RETRY_AFTER)?;
    let wait = if let Ok(seconds) = wait.parse() {
        Duration::from_secs(seconds)
    } else {
        let until = httpdate::parse_http_date(wait).ok()?;
        let now = httpdate::parse_http_date(text(DATE)?).ok()?;
        until.duration_since(now).ok()?
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wait: &str, date: &str) -> Option<Duration> {
        let both = [(RETRY_AFTER, wait), (DATE, date)];
        let both = both.into_iter().filter(|(_, value)| !value.is_empty());
        retry_after(&both.map(|(name, value)| (name, value.parse().unwrap())).collect())
    }

    #[test]
    fn seconds_and_dates_say_how_long() {
        let date = "Sat, 21 Nov 2026 10:00:00 GMT";
        for (wait, expected) in [
            ("17", Some(17)),
            (" 0 ", Some(0)),
            ("999999", Some(3600)),
            ("Sat, 21 Nov 2026 10:00:42 GMT", Some(42)),
            ("Sun, 21 Nov 2027 10:00:42 GMT", Some(3600)),
            ("Saturday, 21-Nov-26 10:01:00 GMT", Some(60)),
            ("Sat, 21 Nov 2026 09:59:59 GMT", None),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(of(wait, date), expected.map(Duration::from_secs), "{wait:?}");
        }
        assert_eq!(of("Sat, 21 Nov 2026 10:00:42 GMT", ""), None);
        assert_eq!(of("Sat, 21 Nov 2026 10:00:42 GMT", "today"), None);
    }
}
