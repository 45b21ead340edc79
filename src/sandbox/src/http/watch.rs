//! Watches: what happened since a version, in order, until the client or the time runs out.

mod broken;

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    api::{
        Target,
        list::{self, Page},
        read,
    },
    cluster::Cluster,
    fault::{End, Follower},
    http::{
        Exchange, json_response,
        media::{Form, partial},
        query::Query,
        table,
    },
    object,
    refusal::{Refusal, Result},
    selector::Selector,
    signal::Ear,
    store::{
        State, Stored, Table,
        log::{Change, Kind},
    },
};

/// Long enough to be no load, short enough that a quiet watch does not fall out of the log.
const BOOKMARKS: Duration = Duration::from_mins(1);

/// Servers end watches after a while when the client sets no time.
const LONGEST: Duration = Duration::from_hours(1);

/// Changes taken from the log at a time, so that no watcher holds the lock for long.
const BATCH: usize = 256;

struct Watch {
    cluster: Arc<Cluster>,
    client: Arc<str>,
    target: Target,
    selector: Selector,
    form: Form,
    /// Everything up to this revision is sent or queued.
    revision: u64,
    queue: VecDeque<Bytes>,
    changed: Ear,
    faults: Follower,
    deadline: Instant,
    bookmarks: bool,
    next_bookmark: Instant,
    /// Set to the earlier of the two; one for the whole watch, for most waits are short.
    timer: Pin<Box<Sleep>>,
    headless: bool,
}

pub(super) fn watch(exchange: &Exchange, target: Target) -> Result<Response<Body>> {
    let form = exchange.form;
    let plan = Plan::read(&exchange.query, &target)?;
    let cluster = Arc::clone(&exchange.cluster);
    let state = cluster.lock();
    let table = state.table(&target.resource).ok_or_else(Refusal::no_such_path)?;
    // No version is the present one.
    let from = if plan.initial || plan.from == 0 { state.revision } else { plan.from };
    if plan.initial && plan.from > state.revision {
        let refusal = Refusal::too_new(plan.from, state.revision);
        return Ok(failed(&refusal));
    }
    if table.log.after(from).is_none() {
        let compacted = table.log.compacted();
        return Ok(failed(&Refusal::expired(format!(
            "too old resource version: {from} ({compacted})"
        ))));
    }
    let now = Instant::now();
    let mut watch = Box::new(Watch {
        client: Arc::clone(&exchange.client),
        changed: table.changed.subscribe(),
        faults: cluster.faults.follow(&exchange.client),
        cluster: Arc::clone(&cluster),
        target,
        selector: plan.selector,
        form,
        revision: from,
        queue: VecDeque::new(),
        deadline: now + plan.timeout,
        bookmarks: plan.bookmarks,
        next_bookmark: now + BOOKMARKS,
        timer: Box::pin(sleep_until(now + BOOKMARKS.min(plan.timeout))),
        headless: false,
    });
    if plan.initial {
        watch.begin(&state);
        if plan.bookmarks {
            watch.bookmark(json!({"k8s.io/initial-events-end": "true"}));
        }
    }
    watch.break_beginning(state.broken);
    drop(state);
    let events = stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), watch))
    });
    Ok(json_response(200, Body::from_stream(events)))
}

/// What a watch is asked for.
struct Plan {
    selector: Selector,
    timeout: Duration,
    /// The version from which changes are told, or that what is there must have reached.
    from: u64,
    /// Whether it begins with what is there.
    initial: bool,
    bookmarks: bool,
}

impl Plan {
    fn read(query: &Query, target: &Target) -> Result<Self> {
        let seconds = query.number("timeoutSeconds")?;
        query.number("limit")?;
        let selector = query.selector(&target.resource)?;
        query.check_watch()?;
        let version = query.text("resourceVersion");
        let from = match version {
            "" => 0,
            text => list::parse_version(text).map_err(|why| Refusal::new(500, "", why))?,
        };
        let timeout = match u64::try_from(seconds) {
            Ok(0) => LONGEST,
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => Duration::ZERO,
        };
        // Without a wish of its own, a watch from no version begins with what is there.
        let initial = query.flag("sendInitialEvents").unwrap_or(from == 0);
        Ok(Self {
            selector,
            timeout,
            from,
            initial,
            bookmarks: query.is_set("allowWatchBookmarks"),
        })
    }
}

/// A watch that cannot begin says so as its one event, as the API does.
fn failed(refusal: &Refusal) -> Response<Body> {
    json_response(200, line("ERROR", refusal.status().to_string().as_bytes()))
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 32);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}

impl Watch {
    /// Queues what is there already.
    fn begin(&mut self, state: &State) {
        let Some(table) = state.table(&self.target.resource) else { return };
        let namespace = self.target.namespace.clone();
        let objects: Vec<Arc<Stored>> = Table::within(&table.objects, namespace.as_deref())
            .filter(|(_, it)| it.matches(&self.selector))
            .map(|(_, it)| Arc::clone(it))
            .collect();
        for object in objects {
            self.push("ADDED", &object);
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.cluster.faults.flow(&self.client).await;
            match self.faults.end() {
                Some(End::Dropped) => return None,
                Some(End::Expired) => {
                    self.queue.clear();
                    self.expire();
                }
                None => {}
            }
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if !self.collect() {
                return None;
            }
            if self.queue.is_empty() && !self.wait().await {
                return None;
            }
        }
    }

    /// Takes the next changes from the log; false when this watch is over.
    fn collect(&mut self) -> bool {
        let cluster = Arc::clone(&self.cluster);
        let state = cluster.lock();
        let Some(table) = state.table(&self.target.resource) else { return false };
        self.changed.mark_unchanged();
        let Some(changes) = table.log.since(self.revision) else {
            self.expire();
            return true;
        };
        let batch: Vec<Arc<Change>> = changes.take(BATCH).cloned().collect();
        let (current, broken) = (state.revision, state.broken);
        let resource = &self.target.resource;
        let served = state.registry.find(&resource.group, &resource.plural).is_some();
        drop(state);
        if batch.is_empty() && !served {
            return false;
        }
        if batch.is_empty() {
            // All up to now is seen, so a bookmark may say so.
            self.revision = self.revision.max(current);
        }
        for change in batch {
            self.revision = change.revision;
            for _ in 0..self.tellings(&change, broken) {
                self.tell(&change);
            }
        }
        true
    }

    /// Says that what it follows is forgotten. Nothing comes after that: no change is so late, and its
    /// time is over.
    fn expire(&mut self) {
        let refusal = Refusal::expired("The resourceVersion for the provided watch is too old.");
        self.queue.push_back(line("ERROR", refusal.status().to_string().as_bytes()));
        self.deadline = Instant::now();
        self.revision = u64::MAX;
    }

    /// Waits for something to happen; false when the time is over.
    async fn wait(&mut self) -> bool {
        let until = self.next_bookmark.min(self.deadline);
        if self.timer.deadline() != until {
            self.timer.as_mut().reset(until);
        }
        tokio::select! {
            biased;
            changed = self.changed.changed() => changed.is_ok(),
            () = self.faults.changed() => true,
            () = self.timer.as_mut() => {
                let over = Instant::now() >= self.deadline;
                self.next_bookmark = Instant::now() + BOOKMARKS;
                if self.bookmarks && !over {
                    self.bookmark(json!({}));
                }
                !over
            }
        }
    }

    /// What a change means to one who sees only what the selector takes.
    fn tell(&mut self, change: &Change) {
        if self.target.namespace.as_ref().is_some_and(|it| *it != change.key.namespace()) {
            return;
        }
        let matched = change.before.as_ref().is_some_and(|it| it.matches(&self.selector));
        let matches = change.object.matches(&self.selector);
        let event = match change.kind {
            Kind::Deleted if matched => ("DELETED", None),
            Kind::Deleted => return,
            Kind::Added | Kind::Modified => match (matched, matches) {
                (false, true) => ("ADDED", None),
                (true, true) => ("MODIFIED", None),
                // It was last seen as it was, and leaves with the version that took it away.
                (true, false) => ("DELETED", change.before.as_ref()),
                (false, false) => return,
            },
        };
        match event {
            (kind, None) => self.push(kind, &change.object),
            (kind, Some(before)) => {
                let mut object = (*before.value).clone();
                let version = change.revision.to_string();
                object::set_meta(&mut object, "resourceVersion", Some(version.into()));
                self.push(kind, &Stored::new(object));
            }
        }
    }

    fn push(&mut self, kind: &str, object: &Arc<Stored>) {
        let line = match self.form {
            Form::Whole => line(kind, &read::present_json(&self.target, object)),
            Form::Metadata => line(kind, partial(&object.value).to_string().as_bytes()),
            Form::Table(include) => {
                let version = &object.value["metadata"]["resourceVersion"];
                let page = Page {
                    objects: vec![Arc::clone(object)],
                    metadata: json!({"resourceVersion": version}),
                };
                let mut table = table::of(&self.target, &page, (self.cluster.now(), include));
                if std::mem::replace(&mut self.headless, true) {
                    table["columnDefinitions"] = Value::Null;
                }
                line(kind, table.to_string().as_bytes())
            }
        };
        self.queue.push_back(line);
    }

    fn bookmark(&mut self, annotations: Value) {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if annotations.as_object().is_some_and(|it| !it.is_empty()) {
            metadata["annotations"] = annotations;
        }
        let empty = json!({
            "kind": self.target.resource.kind, "apiVersion": self.target.api_version(),
            "metadata": metadata,
        });
        self.push("BOOKMARK", &Stored::new(empty));
    }
}
