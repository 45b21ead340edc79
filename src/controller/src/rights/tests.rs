//! Do the rules read, and do they become the objects that the charts make?

use super::*;

fn account(place: Place, jobs: Reach) -> Account {
    let (namespace, name) = ("home".to_owned(), "runner".to_owned());
    Account { place, namespace, name, jobs, secrets: Reach::Namespaces(Vec::new()) }
}

fn names(account: &Account) -> Vec<String> {
    let name = |it: &Value| {
        let at = it["metadata"]["namespace"].as_str().unwrap_or("*").to_owned();
        format!(
            "{} {at}/{}",
            it["kind"].as_str().unwrap(),
            it["metadata"]["name"].as_str().unwrap()
        )
    };
    account.objects().iter().map(name).collect()
}

#[test]
fn each_file_of_the_charts_is_read_and_grants_no_wildcard() {
    for place in [Place::Hub, Place::Spoke] {
        for area in Area::ALL {
            for rule in rules(place, area) {
                let lists = [rule.api_groups, rule.resources, Some(rule.verbs)];
                let words: Vec<String> = lists.into_iter().flatten().flatten().collect();
                assert!(words.iter().all(|it| it != "*"), "{place:?} {area:?}: {words:?}");
                assert!(rule.non_resource_urls.is_none());
            }
        }
    }
}

/// A hub is a watched cluster like any other.
#[test]
fn the_charts_say_the_same_of_what_a_hub_and_a_spoke_share() {
    for area in [Area::Everywhere, Area::Jobs, Area::Secrets] {
        assert_eq!(rules(Place::Hub, area), rules(Place::Spoke, area), "{area:?}");
    }
}

#[test]
fn what_is_granted_in_some_namespaces_is_bound_in_each() {
    let reach = Reach::Namespaces(vec!["a".to_owned(), "b".to_owned()]);

    let granted = names(&account(Place::Spoke, reach));

    let wanted = [
        "ServiceAccount home/runner",
        "ClusterRole */runner-controller",
        "ClusterRoleBinding */runner-controller",
        "ClusterRole */runner-controller-jobs",
        "RoleBinding a/runner-controller-jobs",
        "RoleBinding b/runner-controller-jobs",
    ];
    assert_eq!(granted, wanted);
}

#[test]
fn a_hub_has_a_home_besides() {
    let granted = names(&account(Place::Hub, Reach::All));

    assert_eq!(granted[3], "ClusterRole */runner-controller-jobs");
    assert_eq!(granted[4], "ClusterRoleBinding */runner-controller-jobs");
    assert_eq!(granted[5..], ["Role home/runner-controller", "RoleBinding home/runner-controller"]);
}
