//! What Kubernetes does, a case a rule, against whichever cluster the environment names.
//!
//! Nothing: a sandbox for each case. `KUBEBUILDER_ASSETS`: one etcd and kube-apiserver for all, started
//! here. `KUBECONFIG`: that cluster. Where the sandbox and a real server differ, the sandbox is wrong.
#![expect(clippy::unwrap_used, reason = "a case that cannot go on has failed")]
#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]
#![expect(clippy::panic, reason = "what a case expected and did not see ends it")]

mod accounts;
mod admission;
mod answers;
mod appliers;
mod apply;
mod bites;
mod budget_rules;
mod causes;
mod changes;
mod container_rules;
mod core_rules;
mod crds;
mod creators;
mod cron_rules;
mod custom;
mod decoding;
mod definitions;
mod deletion;
mod discovery;
mod duplicates;
mod escalation;
mod ground;
mod helm;
mod identity;
mod job_bench;
mod job_changes;
mod job_ends;
mod job_limits;
mod job_rules;
mod job_states;
mod jobs;
mod kubectl;
mod kubectl_writes;
mod lists;
mod names;
mod namespaces;
mod network_rules;
mod objects;
mod owners;
mod ownership;
mod patches;
mod people;
mod pod_rules;
mod pods;
mod policy_rules;
mod programs;
mod pruning;
mod rbac;
mod requests;
mod reviews;
mod rule_costs;
mod rules;
mod scale;
mod schemas;
mod shapes;
mod strategic;
mod streams;
mod structures;
mod tables;
mod time_rules;
mod versions;
mod watch_beginnings;
mod watches;
mod workload_defaults;
mod workload_rules;
