//! An API that fails in every way it can, and a client that gets its object made once all the same:
//! `cargo run --example faults -- 7`. The number is the seed: the same one fails the same way.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::PostParams};
use kube_sandbox::{Failure, Fault, Latency, Mishap, Requests, Sandbox};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// Makes the object, whatever it takes. That it is there already means that an answer was lost.
async fn make(api: &Api<ConfigMap>, config: &ConfigMap) -> u32 {
    for attempt in 1.. {
        match api.create(&PostParams::default(), config).await {
            Ok(_) => return attempt,
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => return attempt,
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
    u32::MAX
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
#[expect(clippy::print_stdout, reason = "an example talks to a terminal")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |it| it.parse())?;
    let sandbox = Sandbox::new("example");
    let client = Client::new(sandbox.client_router("one"), "default");
    sandbox.seed_faults(seed);
    let creates = || Requests::all().verb("create").resource("configmaps");
    let slow =
        Latency::LongTailed { median: Duration::from_millis(20), most: Duration::from_secs(10) };
    for kind in [
        creates().meet(Mishap::Delayed(slow)),
        creates().chance(1, 4).meet(Mishap::Refused(Failure::code(429).retry_after(1))),
        creates().chance(1, 4).meet(Mishap::Unconnected),
        creates().chance(1, 4).meet(Mishap::DoneButUnheard),
        creates().chance(1, 4).meet(Mishap::DoneButRefused(Failure::code(504))),
    ] {
        sandbox.set_fault(Fault::of("one", kind));
    }

    let api: Api<ConfigMap> = Api::default_namespaced(client);
    for name in ["a", "b", "c", "d", "e"] {
        let start = Instant::now();
        let attempts =
            make(&api, &serde_json::from_value(json!({"metadata": {"name": name}}))?).await;
        println!("{name}: {attempts} attempts, {:?}", start.elapsed());
    }
    println!("{} objects were made.", sandbox.creations("configmaps").len());
    Ok(())
}
