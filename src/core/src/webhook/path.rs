//! Which trigger, and which of its sources, does a path name?

use crate::names::{ClusterName, TriggerKey, TriggerKind, is_subdomain};

/// What is to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub trigger: TriggerKey,
    /// None: all of them.
    pub source: Option<String>,
}

impl Target {
    /// `/{namespace}/{trigger}[/{source}]` of the hub, or behind `/clusters/{cluster}` of any cluster.
    /// Nothing for what no object can be called.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let parts: [Option<&str>; 6] = std::array::from_fn(|_| parts.next());
        match parts {
            [Some("clusters"), Some(cluster), Some(namespace), Some(trigger), source, None] => {
                let hub = ClusterName::hub();
                let cluster = if cluster == hub.as_str() {
                    hub
                } else {
                    ClusterName::parse_spoke(cluster).ok()?
                };
                Self::of(cluster, namespace, trigger, source)
            }
            [Some(namespace), Some(trigger), source, None, None, None] => {
                Self::of(ClusterName::hub(), namespace, trigger, source)
            }
            _ => None,
        }
    }

    fn of(cluster: ClusterName, namespace: &str, name: &str, source: Option<&str>) -> Option<Self> {
        let mut names = [namespace, name].into_iter().chain(source);
        if !names.all(is_subdomain) {
            return None;
        }
        let trigger = TriggerKey {
            cluster,
            kind: TriggerKind::Webhook,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Some(Self { trigger, source: source.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<(String, Option<String>)> {
        Target::parse(path).map(|it| (it.trigger.to_string(), it.source))
    }

    #[test]
    fn a_path_names_a_trigger_of_the_hub_or_of_any_cluster() {
        let named =
            |key: &str, source: Option<&str>| Some((key.to_owned(), source.map(str::to_owned)));

        assert_eq!(read("/team/deploy"), named("hub/WebhookTrigger/team/deploy", None));
        assert_eq!(read("/team/deploy/app"), named("hub/WebhookTrigger/team/deploy", Some("app")));
        let east = "east/WebhookTrigger/team/deploy";
        assert_eq!(read("/clusters/east/team/deploy"), named(east, None));
        assert_eq!(read("/clusters/east/team/deploy/app"), named(east, Some("app")));
        let hub = "hub/WebhookTrigger/team/deploy";
        assert_eq!(read("/clusters/hub/team/deploy"), named(hub, None));
    }

    #[test]
    fn a_namespace_may_be_called_clusters() {
        assert_eq!(read("/clusters/deploy").unwrap().0, "hub/WebhookTrigger/clusters/deploy");
        assert_eq!(read("/clusters/deploy/app").unwrap().1.as_deref(), Some("app"));
    }

    #[test]
    fn what_nothing_can_be_called_names_nothing() {
        let long = format!("/{}/deploy", "a".repeat(254));
        for path in [
            "",
            "/",
            "//",
            "/team",
            "/team/",
            "team/deploy",
            "/team/deploy/",
            "/team//app",
            "/Team/deploy",
            "/team/de%70loy",
            "/team/../deploy",
            "/a/b/c/d",
            "/a/b/c/d/e/f",
            "/clusters/east/team/deploy/app/more",
            "/clusters/-/team/deploy",
            &long,
        ] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
