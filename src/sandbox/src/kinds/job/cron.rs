//! CronJobs: when, in which time zone, and the Job that comes of it.

use serde_json::{Value, json};

use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
        job::rules,
        pod,
    },
    object::{self, fill},
    refusal::Cause,
};

pub(in crate::kinds) const CRON_JOB: Rules = Rules {
    traits: &[Trait::Generation],
    fill_in,
    validate,
    warn: |object| pod::dotted_name(object, "Pod names and hostnames"),
    ..PLAIN
};

/// The five fields of a schedule: least, most, and the names of numbers from the least on.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const WORDS: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

fn fill_in(object: &mut Value) {
    object::section(object, "spec");
    object::section(object, "status");
    let spec = &mut object["spec"];
    fill(spec, "concurrencyPolicy", "Allow".into());
    fill(spec, "suspend", false.into());
    fill(spec, "successfulJobsHistoryLimit", 3.into());
    fill(spec, "failedJobsHistoryLimit", 1.into());
    let template = object::section(spec, "jobTemplate");
    template.entry("metadata").or_insert_with(|| json!({}));
    let job = template.entry("spec").or_insert_with(|| json!({}));
    pod::fill_in_template(job);
}

fn validate(object: &Value, _: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    // The Jobs' names get eleven characters more.
    if object::name(object).len() > 52 {
        let detail = "must be no more than 52 characters";
        faults.push(Cause::invalid("metadata.name", &object["metadata"]["name"], detail));
    }
    let spec = Field::of(object, "spec");
    let schedule = spec.at("schedule");
    if schedule.text().is_empty() {
        faults.push(schedule.required(""));
    } else if let Some(detail) = schedule_fault(schedule.text()) {
        faults.push(schedule.invalid(&detail));
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]
    {
        spec.at(field).not_negative(&mut faults);
    }
    let zone = spec.at("timeZone");
    if let Some(detail) = zone.value.as_str().and_then(zone_fault) {
        faults.push(zone.invalid(&detail));
    }
    spec.at("concurrencyPolicy").one_of(&["Allow", "Forbid", "Replace"], &mut faults);
    let job = spec.at("jobTemplate").at("spec");
    if job.value["manualSelector"] == true {
        faults.push(job.at("manualSelector").unsupported_as("true", &["nil", "false"]));
    }
    if job.at("selector").is_set() {
        faults.push(job.at("selector").invalid("`selector` will be auto-generated"));
    }
    rules::validate_template(&job, &mut faults);
    faults
}

fn zone_fault(zone: &str) -> Option<String> {
    if zone.is_empty() {
        return Some("timeZone must be nil or non-empty string".to_owned());
    }
    if zone.eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in \
            https://www.iana.org/time-zones";
        return Some(detail.to_owned());
    }
    let is_known = jiff::tz::TimeZone::get(zone).is_ok();
    (!is_known).then(|| format!("unknown time zone {zone}"))
}

fn schedule_fault(schedule: &str) -> Option<String> {
    if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        return Some(detail.to_owned());
    }
    if schedule.starts_with('@') {
        let is_known = WORDS.contains(&schedule) || schedule.starts_with("@every ");
        return (!is_known).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Some(format!(
            "expected exactly 5 fields, found {}: [{}]",
            parts.len(),
            parts.join(" ")
        ));
    }
    parts.iter().zip(FIELDS).find_map(|(part, field)| part_fault(part, field))
}

fn part_fault(part: &str, field: (u32, u32, &[&str])) -> Option<String> {
    part.split(',').find_map(|it| range(it, field).err())
}

/// One range of a field: `*`, `5`, `1-5`, each perhaps with a step.
fn range(text: &str, (least, most, names): (u32, u32, &[&str])) -> Result<(), String> {
    let number = |text: &str| {
        let lower = text.to_lowercase();
        if let Some(index) = names.iter().position(|it| **it == lower) {
            return u32::try_from(index).map(|it| it + least).map_err(|it| it.to_string());
        }
        text.parse::<u32>().map_err(|_| {
            format!(
                "failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax"
            )
        })
    };
    let (bounds, step) = text.split_once('/').map_or((text, None), |(it, step)| (it, Some(step)));
    let (first, last) = if matches!(bounds, "*" | "?") {
        (least, most)
    } else if let Some((first, last)) = bounds.split_once('-') {
        (number(first)?, number(last)?)
    } else {
        let first = number(bounds)?;
        (first, if step.is_some() { most } else { first })
    };
    if first < least {
        return Err(format!("beginning of range ({first}) below minimum ({least}): {text}"));
    }
    if last > most {
        return Err(format!("end of range ({last}) above maximum ({most}): {text}"));
    }
    if first > last {
        return Err(format!("beginning of range ({first}) beyond end of range ({last}): {text}"));
    }
    match step.map(number).transpose()? {
        Some(0) => Err(format!("step of range should be a positive number: {text}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_that_mean_something_are_taken() {
        for schedule in ["* * * * *", "*/5 0-6 1,15 jan-mar MON", "@hourly", "? ? ? * MON-FRI"] {
            assert_eq!(schedule_fault(schedule), None, "{schedule}");
        }
    }

    #[test]
    fn schedules_that_mean_nothing_say_why() {
        for (schedule, wanted) in [
            ("x", "expected exactly 5 fields, found 1: [x]"),
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
        ] {
            assert_eq!(schedule_fault(schedule).as_deref(), Some(wanted));
        }
    }
}
