//! The CEL rules: what the API server refuses, and in which words.
//!
//! A rule on a trigger is judged at every write of its status too, so it must never refuse what the
//! original admitted and stored: `sources.names` that are empty, repeated or too many and intervals
//! under a second are judged by the controller (`WrongConfig`), and the text of a schedule is judged
//! only where it is new. Sources have no status, so their rules hold always.

use serde_json::{Value, json};

/// A name or address that does not begin with a dash.
const HOST: &str = r"([A-Za-z0-9_.][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])";
const PORT_AND_PATH: &str = r"(:[0-9]{1,5})?(/[^\x00-\x20\x7f]*)?";
const USER: &str = "[A-Za-z0-9_.][A-Za-z0-9_.-]*@";

/// What humantime reads; whether it is long enough is judged by the controller.
const INTERVAL: &str = concat!(
    r"^\s*([0-9][0-9\s]*([.][0-9\s]+)?",
    "(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|",
    "hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)",
    r"\s*)+$"
);

/// Five to seven fields or an alias. What is in the fields is judged by the controller.
const CRON: &str = concat!(
    r"^\s*([Tt][Zz]=[^\s]+\s+)?",
    r"(@[A-Za-z]+|([0-9A-Za-z*?,/#-]+\s+){4,6}[0-9A-Za-z*?,/#-]+)\s*$"
);

/// Of the spec of a source: what fits together.
pub(crate) fn repo() -> Value {
    json!([
        {
            "rule": "!has(self.tlsConfig) || self.repoUri.startsWith('https://') \
                || !(self.tlsConfig.noVerifySsl || has(self.tlsConfig.caCert))",
            "message": "tlsConfig is for https:// only",
            "fieldPath": ".tlsConfig",
        },
        {
            "rule": "!has(self.authConfig) || (self.authConfig.type == 'ssh' \
                ? !self.repoUri.matches('^(https?|git)://') \
                : self.repoUri.matches('^https?://'))",
            "message": "authConfig.type must be basic, token or githubApp for http:// and \
                https://, and ssh for ssh:// and user@host:path; git:// knows none",
            "fieldPath": ".authConfig.type",
        },
    ])
}

/// Of `repoUri`: wider than the original's pattern, except for a dash at the beginning of a part,
/// which a transport could take for an option.
pub(crate) fn repo_uri() -> Value {
    let web = format!("^https?://{HOST}{PORT_AND_PATH}$");
    let ssh = format!("^ssh://({USER})?{HOST}{PORT_AND_PATH}$");
    let git = format!("^git://{HOST}{PORT_AND_PATH}$");
    let scp = format!(r"^{USER}{HOST}:[^-\x00-\x20\x7f][^\x00-\x20\x7f]*$");
    let credentials = r"^((https?|git)://[^/?#]*@|ssh://[^/@]*:[^/]*@)";
    json!([
        {
            "rule": format!("!self.matches(r'{credentials}')"),
            "message": "repoUri must not hold credentials: put them into a Secret and name it \
                in authConfig",
        },
        {
            "rule": format!(
                "self.matches(r'{credentials}') || self.matches(r'{web}') \
                || self.matches(r'{ssh}') || self.matches(r'{git}') || self.matches(r'{scp}')"
            ),
            "message": "repoUri must be https://host/path, http://host/path, \
                ssh://user@host/path, git://host/path or user@host:path, without spaces, and no \
                part of it may begin with a dash",
        },
    ])
}

/// Of `timeout`: a field that the original does not have, so no stored source violates it. Whether it
/// is in bounds is judged by the controller.
pub(crate) fn timeout() -> Value {
    json!([{
        "rule": format!("self.matches(r'{INTERVAL}')"),
        "message": "timeout must be a duration such as 30s or 2m",
    }])
}

/// Of an Action's Job: fields that the original does not have. What else may be wrong with them is said
/// by the controller, which knows its configuration, or by the API server when the Job is made.
pub(crate) fn action_job() -> Value {
    json!([{
        "rule": "!has(self.volumeMounts) || self.volumeMounts.all(mount, \
            has(self.volumes) && self.volumes.exists(volume, volume.name == mount.name))",
        "message": "volumeMounts must name what volumes has",
        "fieldPath": ".volumeMounts",
    }])
}

/// Of the root of a `ScheduleTrigger`: a new one says when in words that can be understood.
///
/// A create never carries a status and a write of the status always does, so what the original
/// stored is left to the controller.
pub(crate) fn schedule_create() -> Value {
    schedule_rules("has(self.status)", "self.spec.schedule", ".spec.schedule")
}

/// Of `spec.schedule`: an edit is judged, an unchanged schedule is not.
pub(crate) fn schedule_edit() -> Value {
    schedule_rules("self == oldSelf", "self", "")
}

fn schedule_rules(unless: &str, schedule: &str, path: &str) -> Value {
    let rule = |field: &str, pattern: &str, message: &str| {
        json!({
            "rule": format!(
                "{unless} || !has({schedule}.{field}) || {schedule}.{field}.matches(r'{pattern}')"
            ),
            "message": message,
            "fieldPath": format!("{path}.{field}"),
        })
    };
    json!([
        rule("interval", INTERVAL, "interval must be a duration such as 10s, 5m or 1h 30m"),
        rule(
            "cron",
            CRON,
            "cron must have 5 fields, 6 with seconds first or 7 with years last, \
            or be an alias such as @daily; TZ=Area/City may stand before"
        ),
    ])
}
