//! What do we ask of the hub that nothing may hold up? Its requests are counted like all others, and no more.

use ger_core::names::ClusterName;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tower::BoxError;

use super::asked::Asked;
use crate::metrics::Metrics;

/// A client whose requests are counted as the hub's. Neither their pace nor their answers are limited: who
/// waits in a queue to renew a Lease loses it.
pub fn client(client: Client, metrics: &Metrics) -> Client {
    let metrics = metrics.clone();
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, metrics) = (client.clone(), metrics.clone());
        async move { send(&client, &metrics, request).await }
    });
    Client::new(service, namespace)
}

async fn send(
    client: &Client,
    metrics: &Metrics,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let verb = Asked::of(&request).map_or("get", |it| it.verb);
    let answer = client.send(request).await;
    let code = answer.as_ref().map_or(0, |it| it.status().as_u16());
    count(metrics, &ClusterName::hub(), (verb, code));
    Ok(answer?)
}

/// Counts a request; one without an answer has no code.
pub(super) fn count(metrics: &Metrics, cluster: &ClusterName, (verb, code): (&str, u16)) {
    let code = if code == 0 { "none".to_owned() } else { code.to_string() };
    metrics.cluster_api_requests_total.with_label_values(&[cluster.as_str(), verb, &code]).inc();
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::Lease;
    use kube::api::PostParams;
    use kube::{Api, Client};
    use kube_sandbox::{Fault, FaultKind, Sandbox};

    use super::client;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_of_the_hub_is_counted_by_verb_and_code() {
        let (hub, metrics) = (Sandbox::new("hub"), Metrics::new("test").unwrap());
        let client = client(Client::new(hub.router(), "default"), &metrics);
        let leases: Api<Lease> = Api::namespaced(client, "default");
        let lease = Lease {
            metadata: kube::api::ObjectMeta { name: Some("a".into()), ..Default::default() },
            spec: None,
        };

        leases.get_opt("a").await.unwrap();
        let created = leases.create(&PostParams::default(), &lease).await.unwrap();
        leases.replace("a", &PostParams::default(), &created).await.unwrap();
        hub.set_fault(Fault { client: None, kind: FaultKind::Unavailable(503) });
        leases.get("a").await.unwrap_err();

        let told = |verb: &str, code: &str| {
            metrics.cluster_api_requests_total.with_label_values(&["hub", verb, code]).get()
        };
        assert_eq!(
            [told("get", "404"), told("create", "201"), told("update", "200"), told("get", "503")],
            [1, 1, 1, 1]
        );
    }
}
