//! What a container wrote: which container is meant, and how much of it is asked for.

use serde_json::Value;

use crate::{
    api::Target,
    object,
    refusal::{Cause, Refusal, Result, Subject},
    store::State,
};

/// What of a log is wanted, as the query says it.
#[derive(Debug, Default)]
pub(crate) struct Wish<'a> {
    pub(crate) container: &'a str,
    pub(crate) tail_lines: &'a str,
    pub(crate) limit_bytes: &'a str,
    pub(crate) since_seconds: &'a str,
    pub(crate) since_time: &'a str,
}

/// The log, or nothing where nothing ever ran.
pub(crate) fn read(state: &State, target: &Target, wish: &Wish<'_>) -> Result<Option<String>> {
    let tail = number(wish.tail_lines).transpose()?;
    let limit = number(wish.limit_bytes).transpose()?;
    let since = number(wish.since_seconds).transpose()?;
    let pod = target.existing(state)?;
    judge(target, (tail, limit, since), wish)?;
    let container = container(&pod.value, wish.container)?;
    let text = state.log(&target.key(), container);
    if text.is_empty() && object::text(&pod.value, "/spec/nodeName").is_empty() {
        return Ok(None);
    }
    Ok(Some(cut(&text, (tail, limit)).to_owned()))
}

fn number(text: &str) -> Option<Result<i64>> {
    let broken = || {
        let message = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
        Refusal::bad_request(message)
    };
    (!text.is_empty()).then(|| text.parse().map_err(|_| broken()))
}

fn judge(
    target: &Target,
    (tail, limit, since): (Option<i64>, Option<i64>, Option<i64>),
    wish: &Wish<'_>,
) -> Result<()> {
    let mut faults = Vec::new();
    if let Some(lines) = tail.filter(|it| *it < 0) {
        let detail = "must be greater than or equal to 0";
        faults.push(Cause::invalid("tailLines", &lines.into(), detail));
    }
    if let Some(bytes) = limit.filter(|it| *it < 1) {
        faults.push(Cause::invalid("limitBytes", &bytes.into(), "must be greater than 0"));
    }
    if since.is_some() && !wish.since_time.is_empty() {
        let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        faults.push(Cause::forbidden("[]", detail));
    } else if let Some(seconds) = since.filter(|it| *it < 1) {
        faults.push(Cause::invalid("sinceSeconds", &seconds.into(), "must be greater than 0"));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let subject = Subject { group: "", kind: "PodLogOptions", name: &target.name };
    Err(Refusal::invalid(&subject, &faults))
}

/// The container that is meant: the one that is named, or the only one.
fn container<'a>(pod: &'a Value, named: &'a str) -> Result<&'a str> {
    let lists = ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"];
    let all = lists.iter().flat_map(|it| object::items(pod, it));
    let names: Vec<&str> = all.map(|it| object::text(it, "/name")).collect();
    let pod = object::name(pod);
    match names.as_slice() {
        names if names.contains(&named) => Ok(named),
        _ if !named.is_empty() => {
            let message = format!("container {named} is not valid for pod {pod}");
            Err(Refusal::bad_request(message))
        }
        [only] => Ok(only),
        names => Err(Refusal::bad_request(format!(
            "a container name must be specified for pod {pod}, choose one of: [{}]",
            names.join(" ")
        ))),
    }
}

/// The last lines of a text, and of those the first bytes.
fn cut(text: &str, (tail, limit): (Option<i64>, Option<i64>)) -> &str {
    let mut rest = text;
    if let Some(lines) = tail.and_then(|it| usize::try_from(it).ok()) {
        let ends = text.trim_end_matches('\n').rmatch_indices('\n').map(|(at, _)| at + 1);
        let start = match lines {
            0 => Some(text.len()),
            lines => ends.into_iter().nth(lines - 1),
        };
        rest = start.and_then(|it| text.get(it..)).unwrap_or(text);
    }
    let limit = limit.and_then(|it| usize::try_from(it).ok()).unwrap_or(rest.len());
    let mut end = limit.min(rest.len());
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    rest.get(..end).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_to_its_last_lines_and_their_first_bytes() {
        let text = "one\ntwo\nthree\n";

        assert_eq!(cut(text, (None, None)), text);
        assert_eq!(cut(text, (Some(2), None)), "two\nthree\n");
        assert_eq!(cut(text, (Some(9), None)), text);
        assert_eq!(cut(text, (Some(0), None)), "");
        assert_eq!(cut(text, (Some(1), Some(3))), "thr");
        assert_eq!(cut("ü", (None, Some(1))), "");
    }
}
