//! How much memory does an object take, beyond its own bytes?

use std::fmt::Write as _;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use serde_json::json;

use crate::OBJECTS;

/// Small objects, as metadata and one key.
pub(crate) async fn of_objects() -> anyhow::Result<String> {
    let mut text = String::new();
    let sandbox = Sandbox::new("held");
    let api = Api::<ConfigMap>::default_namespaced(Client::new(sandbox.router(), "default"));
    create(&api, "warm", 100).await?;
    let before = anonymous()?;
    let json = create(&api, "held", OBJECTS).await?;
    sandbox.compact();
    let each = (anonymous()? - before) / u64::try_from(OBJECTS)?;
    writeln!(text, "| an object, as JSON | {json} B |")?;
    writeln!(text, "| the same, in the store | {each} B |")?;
    writeln!(text, "| overhead (aim ≤ 1,024 B) | {} B |", each.saturating_sub(json))?;
    Ok(text)
}

/// Gives the bytes of one of them.
async fn create(api: &Api<ConfigMap>, stem: &str, count: usize) -> anyhow::Result<u64> {
    let mut json = 0;
    for at in 0..count {
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": format!("{stem}-{at:05}"), "labels": { "app": "bench" } },
            "data": { "key": "a value that is neither long nor short" },
        });
        let made = api.create(&PostParams::default(), &serde_json::from_value(body)?).await?;
        json = serde_json::to_string(&made)?.len();
    }
    Ok(u64::try_from(json)?)
}

/// Memory of this process that no file is behind, in bytes.
fn anonymous() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
