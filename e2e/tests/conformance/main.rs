//! What Kubernetes does, a case a rule, against whichever cluster the environment names.
//!
//! Nothing: a sandbox for each case. `KUBEBUILDER_ASSETS`: one etcd and kube-apiserver for all, started
//! here. `KUBECONFIG`: that cluster. Where the sandbox and a real server differ, the sandbox is wrong.
#![expect(clippy::unwrap_used, reason = "a case that cannot go on has failed")]
#![expect(clippy::panic, reason = "what a case expected and did not see ends it")]

mod accounts;
mod appliers;
mod apply;
mod crds;
mod custom;
mod definitions;
mod discovery;
mod escalation;
mod ground;
mod helm;
mod identity;
mod jobs;
mod kubectl;
mod kubectl_writes;
mod namespaces;
mod objects;
mod owners;
mod ownership;
mod patches;
mod people;
mod pods;
mod programs;
mod pruning;
mod rbac;
mod reviews;
mod rules;
mod schemas;
mod shapes;
mod strategic;
mod structures;
mod tables;
mod versions;
