//! How fast is the sandbox, and how much does it hold? Beside it, where `KUBEBUILDER_ASSETS` has one, a real
//! API server with etcd.
//!
//! ```text
//! this process starts itself once for each part, so that no part is in another's memory
//! ```

mod memory;
mod traffic;
mod watching;
mod writes;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use e2e::control_plane::{Assets, ControlPlane};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube_sandbox::{Sandbox, Server};

/// What a program that lives on a sandbox would choose: objects are trees of small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Objects that are held and watched.
const OBJECTS: usize = 10_000;

/// How a part is measured, and what it is called.
const PARTS: [(&str, &str); 5] = [
    ("writes", "writes of one core, in the process"),
    ("traffic", "the traffic of a fleet, in paused time, by CPU time"),
    ("memory", "memory of 10,000 objects"),
    ("served", "over TCP and TLS"),
    ("real", "kube-apiserver and etcd, over TCP and TLS"),
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Losing the race means that somebody else has chosen: as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let text = match arguments.first().map(String::as_str) {
        Some("writes") => one_thread()?.block_on(writes::in_process())?,
        Some("traffic") => one_thread()?.block_on(traffic::of_a_fleet())?,
        Some("memory") => one_thread()?.block_on(memory::of_objects())?,
        Some("served") => threads()?.block_on(served())?,
        Some("real") => threads()?.block_on(real())?,
        _ => all(&arguments)?,
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// `cargo bench` alone is a whole run and leaves a report.
fn all(arguments: &[String]) -> anyhow::Result<String> {
    let mut text = "\n### The sandbox\n".to_owned();
    for (part, title) in PARTS {
        if part == "real" && Assets::from_env().is_none() {
            continue;
        }
        let ran = Command::new(std::env::current_exe()?).arg(part).output()?;
        if !ran.status.success() {
            bail!("{part}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        let said = String::from_utf8(ran.stdout)?;
        writeln!(text, "\n#### {title}\n\n| what | figure |\n| --- | ---: |\n{}", said.trim_end())?;
    }
    if arguments == ["--bench"] {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("report.md");
        std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(text)
}

/// The same figures over TCP: of the sandbox, and of a real server.
async fn served() -> anyhow::Result<String> {
    let sandbox = Sandbox::new("served");
    let server: Server = sandbox.serve(([127, 0, 0, 1], 0).into()).await?;
    let client = connect(&server.kubeconfig()).await?;
    let mut text = writes::by_one(&client).await?;
    text += &watching::by_many(&client).await?;
    Ok(text)
}

async fn real() -> anyhow::Result<String> {
    let assets = Assets::from_env().context("KUBEBUILDER_ASSETS is not set")?;
    let plane = ControlPlane::start(&assets, "bench").await;
    let client = plane.client().await;
    let mut text = writes::by_one(&client).await?;
    text += &watching::by_many(&client).await?;
    Ok(text)
}

async fn connect(kubeconfig: &str) -> anyhow::Result<Client> {
    let read = Kubeconfig::from_yaml(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn one_thread() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn threads() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
