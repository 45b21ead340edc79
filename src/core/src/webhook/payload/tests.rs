//! What is read of each forge's deliveries, and what of anything else.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const COMMIT: &str = "95790bf891e76fee5e1747ab589903a6a1f80f22";

fn deliver(
    kind: WebhookAuthKind,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Delivery, Malformed> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    read(Some(kind), &headers, body.to_string().as_bytes())
}

fn moved(name: RefName) -> RefChange {
    RefChange { name, after: Commit::parse(COMMIT).ok(), fate: Fate::Moved }
}

fn main_branch() -> RefName {
    RefName::Branch("main".to_owned())
}

#[test]
fn a_push_says_which_reference_and_where_it_is() {
    let push = json!({ "ref": "refs/heads/main", "after": COMMIT });
    let headers = [("x-github-event", "push"), ("x-github-delivery", "d-1")];

    let read = deliver(WebhookAuthKind::Github, &headers, &push).unwrap();

    assert_eq!(read.forge, Some(Forge::Github));
    assert!(read.event.as_ref().unwrap().is_push());
    assert_eq!(read.refs, [moved(main_branch())]);
    assert_eq!(read.id.as_deref(), Some(b"d-1".as_slice()));
}

#[test]
fn gitea_is_not_taken_for_the_github_that_it_says_to_be() {
    let push = json!({ "ref": "refs/heads/main", "after": COMMIT });
    let headers = [("x-github-event", "push"), ("x-gitea-event", "push")];

    let read = deliver(WebhookAuthKind::Header, &headers, &push).unwrap();

    assert_eq!(read.forge, Some(Forge::Gitea));
}

#[test]
fn gitlab_names_the_commit_of_an_annotated_tag() {
    let push = json!({
        "ref": "refs/tags/v1", "after": "a".repeat(40), "checkout_sha": COMMIT,
    });

    let headers = [("x-gitlab-event", "Tag Push Hook")];
    let read = deliver(WebhookAuthKind::Gitlab, &headers, &push).unwrap();

    assert!(read.event.as_ref().unwrap().is_push());
    assert_eq!(read.refs, [moved(RefName::Tag("v1".to_owned()))]);
}

#[test]
fn bitbucket_lists_what_was_pushed_in_either_of_its_words() {
    let cloud = json!({ "push": { "changes": [
        { "new": { "type": "branch", "name": "main", "target": { "hash": COMMIT } }, "old": null },
        { "new": null, "old": { "type": "tag", "name": "v1" } },
    ] } });
    let server = json!({ "changes": [
        { "ref": { "id": "refs/heads/main" }, "toHash": COMMIT, "type": "UPDATE" },
        { "ref": { "id": "refs/tags/v1" }, "toHash": "0".repeat(40), "type": "DELETE" },
    ] });
    let expected = [moved(main_branch()), RefChange::deleted(RefName::Tag("v1".to_owned()))];

    for (event, body) in [("repo:push", cloud), ("repo:refs_changed", server)] {
        let read = deliver(WebhookAuthKind::Bitbucket, &[("x-event-key", event)], &body).unwrap();
        assert_eq!(read.refs, expected, "{event}");
        assert!(read.event.unwrap().is_push());
    }
}

#[test]
fn azure_is_known_by_its_body_alone() {
    let push = json!({
        "id": "n-1", "eventType": "git.push",
        "resource": { "refUpdates": [{ "name": "refs/heads/main", "newObjectId": COMMIT }] },
    });
    let other = json!({ "id": "n-2", "eventType": "build.complete", "resource": {} });

    let push = deliver(WebhookAuthKind::Header, &[], &push).unwrap();
    let other = deliver(WebhookAuthKind::Header, &[], &other).unwrap();

    assert_eq!((push.forge, push.refs), (Some(Forge::Azure), vec![moved(main_branch())]));
    assert_eq!(push.id.as_deref(), Some(b"n-1".as_slice()));
    assert!(!other.event.unwrap().is_push());
}

#[test]
fn a_caller_whom_nobody_knows_may_say_anything_or_nothing() {
    for body in [json!(null), json!({}), json!([1]), json!("main"), json!({ "ref": 7 })] {
        let read = deliver(WebhookAuthKind::Header, &[], &body).unwrap();
        assert_eq!((read.forge, read.event, read.refs), (None, None, vec![]), "{body}");
    }
    let short = deliver(WebhookAuthKind::Header, &[], &json!({ "ref": "main" })).unwrap();
    assert_eq!(short.refs[0].name, RefName::Either("main".to_owned()));
    assert_eq!(short.refs[0].after, None);
}

#[test]
fn a_form_holds_the_same_json() {
    let headers = [
        ("x-github-event".to_owned(), b"push".to_vec()),
        ("content-type".to_owned(), b"application/x-www-form-urlencoded; charset=utf-8".to_vec()),
    ];
    let headers: Headers<'_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let body = b"payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D";

    let read = read(Some(WebhookAuthKind::Github), &headers, body).unwrap();

    assert_eq!(read.refs[0].name, main_branch());
}

#[test]
fn only_so_many_references_are_kept_and_it_is_said() {
    let change = json!({ "ref": { "id": "refs/heads/x" }, "toHash": COMMIT, "type": "UPDATE" });
    let body = json!({ "changes": vec![change; 300] });

    let headers = [("x-event-key", "repo:refs_changed")];
    let read = deliver(WebhookAuthKind::Bitbucket, &headers, &body).unwrap();

    assert_eq!((read.refs.len(), read.is_cut), (256, true));
}

#[test]
fn a_name_is_cut_and_an_object_id_is_one_or_nothing() {
    let long = json!({ "ref": "refs/heads/main", "after": "not a commit" });
    let event = "x".repeat(10_000);

    let headers = [("x-github-event", "push")];
    let read = deliver(WebhookAuthKind::Github, &headers, &long).unwrap();

    assert_eq!(read.refs[0].after, None);
    assert!(Event::of(&event).told.len() <= 128);
}

fn any_kind() -> impl Strategy<Value = Option<WebhookAuthKind>> {
    use WebhookAuthKind::{Bitbucket, Gitea, Github, Gitlab, Header};
    proptest::sample::select(vec![
        None,
        Some(Header),
        Some(Github),
        Some(Gitlab),
        Some(Gitea),
        Some(Bitbucket),
    ])
}

/// JSON with the words that the parsers look for, and anything below them.
fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "ref",
        "after",
        "deleted",
        "ref_type",
        "checkout_sha",
        "push",
        "changes",
        "new",
        "old",
        "name",
        "type",
        "target",
        "hash",
        "toHash",
        "id",
        "eventType",
        "resource",
        "refUpdates",
        "newObjectId",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::sample::select(vec![
            "refs/heads/main",
            "main",
            "branch",
            "DELETE",
            COMMIT,
            "git.push",
            ""
        ])
        .prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(proptest::sample::select(words.to_vec()), inner, 0..6)
                .prop_map(|it| it
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_is_sent_panics(
        kind in any_kind(),
        event in proptest::sample::select(vec![
            "x-github-event", "x-gitea-event", "x-gitlab-event", "x-event-key", "none",
        ]),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        json in any_json(),
    ) {
        for body in [body, json.to_string().into_bytes()] {
            let headers: Headers<'_> = [(event, b"push".as_slice())].into_iter().collect();
            if let Ok(delivery) = read(kind, &headers, &body) {
                prop_assert!(delivery.refs.len() <= 256);
                let is_of_forge = kind.is_some_and(|it| it != WebhookAuthKind::Header);
                prop_assert!(!is_of_forge || !delivery.refs.is_empty() || event == "x-event-key");
            }
        }
    }
}
