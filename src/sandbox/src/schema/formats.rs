//! Which formats does Kubernetes hold strings and numbers of a custom kind against, and what does each
//! of them take? A format that is not here means nothing.

mod addresses;
mod numbers;

use std::sync::LazyLock;

use regex::Regex;

/// A format that is known for the type it stands at.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    Text { name: String, takes: fn(&str) -> bool },
    Int32,
    Int64,
    Float,
    Double,
}

impl Format {
    /// The format of a schema of a type, or nothing if it is not one that counts.
    pub(super) fn of(kind: Option<&str>, name: &str) -> Option<Self> {
        match (kind, name) {
            (None | Some("string"), name) => {
                Some(Self::Text { name: name.to_owned(), takes: check_of(name)? })
            }
            (Some("integer"), "int32") => Some(Self::Int32),
            (Some("integer"), "int64") => Some(Self::Int64),
            (Some("number"), "float") => Some(Self::Float),
            (Some("number"), "double") => Some(Self::Double),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Text { name, .. } => name,
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float",
            Self::Double => "double",
        }
    }
}

fn check_of(name: &str) -> Option<fn(&str) -> bool> {
    Some(match name.replace('-', "").as_str() {
        "bsonobjectid" => |it| it.len() == 24 && it.bytes().all(|it| it.is_ascii_hexdigit()),
        "uri" => addresses::is_uri,
        "email" => addresses::is_email,
        "hostname" => addresses::is_hostname,
        "ipv4" => addresses::is_ipv4,
        "ipv6" => addresses::is_ipv6,
        "cidr" => addresses::is_cidr,
        "mac" => addresses::is_mac,
        "uuid" => |it| UUID.is_match(it),
        "uuid3" => |it| UUID3.is_match(it),
        "uuid4" => |it| UUID4.is_match(it),
        "uuid5" => |it| UUID5.is_match(it),
        "isbn" => |it| numbers::is_isbn10(it) || numbers::is_isbn13(it),
        "isbn10" => numbers::is_isbn10,
        "isbn13" => numbers::is_isbn13,
        "creditcard" => numbers::is_credit_card,
        "ssn" => |it| SSN.is_match(it),
        "hexcolor" => |it| HEX_COLOUR.is_match(it),
        "rgbcolor" => |it| RGB_COLOUR.is_match(it),
        "byte" => |it| BASE64.is_match(it),
        "password" => |_| true,
        "date" => is_date,
        "duration" => is_duration,
        "datetime" => is_date_time,
        "k8sshortname" => |it| it.len() <= 63 && SHORT_NAME.is_match(it),
        "k8slongname" => |it| it.len() <= 253 && LONG_NAME.is_match(it),
        _ => return None,
    })
}

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a pattern of this file compiles"));
    };
}

pattern!(UUID, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$");
pattern!(UUID3, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$");
pattern!(UUID4, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$");
pattern!(UUID5, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$");
pattern!(SSN, "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$");
pattern!(HEX_COLOUR, "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$");
pattern!(
    RGB_COLOUR,
    concat!(
        r"^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])",
        r"\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$"
    )
);
pattern!(
    BASE64,
    "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$"
);
pattern!(SHORT_NAME, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$");
pattern!(LONG_NAME, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$");
pattern!(TIME, "^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$");
pattern!(SPAN, "([0-9]+)[ \t\n\r\u{c}]*([A-Za-zµ]+)");
pattern!(GO_DURATION, r"^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$");

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_date_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    is_date(date)
        && TIME.captures(time).is_some_and(|it| &it[1] <= "23" && &it[2] <= "59" && &it[3] <= "59")
}

/// What Go takes, and what people write: `5 minutes`.
fn is_duration(text: &str) -> bool {
    GO_DURATION.is_match(text)
        || SPAN.captures_iter(text).any(|it| {
            let unit = it[2].to_lowercase();
            let named = ["ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk"];
            let begun = ["nano", "micro", "milli", "sec", "min", "hour", "day", "week"];
            named.contains(&unit.as_str()) || begun.iter().any(|it| unit.starts_with(it))
        })
}

#[cfg(test)]
mod tests {
    use super::Format;

    fn takes(name: &str, text: &str) -> bool {
        match Format::of(Some("string"), name) {
            Some(Format::Text { takes, .. }) => takes(text),
            _ => panic!("{name} is no format of strings"),
        }
    }

    #[test]
    fn a_format_takes_what_go_takes() {
        for (name, good, bad) in [
            ("date-time", "2024-01-01T00:00:00.5+02:00", "2024-01-01T00:00:00"),
            ("date", "2024-02-29", "2024-02-30"),
            ("duration", "5 minutes", "10"),
            ("duration", "-1.5h", ""),
            ("byte", "aGk=", ""),
            ("uri", "/a/b", "a"),
            ("uri", "mailto:a@b.c", "http://a b"),
            ("email", "A <a@b>", "a"),
            ("hostname", "a.example", "a_b"),
            ("ipv4", "01.2.3.4", "::1"),
            ("ipv6", "::ffff:1.2.3.4", "fe80::1%eth0"),
            ("cidr", "10.0.0.1/08", "10.0.0.0/33"),
            ("mac", "0011.2233.4455", "00:11"),
            ("uuid", "123E4567E89B12D3A456426614174000", "x"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a.b", "A"),
            ("rgb-color", "rgb(1,2,3)", "rgb(256,0,0)"),
            ("hexcolor", "#fff", "#ff"),
            ("ssn", "111-22-3333", "x"),
            ("isbn", "978-0321751041", "978-0321751042"),
            ("isbn10", "0321751043", "0321751044"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"),
        ] {
            assert!(takes(name, good), "{name} {good}");
            assert!(!takes(name, bad), "{name} {bad}");
        }
    }

    #[test]
    fn what_is_no_format_of_a_type_means_nothing() {
        assert!(Format::of(Some("string"), "int32").is_none());
        assert!(Format::of(Some("integer"), "date").is_none());
        assert!(Format::of(Some("object"), "uri").is_none());
        assert!(Format::of(None, "uri").is_some());
    }
}
