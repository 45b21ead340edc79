//! GET of what a container wrote: all that there is, or what comes too.

use std::{convert::Infallible, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, header};
use tokio::sync::watch;

use crate::{
    api::{
        Target,
        log::{self, Reader, Wish},
    },
    cluster::Cluster,
    fault::Follower,
    http::{Exchange, json_response},
    pods::logs::Which,
    refusal::Result,
    signal::Ear,
};

pub(super) fn log(exchange: &Exchange, target: &Target) -> Result<Response<Body>> {
    let (query, cluster) = (&exchange.query, &exchange.cluster);
    let wish = Wish {
        container: query.text("container"),
        which: if query.is_set("previous") { Which::Previous } else { Which::Current },
        tail_lines: query.text("tailLines"),
        limit_bytes: query.text("limitBytes"),
        since_seconds: query.text("sinceSeconds"),
        since_time: query.text("sinceTime"),
        stamped: query.is_set("timestamps"),
    };
    let now = cluster.now();
    let state = cluster.lock();
    let Some(mut reader) = log::open((&state, &cluster.logs), target, (&wish, now))? else {
        return Ok(json_response(204, Body::empty()));
    };
    let body = if query.is_set("follow") {
        let Some(pods) = state.tables.get("pods").map(|it| it.changed.subscribe()) else {
            return Ok(json_response(204, Body::empty()));
        };
        let follower = Following {
            grew: cluster.logs.follow((&reader.pod, &reader.uid)),
            pods,
            faults: cluster.faults.follow(&exchange.client),
            client: Arc::clone(&exchange.client),
            cluster: Arc::clone(cluster),
            reader,
        };
        Body::from_stream(stream::unfold(follower, |mut it| async move {
            let part = it.next().await?;
            Some((Ok::<_, Infallible>(part), it))
        }))
    } else {
        Body::from(reader.read(&cluster.logs))
    };
    let mut response = Response::new(body);
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(response)
}

/// Somebody who reads on until the container ends.
struct Following {
    cluster: Arc<Cluster>,
    client: Arc<str>,
    reader: Reader,
    grew: watch::Receiver<()>,
    pods: Ear,
    faults: Follower,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.cluster.faults.flow(&self.client).await;
            if self.faults.end().is_some() {
                return None;
            }
            self.grew.mark_unchanged();
            self.pods.mark_unchanged();
            // Asked for before the log is read: what the container wrote last is there when it has ended.
            let grows = self.may_grow();
            let part = self.reader.read(&self.cluster.logs);
            if !part.is_empty() {
                return Some(part.into());
            }
            if !grows || self.reader.is_full() {
                return None;
            }
            tokio::select! {
                biased;
                grown = self.grew.changed() => grown.ok()?,
                changed = self.pods.changed() => changed.ok()?,
                () = self.faults.changed() => {}
            }
        }
    }

    fn may_grow(&self) -> bool {
        let pod = self.cluster.lock().find("pods", &self.reader.pod);
        pod.is_some_and(|it| it.value.peek(|pod| self.reader.may_grow(pod)))
    }
}
