//! Which clusters are served, how much of each, and at what pace: `clusters` and `hub` of the file.

use super::pattern::Pattern;
use serde::{Deserialize, Serialize};

/// What holds for clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Clusters {
    /// Only spokes with such names; empty: all.
    pub allow: Vec<Pattern>,
    /// No spokes with such names, allowed or not.
    pub deny: Vec<Pattern>,
    /// Which Secrets register a spoke.
    pub forms: Vec<Form>,
    pub limits: Limits,
    /// What differs for some; the first that names a cluster counts.
    pub each: Vec<Each>,
}

/// A convention by which Secrets register clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// The label of multicluster-runtime.
    Native,
    /// What Cluster API writes.
    ClusterApi,
    /// What Argo CD reads.
    ArgoCd,
}

/// What one cluster may cost. The defaults fit 100,000 triggers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Objects held in memory; a cluster with more is refused.
    pub objects: usize,
    /// Their bytes together.
    pub bytes: usize,
    /// Bytes of one answer of its API.
    pub response_bytes: usize,
    pub requests_in_flight: u32,
    pub requests_per_second: u32,
}

/// What differs for the clusters of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Each {
    /// The names; `hub` is the hub's.
    pub clusters: Pattern,
    /// Only namespaces with such labels, as `kubectl get namespaces -l` takes them.
    #[serde(default)]
    pub namespace_selector: Option<String>,
    /// Its share of the checks, where several wait: twice the weight, twice the share.
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// What holds for the hub alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Hub {
    /// Whether triggers of the hub itself are worked; without, it only manages.
    pub watch: bool,
}

fn one() -> u32 {
    1
}

impl Default for Clusters {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            forms: vec![Form::Native],
            limits: Limits::default(),
            each: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            objects: 250_000,
            bytes: 512 * 1024 * 1024,
            response_bytes: 64 * 1024 * 1024,
            requests_in_flight: 64,
            requests_per_second: 200,
        }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self { watch: true }
    }
}

impl Clusters {
    /// Why a spoke of this name is not served, if it is not.
    pub fn bars(&self, name: &str) -> Option<String> {
        if let Some(pattern) = self.deny.iter().find(|it| it.matches(name)) {
            return Some(format!("`clusters.deny` has {:?}", pattern.as_str()));
        }
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|it| it.matches(name));
        (!is_allowed).then(|| "no pattern of `clusters.allow` matches it".to_owned())
    }

    fn each_of(&self, name: &str) -> Option<&Each> {
        self.each.iter().find(|it| it.clusters.matches(name))
    }

    pub fn limits_of(&self, name: &str) -> &Limits {
        self.each_of(name).and_then(|it| it.limits.as_ref()).unwrap_or(&self.limits)
    }

    /// The labels of the namespaces that are served, where not all are.
    pub fn namespaces_of(&self, name: &str) -> Option<&str> {
        self.each_of(name)?.namespace_selector.as_deref()
    }

    pub fn weight_of(&self, name: &str) -> u32 {
        self.each_of(name).map_or(1, |it| it.weight.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Clusters {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn a_denied_name_is_barred_though_it_is_allowed() {
        let clusters = read("allow: ['prod-*']\ndeny: ['*-legacy']");

        assert_eq!(clusters.bars("prod-1"), None);
        assert!(clusters.bars("prod-legacy").unwrap().contains("*-legacy"));
        assert!(clusters.bars("test-1").unwrap().contains("allow"));
        assert_eq!(Clusters::default().bars("anything"), None);
    }

    #[test]
    fn the_first_entry_that_names_a_cluster_counts() {
        let clusters = read(
            "limits: {objects: 5}\n\
             each:\n\
             - {clusters: big, weight: 3, limits: {objects: 9}}\n\
             - {clusters: '*', namespaceSelector: team=a}",
        );

        assert_eq!((clusters.limits_of("big").objects, clusters.weight_of("big")), (9, 3));
        assert_eq!(clusters.namespaces_of("big"), None);
        assert_eq!((clusters.limits_of("edge").objects, clusters.weight_of("edge")), (5, 1));
        assert_eq!(clusters.namespaces_of("hub"), Some("team=a"));
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        assert_eq!(read("forms: [native, clusterApi]").limits, Limits::default());
        assert!(serde_saphyr::from_str::<Clusters>("alow: []").is_err());
    }
}
