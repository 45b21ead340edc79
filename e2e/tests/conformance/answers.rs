//! What does an answer say, in the words that many cases ask for?

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::time::timeout;

use crate::ground::{Answer, Ground, patience};

/// Code, reason and message of a refusal.
pub(crate) fn said(answer: &Answer) -> (u16, String, String) {
    let status = answer.json();
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (answer.code, text("reason"), text("message"))
}

/// Field and message of each cause.
pub(crate) fn causes(answer: &Answer) -> Vec<(String, String)> {
    let status = answer.json();
    let list = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    list.iter().map(|it| (text(&it["field"]), text(&it["message"]))).collect()
}

/// The names in a list, in its order.
pub(crate) fn names(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    assert_eq!(answer.code, 200, "{}", answer.text);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|it| it["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The resource version of an object or a list.
pub(crate) fn version(answer: &Answer) -> String {
    let json = answer.json();
    json["metadata"]["resourceVersion"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

/// The path of the case's objects of a kind in the core group.
pub(crate) fn core(ground: &Ground, plural: &str) -> String {
    format!("/api/v1/namespaces/{}/{plural}", ground.namespace())
}

/// The same of a kind in another group.
pub(crate) fn grouped(ground: &Ground, group_version: &str, plural: &str) -> String {
    format!("/apis/{group_version}/namespaces/{}/{plural}", ground.namespace())
}

/// The administrator, who takes a refusal for an answer: clients ask again by themselves where they are
/// told to come later.
pub(crate) async fn impatient(ground: &Ground) -> Client {
    let read = Kubeconfig::from_yaml(ground.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(read, &options).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// A watch that goes on.
pub(crate) struct Events {
    body: Body,
    read: Vec<u8>,
}

impl Events {
    pub(crate) async fn of(ground: &Ground, path: &str) -> Self {
        Self::accepting(ground, path, "application/json").await
    }

    pub(crate) async fn accepting(ground: &Ground, path: &str, accept: &str) -> Self {
        let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
        let answer = ground.client().send(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        Self { body: answer.into_body(), read: Vec::new() }
    }

    /// The next event, or nothing when the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|it| *it == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = timeout(patience(), self.body.frame()).await.unwrap_or_else(|_| {
                panic!(
                    "after {:?} nothing more came: {:?}",
                    patience(),
                    String::from_utf8_lossy(&self.read)
                )
            })?;
            self.read.extend(frame.unwrap().into_data().unwrap_or_default());
        }
    }

    /// Type and name of the next events.
    pub(crate) async fn told(&mut self, count: usize) -> Vec<(String, String)> {
        let mut told = Vec::new();
        for _ in 0..count {
            let event = self.next().await.unwrap_or_else(|| panic!("ended after {told:?}"));
            let text = |at: &str| event.pointer(at).and_then(Value::as_str).unwrap_or_default();
            told.push((text("/type").to_owned(), text("/object/metadata/name").to_owned()));
        }
        told
    }

    /// Whether nothing comes for a moment: for what is never to come there is nothing to wait for.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.next()).await.is_err()
    }
}

/// Events as cases write them down.
pub(crate) fn events<const N: usize>(list: [(&str, &str); N]) -> Vec<(String, String)> {
    list.map(|(kind, name)| (kind.to_owned(), name.to_owned())).into()
}
