//! What a container wrote: which container is meant, whether it can have written anything, and how much
//! of that is asked for.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    api::Target,
    object,
    pods::logs::{Book, Cursor, Logs, Which},
    refusal::{Cause, Refusal, Result, Subject},
    store::{Key, State},
};

/// What of a log is wanted, as the query says it.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) container: &'a str,
    pub(crate) which: Which,
    pub(crate) tail_lines: &'a str,
    pub(crate) limit_bytes: &'a str,
    pub(crate) since_seconds: &'a str,
    pub(crate) since_time: &'a str,
    pub(crate) stamped: bool,
}

/// Reads one log, from where it read last.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) pod: Key,
    pub(crate) uid: String,
    pub(crate) container: String,
    which: Which,
    limits: Limits,
    /// Which of the container's logs it is, and how far it was read; nothing before the first time.
    place: Option<(u64, Cursor)>,
}

/// How much of a log is wanted.
#[derive(Debug, Clone, Copy)]
struct Limits {
    tail: Option<usize>,
    /// In bytes.
    left: usize,
    since: Option<Timestamp>,
    stamped: bool,
}

/// Finds the log; nothing where no kubelet has the Pod.
pub(crate) fn open(
    (state, logs): (&State, &Logs),
    target: &Target,
    (wish, now): (&Wish<'_>, Timestamp),
) -> Result<Option<Reader>> {
    let limits = limits(target, (wish, now))?;
    let pod = target.existing(state)?;
    let container = container(&pod.value, wish.container)?;
    let (key, uid) = (target.key(), object::uid(&pod.value));
    let written = logs.read((&key, uid), (container, wish.which), |_| ()).is_some();
    if !written && object::text(&pod.value, "/spec/nodeName").is_empty() {
        return Ok(None);
    }
    if let Err(why) = judge(&pod.value, (container, wish.which))
        && !(written && status(&pod.value, container).is_none())
    {
        return Err(Refusal::bad_request(why));
    }
    Ok(Some(Reader {
        uid: uid.to_owned(),
        container: container.to_owned(),
        which: wish.which,
        limits,
        place: None,
        pod: key,
    }))
}

fn number(text: &str) -> Result<Option<i64>> {
    let broken = |_| {
        let message = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
        Refusal::bad_request(message)
    };
    (!text.is_empty()).then(|| text.parse().map_err(broken)).transpose()
}

fn limits(target: &Target, (wish, now): (&Wish<'_>, Timestamp)) -> Result<Limits> {
    let tail = number(wish.tail_lines)?;
    let limit = number(wish.limit_bytes)?;
    let seconds = number(wish.since_seconds)?;
    let time = time(wish.since_time)?;
    let mut faults = Vec::new();
    if let Some(lines) = tail.filter(|it| *it < 0) {
        let detail = "must be greater than or equal to 0";
        faults.push(Cause::invalid("tailLines", &lines.into(), detail));
    }
    if let Some(bytes) = limit.filter(|it| *it < 1) {
        faults.push(Cause::invalid("limitBytes", &bytes.into(), "must be greater than 0"));
    }
    if seconds.is_some() && time.is_some() {
        let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        faults.push(Cause::forbidden("[]", detail));
    } else if let Some(seconds) = seconds.filter(|it| *it < 1) {
        faults.push(Cause::invalid("sinceSeconds", &seconds.into(), "must be greater than 0"));
    }
    if !faults.is_empty() {
        let subject = Subject { group: "", kind: "PodLogOptions", name: &target.name };
        return Err(Refusal::invalid(&subject, &faults));
    }
    let earlier = |it: i64| now.checked_sub(SignedDuration::from_secs(it)).ok();
    let count = |it: i64| usize::try_from(it).ok();
    Ok(Limits {
        tail: tail.and_then(count),
        left: limit.and_then(count).unwrap_or(usize::MAX),
        since: time.or_else(|| seconds.and_then(earlier)),
        stamped: wish.stamped,
    })
}

fn time(text: &str) -> Result<Option<Timestamp>> {
    let broken = |_| {
        let layout = "2006-01-02T15:04:05Z07:00";
        let message =
            format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\"");
        Refusal::bad_request(message)
    };
    (!text.is_empty()).then(|| text.parse().map_err(broken)).transpose()
}

/// The container that is meant: the one that is named, or the only one besides those that begin.
fn container<'a>(pod: &'a Value, named: &'a str) -> Result<&'a str> {
    let names = |list: &str| -> Vec<&'a str> {
        object::items(pod, list).map(|it| object::text(it, "/name")).collect()
    };
    let [main, first, later] =
        ["/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"].map(names);
    let pod = object::name(pod);
    if !named.is_empty() {
        return if [&main, &first, &later].iter().any(|it| it.contains(&named)) {
            Ok(named)
        } else {
            let message = format!("container {named} is not valid for pod {pod}");
            Err(Refusal::bad_request(message))
        };
    }
    if let [only] = main.as_slice() {
        return Ok(only);
    }
    let all = [first, main, later].concat().join(" ");
    Err(Refusal::bad_request(format!(
        "a container name must be specified for pod {pod}, choose one of: [{all}]"
    )))
}

fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let all = lists.iter().flat_map(|it| pod["status"][it].as_array().into_iter().flatten());
    all.into_iter().find(|it| it["name"] == container)
}

/// Why the kubelet has no such log of the container.
fn judge(pod: &Value, (container, which): (&str, Which)) -> std::result::Result<(), String> {
    let named = format!("container \"{container}\" in pod \"{}\"", object::name(pod));
    let Some(status) = status(pod, container) else {
        return Err(format!("{named} is not available"));
    };
    let (state, ended_before) = (&status["state"], status["lastState"]["terminated"].is_object());
    if which == Which::Previous {
        return if ended_before {
            Ok(())
        } else {
            Err(format!("previous terminated {named} not found"))
        };
    }
    if state["running"].is_object() || state["terminated"].is_object() || ended_before {
        return Ok(());
    }
    Err(match state["waiting"]["reason"].as_str() {
        Some("ErrImagePull") => format!("{named} is waiting to start: image can't be pulled"),
        Some("ImagePullBackOff") => {
            format!("{named} is waiting to start: trying and failing to pull image")
        }
        Some(reason) => format!("{named} is waiting to start: {reason}"),
        None => format!("{named} is waiting to start - no logs yet"),
    })
}

impl Reader {
    /// What was written since it read last, as far as it is wanted.
    pub(crate) fn read(&mut self, logs: &Logs) -> Vec<u8> {
        let pod = (&self.pod, self.uid.as_str());
        let (place, limits) = (&mut self.place, &mut self.limits);
        let mut take = |book: &Book| {
            let (number, from) = place.unwrap_or_else(|| (book.number(), book.tail(limits.tail)));
            // The container was started again since: this is not the log it began with.
            (number == book.number()).then(|| {
                *place = Some((number, book.end()));
                limits.cut(book, from)
            })
        };
        let mut read = |which| logs.read(pod, (&self.container, which), &mut take).flatten();
        read(self.which).or_else(|| read(Which::Previous)).unwrap_or_default()
    }

    /// Whether no more is wanted than was read.
    pub(crate) fn is_full(&self) -> bool {
        self.limits.left == 0
    }

    /// Whether the container still runs whose log this is.
    pub(crate) fn may_grow(&self, pod: &Value) -> bool {
        self.which == Which::Current
            && object::uid(pod) == self.uid
            && status(pod, &self.container).is_some_and(|it| it["state"]["running"].is_object())
    }
}

impl Limits {
    fn cut(&mut self, book: &Book, from: Cursor) -> Vec<u8> {
        let mut text = Vec::new();
        for (line, byte) in book.after(from) {
            if self.since.is_some_and(|it| line.at < it) {
                continue;
            }
            if self.stamped && byte == 0 {
                let at = line.at.strftime("%Y-%m-%dT%H:%M:%S%.9fZ ").to_string();
                text.extend_from_slice(at.as_bytes());
            }
            text.extend_from_slice(line.text.get(byte..).unwrap_or_default().as_bytes());
            if text.len() >= self.left {
                break;
            }
        }
        text.truncate(self.left);
        if self.left < usize::MAX {
            self.left -= text.len();
        }
        text
    }
}
