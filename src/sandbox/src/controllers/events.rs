//! What a controller tells people: events about objects, the same news counted instead of repeated.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{clock, controllers::hand::Hand, object, store::Key};

/// Beyond this many kinds of news the oldest are told anew: memory is bounded.
const REMEMBERED: usize = 4096;

/// A recorder of one controller.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    told: HashMap<(String, String, String), Key>,
    count: u64,
}

/// What happened.
pub(super) struct News<'a> {
    pub(super) kind: &'static str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

impl Recorder {
    /// The same, but not again of the same object.
    pub(super) fn tell_once(&mut self, hand: &mut Hand<'_>, about: &Value, news: &News<'_>) {
        if !self.told.contains_key(&known(about, news)) {
            self.tell(hand, about, news);
        }
    }

    /// Tells what happened to an object. News that cannot be written are lost, as they are in a cluster.
    pub(super) fn tell(&mut self, hand: &mut Hand<'_>, about: &Value, news: &News<'_>) {
        let known =
            (object::uid(about).to_owned(), news.reason.to_owned(), news.message.to_owned());
        if let Some(key) = self.told.get(&known)
            && repeat(hand, key)
        {
            return;
        }
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        self.count += 1;
        let event = event(hand, about, (news, self.count));
        let key = Key::of(&event);
        let Some(events) = hand.resource("", "events") else { return };
        if hand.create(&events, event).is_ok() {
            self.told.insert(known, key);
        }
    }
}

fn known(about: &Value, news: &News<'_>) -> (String, String, String) {
    (object::uid(about).to_owned(), news.reason.to_owned(), news.message.to_owned())
}

/// Counts an event once more, if it is still there.
fn repeat(hand: &mut Hand<'_>, key: &Key) -> bool {
    let Some(events) = hand.resource("", "events") else { return false };
    let Some(stored) = hand.state.find(&events.table, key) else { return false };
    let mut event = stored.value.clone();
    event["count"] = (event["count"].as_i64().unwrap_or_default() + 1).into();
    event["lastTimestamp"] = clock::seconds(hand.now).into();
    hand.update(&events, event, "").is_ok()
}

fn event(hand: &Hand<'_>, about: &Value, (news, count): (&News<'_>, u64)) -> Value {
    let namespace = match object::meta(about, "namespace") {
        "" => "default",
        namespace => namespace,
    };
    let at = clock::seconds(hand.now);
    // The count keeps apart what happens at one moment of a paused clock.
    let moment = hand.now.as_nanosecond() + i128::from(count);
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{}.{moment:x}", object::name(about)), "namespace": namespace},
        "involvedObject": {
            "apiVersion": about["apiVersion"], "kind": about["kind"],
            "namespace": about["metadata"]["namespace"], "name": about["metadata"]["name"],
            "uid": about["metadata"]["uid"],
            "resourceVersion": about["metadata"]["resourceVersion"],
        },
        "type": news.kind, "reason": news.reason, "message": news.message,
        "source": {"component": hand.client}, "reportingComponent": hand.client,
        "firstTimestamp": at, "lastTimestamp": at, "count": 1,
    })
}
