//! What a schema asks of a number: its bounds, its steps, and that it fits what the format can hold.

use std::{cmp::Ordering, ops::Range};

use serde_json::Value;

use crate::{
    refusal::Cause,
    schema::{
        Bound, Node, Type,
        formats::Format,
        validate::{Findings, in_body},
    },
};

/// The largest number of which JSON readers know every integer below.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// How far from an integer a quotient may be and still count as one.
const EPSILON: f64 = 1e-9;

const IN_32_BITS: Range<f64> = -2_147_483_648.0..2_147_483_648.0;

const IN_64_BITS: Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;

/// A number that is held against a node.
struct Held<'a> {
    value: &'a Value,
    number: f64,
    node: &'a Node,
    path: &'a str,
    found: &'a mut Findings,
}

pub(super) fn check(value: &Value, node: &Node, path: &str, found: &mut Findings) {
    let Some(number) = value.as_f64() else { return };
    let mut held = Held { value, number, node, path, found };
    // What came as an integer of 64 bits is one, though its float may be rounded beyond.
    if !value.is_i64() || matches!(node.rules.format, Some(Format::Int32 | Format::Float)) {
        held.fits("Checked", number);
    }
    held.step();
    held.least();
    held.most();
    found.passed += 2;
}

impl Held<'_> {
    fn step(&mut self) {
        let Some(step) = self.node.rules.multiple_of else { return };
        let holds = match self.whole("MultipleOf", step) {
            Some(value) => truncate(step) != 0 && value % truncate(step) == 0,
            None => is_multiple(self.number, step),
        };
        if !holds {
            self.refuse("a multiple of", step);
        }
    }

    fn least(&mut self) {
        let Some(Bound { value: least, exclusive }) = self.node.rules.minimum else { return };
        let (order, least) = match self.whole("Minimum boundary", least) {
            Some(value) => (value.partial_cmp(&truncate(least)), least.trunc()),
            None => (self.number.partial_cmp(&least), least),
        };
        match order {
            Some(Ordering::Less | Ordering::Equal) if exclusive => {
                self.refuse("greater than", least);
            }
            Some(Ordering::Less) => self.refuse("greater than or equal to", least),
            _ => {}
        }
    }

    fn most(&mut self) {
        let Some(Bound { value: most, exclusive }) = self.node.rules.maximum else { return };
        let (order, most) = match self.whole("Maximum boundary", most) {
            Some(value) => (value.partial_cmp(&truncate(most)), most.trunc()),
            None => (self.number.partial_cmp(&most), most),
        };
        match order {
            Some(Ordering::Greater | Ordering::Equal) if exclusive => {
                self.refuse("less than", most);
            }
            Some(Ordering::Greater) => self.refuse("less than or equal to", most),
            _ => {}
        }
    }

    fn refuse(&mut self, what: &str, limit: f64) {
        let detail = format!("{} should be {what} {}", in_body(self.path), shown(limit));
        self.found.add(Cause::invalid(self.path, self.value, &detail));
    }

    /// The number as an integer, which its limit then is cut to, if the type can hold that limit.
    fn whole(&mut self, what: &str, limit: f64) -> Option<i64> {
        let fits = self.fits(what, limit);
        self.value.as_i64().filter(|_| fits)
    }

    /// Whether a number is no more than the type and the format hold: what is more is told without a
    /// field.
    fn fits(&mut self, what: &str, number: f64) -> bool {
        let format = self.node.rules.format.as_ref();
        let (kind, format) = match (self.node.kind, format) {
            (Some(Type::Integer), Some(Format::Int32 | Format::Int64)) => ("integer", format),
            (Some(Type::Integer), _) => ("integer", None),
            (Some(Type::Number), Some(Format::Float)) => ("number", format),
            _ => return true,
        };
        let fits = match format {
            Some(Format::Int32) => number.fract() == 0.0 && IN_32_BITS.contains(&number),
            Some(Format::Float) => number.abs() <= f64::from(f32::MAX),
            _ => number.fract() == 0.0 && IN_64_BITS.contains(&number),
        };
        if !fits {
            let format = match format {
                Some(format) => format!("with format {}", format.name()),
                None => "(default format)".to_owned(),
            };
            let path = self.path;
            self.found
                .add_general(&format!("{what} value must be of type {kind} {format} in {path}"));
        }
        fits
    }
}

fn is_multiple(number: f64, step: f64) -> bool {
    let quotient = if step < 1.0 { 1.0 / step * number } else { number / step };
    let near = (quotient - quotient.trunc()).abs();
    let size = quotient.abs() + quotient.trunc().abs();
    quotient.abs() <= SAFE && (near == 0.0 || near / size < EPSILON)
}

/// A number as an integer: its fraction is cut, what is too large stops at the end.
#[expect(clippy::cast_possible_truncation, reason = "this is what the cut is for")]
fn truncate(number: f64) -> i64 {
    number as i64
}

pub(super) fn truncated(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(truncate))
}

/// Whether a number counts as an integer though it came with a fraction or an exponent.
pub(crate) fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= SAFE
}

/// A number as Go prints it.
pub(crate) fn shown(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, power) = power.strip_prefix('-').map_or(("+", power), |it| ("-", it));
        return format!("{digits}e{sign}{power:0>2}");
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::{is_multiple, shown};

    #[test]
    fn numbers_are_shown_as_go_shows_them() {
        for (number, text) in
            [(2.5, "2.5"), (10.0, "10"), (1e21, "1e+21"), (1e-7, "1e-07"), (-0.5, "-0.5")]
        {
            assert_eq!(shown(number), text);
        }
    }

    #[test]
    fn a_step_below_one_is_no_matter_of_rounding() {
        assert!(is_multiple(0.3, 0.1));
        assert!(!is_multiple(0.35, 0.1));
    }
}
