//! How does a person at a command line reach a cluster? As kubectl would.

use kube::Client;
use kube::config::{Config, KubeConfigOptions};

use super::error::Error;

/// The client of a context of the kubeconfig, or of what kubectl would use; the namespace of the
/// context is its default. A log may be silent for long, so nothing here ends a stream.
pub async fn user_client(context: Option<&str>) -> Result<Client, Error> {
    let mut config = match context {
        None => {
            Config::infer().await.map_err(|source| Error::Infer { source: Box::new(source) })?
        }
        Some(context) => {
            let options =
                KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
            let read = Config::from_kubeconfig(&options).await;
            read.map_err(|source| Error::Configure { source: Box::new(source) })?
        }
    };
    config.read_timeout = None;
    Client::try_from(config).map_err(|source| Error::Build { source: Box::new(source) })
}
