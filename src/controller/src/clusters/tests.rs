//! Does a fleet of clusters behave? Decisions in tables; everything else against the sandbox, in virtual time.

mod certificates;
mod connections;
mod decisions;
mod fleet;
mod ground;
mod kubeconfigs;
mod limits;
mod rotation;
mod routes;
mod tls;
