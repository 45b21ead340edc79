//! How many connections are opened, to whom? A layer around the client's connector, which is not
//! told the host: the request that needs the connection says it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::task_local;
use tower::{Layer, Service};

use crate::Traffic;

task_local! {
    static HOST: Arc<str>;
}

/// Counts the connections that `request` opens as this host's.
pub(crate) async fn for_host<F: Future>(host: Arc<str>, request: F) -> F::Output {
    HOST.scope(host, request).await
}

/// Makes connectors count.
#[derive(Debug, Clone)]
pub(super) struct Counting {
    traffic: Traffic,
}

impl Counting {
    pub(super) fn into(traffic: Traffic) -> Self {
        Self { traffic }
    }
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, traffic: self.traffic.clone() }
    }
}

/// A connector that counts.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    inner: S,
    traffic: Traffic,
}

impl<S, R> Service<R> for Counted<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    /// Runs in the request's task, at first. It may be finished in another one: when a connection
    /// becomes free meanwhile, the new one is kept for later.
    fn call(&mut self, request: R) -> Self::Future {
        let host = HOST.try_with(Arc::clone).ok();
        let (connecting, traffic) = (self.inner.call(request), self.traffic.clone());
        async move {
            let connection = connecting.await?;
            if let Some(host) = host {
                traffic.connected(&host);
            }
            Ok(connection)
        }
        .boxed()
    }
}
