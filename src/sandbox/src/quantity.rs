//! Amounts of resources: `100m`, `1Gi`, `1e3`; compared, added, and written in one form.

use std::{
    cmp::Ordering,
    fmt,
    ops::{Add, Sub},
    str::FromStr,
};

use serde_json::Value;

const NANO: i128 = 1_000_000_000;

/// How an amount was written, which is how it is written again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Decimal,
    Binary,
    Exponent,
}

/// An exact amount, in billionths.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quantity {
    nano: i128,
    form: Form,
}

/// Text that is no amount, in the words of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoQuantity {
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

impl Quantity {
    /// The amount that a JSON value says, text or number.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }

    pub(crate) fn is_zero(self) -> bool {
        self.nano == 0
    }

    fn decimal(self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut exponent) = (self.nano, -9);
        while number % 1000 == 0 && exponent < 18 && number != 0 {
            number /= 1000;
            exponent += 3;
        }
        if number == 0 {
            exponent = 0;
        }
        if self.form == Form::Exponent {
            let exponent = if exponent == 0 { String::new() } else { format!("e{exponent}") };
            return write!(formatter, "{number}{exponent}");
        }
        let suffix = DECIMAL.iter().find(|(_, it)| *it == exponent).map_or("", |(it, _)| it);
        write!(formatter, "{number}{suffix}")
    }
}

impl From<i64> for Quantity {
    fn from(number: i64) -> Self {
        Self { nano: i128::from(number) * NANO, form: Form::Decimal }
    }
}

impl FromStr for Quantity {
    type Err = NoQuantity;

    fn from_str(text: &str) -> Result<Self, NoQuantity> {
        let text = text.trim();
        let (is_negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') || !is_suffix(suffix) {
            return Err(NoQuantity::Format);
        }
        let (form, scale) = scale(suffix).ok_or(NoQuantity::Suffix)?;
        let nano = match scale {
            Scale::Ten(power) => by_ten(whole, fraction, power + 9),
            Scale::Two(power) => by_two(whole, fraction, power),
        };
        let nano = nano.ok_or(NoQuantity::Format)?;
        Ok(Self { nano: if is_negative { -nano } else { nano }, form })
    }
}

enum Scale {
    Ten(i32),
    Two(u32),
}

/// Letters, then perhaps an exponent.
fn is_suffix(suffix: &str) -> bool {
    let digits = suffix.trim_start_matches(|it| "eEinumkKMGTP".contains(it));
    let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    digits.bytes().all(|it| it.is_ascii_digit())
}

fn scale(suffix: &str) -> Option<(Form, Scale)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(it, _)| *it == suffix) {
        return Some((Form::Decimal, Scale::Ten(*power)));
    }
    if let Some(index) = BINARY.iter().position(|it| *it == suffix) {
        let power = u32::try_from(index).ok()?;
        return Some((Form::Binary, Scale::Two(10 * (power + 1))));
    }
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Form::Exponent, Scale::Ten(power)))
}

/// Digits times a power of ten; what is beyond the last billionth rounds up.
fn by_ten(whole: &str, fraction: &str, power: i32) -> Option<i128> {
    let digits = format!("{whole}{fraction}");
    let digits: i128 = digits.parse().ok()?;
    let power = power - i32::try_from(fraction.len()).ok()?;
    if power >= 0 {
        return digits.checked_mul(10_i128.checked_pow(power.unsigned_abs())?);
    }
    let Some(divisor) = 10_i128.checked_pow(power.unsigned_abs()) else {
        return Some(i128::from(digits > 0));
    };
    Some(digits / divisor + i128::from(digits % divisor > 0))
}

fn by_two(whole: &str, fraction: &str, power: u32) -> Option<i128> {
    let nano = by_ten(whole, fraction, 9)?;
    nano.checked_mul(2_i128.checked_pow(power)?)
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_small = self.nano.abs() < 1024 * NANO;
        if self.form != Form::Binary || is_small || !self.is_whole() {
            let form = if self.form == Form::Binary { Form::Decimal } else { self.form };
            return Self { nano: self.nano, form }.decimal(formatter);
        }
        let (mut number, mut power) = (self.nano / NANO, 0);
        while number % 1024 == 0 && power < BINARY.len() {
            number /= 1024;
            power += 1;
        }
        let suffix = power.checked_sub(1).and_then(|it| BINARY.get(it)).unwrap_or(&"");
        write!(formatter, "{number}{suffix}")
    }
}

impl Add for Quantity {
    type Output = Self;

    /// The first of two amounts says how their sum is written, unless it is nothing.
    fn add(self, other: Self) -> Self {
        let form = if self.is_zero() { other.form } else { self.form };
        Self { nano: self.nano + other.nano, form }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let form = if self.is_zero() { other.form } else { self.form };
        Self { nano: self.nano - other.nano, form }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form that is taken comes back in the one that the API writes.
    #[test]
    fn amounts_are_written_in_one_form() {
        for (text, wanted) in [
            ("1000m", "1"),
            ("1.5", "1500m"),
            ("0.1", "100m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1000000Ki", "1000000Ki"),
            ("1073741824", "1073741824"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("1E", "1E"),
            ("0", "0"),
            ("+5", "5"),
            ("-1", "-1"),
            ("0.0000000001", "1n"),
            ("12k", "12k"),
        ] {
            let amount: Quantity = text.parse().unwrap();

            assert_eq!(amount.to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_told_apart() {
        for text in ["abc", "", "1x", "1.2.3", "."] {
            assert_eq!(text.parse::<Quantity>().unwrap_err(), NoQuantity::Format, "{text}");
        }
        assert_eq!("1KK".parse::<Quantity>().unwrap_err(), NoQuantity::Suffix);
    }
}
