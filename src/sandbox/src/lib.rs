//! An in-process Kubernetes API server, honest enough to develop and test controllers on.
//!
//! A [`Sandbox`] is one cluster: reach it through [`Sandbox::router`] without any socket, or
//! through [`Sandbox::serve`] with kubectl or any other client.

#![warn(missing_docs)]

mod admission;
mod api;
mod audit;
mod auth;
mod breakage;
mod clock;
mod cluster;
mod controllers;
mod error;
mod fault;
mod http;
mod kinds;
mod label_selector;
mod object;
mod patch;
mod pods;
mod quantity;
mod random;
mod refusal;
mod registry;
mod sandbox;
mod schema;
mod selector;
mod server;
mod signal;
mod snapshot;
mod store;
mod strict_json;
mod tls;
mod validate;

pub use crate::{
    audit::{
        AuditEntry,
        access::{Access, Scope, Verdict},
    },
    breakage::{Breakage, NoBreakage},
    controllers::Controllers,
    error::Error,
    fault::{Failure, Fault, FaultKind, Latency, Mishap, Requests},
    pods::{Executor, Outcome, Output, Run, Script, Succeed},
    sandbox::Sandbox,
    server::Server,
};
