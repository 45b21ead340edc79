//! Serves a sandbox until it is interrupted: `cargo run --example serve -- /tmp/kubeconfig`.

use kube_sandbox::Sandbox;
use tokio::task::JoinSet;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example talks to a terminal")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "sandbox.kubeconfig".to_owned());
    let sandbox = Sandbox::new("example");
    let mut controllers = JoinSet::new();
    controllers.spawn(sandbox.run_controllers());

    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await?;
    std::fs::write(&path, server.kubeconfig())?;
    println!("{} serves; try: kubectl --kubeconfig {path} get namespaces", server.url());

    std::future::pending::<()>().await;
    Ok(())
}
