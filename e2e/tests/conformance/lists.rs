//! Lists: which objects, of which moment, in which pages?

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::Request;
use serde_json::{Value, json};

use crate::{
    answers::{causes, core, grouped, impatient, names, said, version},
    ground::{Answer, Ground, ask},
};

/// Leases of these names, each with a label `name`; answers the path of all.
async fn leases(ground: &Ground, names: &[&str]) -> String {
    let all = grouped(ground, "coordination.k8s.io/v1", "leases");
    for name in names {
        let body = json!({ "metadata": { "name": name, "labels": { "name": name } } });
        assert_eq!(ground.post(&all, &body).await.code, 201);
    }
    all
}

fn next(page: &Answer) -> String {
    page.json()["metadata"]["continue"].as_str().unwrap_or_default().to_owned()
}

/// The value of a query, with its signs escaped.
fn escaped(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
    text.bytes()
        .map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") })
        .collect()
}

/// A list has a kind, a version and items in the order of their names; its items leave out their kind.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#collections>
#[tokio::test]
async fn a_list_says_the_kind_of_its_items() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["b", "a.b", "a-b", "a"]).await;

    let list = ground.get(&all).await;

    assert_eq!(names(&list), ["a", "a-b", "a.b", "b"]);
    let list = list.json();
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&"LeaseList".into(), &"coordination.k8s.io/v1".into())
    );
    assert_eq!((list["items"][0].get("kind"), list["items"][0].get("apiVersion")), (None, None));
}

/// A list in pages is that of one moment: what comes later is on no page.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>
#[tokio::test]
async fn pages_are_of_one_moment() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b", "c", "d", "e"]).await;

    let first = ground.get(&format!("{all}?limit=2")).await;
    leases(&ground, &["bb", "f"]).await;
    ground.delete(&format!("{all}/c"), &Value::Null).await;
    let second = ground.get(&format!("{all}?limit=2&continue={}", next(&first))).await;
    let third = ground.get(&format!("{all}?limit=2&continue={}", next(&second))).await;

    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(names(&third), ["e"]);
    let remaining = |page: &Answer| page.json()["metadata"]["remainingItemCount"].clone();
    assert_eq!((remaining(&first), remaining(&second)), (json!(3), json!(1)));
    assert_eq!(third.json()["metadata"], json!({ "resourceVersion": version(&first) }));
    assert_eq!(version(&first), version(&second));
}

/// How many remain is not counted where a selector chooses.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/list-meta/>
#[tokio::test]
async fn a_chosen_list_does_not_count_the_rest() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b", "c"]).await;

    let page = ground.get(&format!("{all}?limit=1&labelSelector=name")).await;

    assert_eq!(names(&page), ["a"]);
    assert_eq!(page.json()["metadata"].get("remainingItemCount"), None);
    let rest = format!("{all}?limit=5&labelSelector=name&continue={}", next(&page));
    assert_eq!(names(&ground.get(&rest).await), ["b", "c"]);
}

/// A list of any version comes whole, whatever its limit.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list>
#[tokio::test]
async fn a_list_of_any_version_has_no_limit() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b", "c"]).await;
    let seen = async || {
        let list = ground.get(&format!("{all}?limit=1&resourceVersion=0")).await;
        (names(&list).len() == 3).then_some(list)
    };

    let list = ground.eventually("all three from the cache", seen).await;

    assert_eq!(next(&list), "");
}

/// What no server wrote is no token: 400 says what is wrong with it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>
#[tokio::test]
async fn a_token_is_the_servers() {
    let ground = Ground::new().await;
    let all = leases(&ground, &[]).await;
    let of = |token: Value| BASE64.encode(token.to_string());

    for (token, why) in [
        ("!!".to_owned(), "illegal base64 data at input byte 0"),
        (of(json!({})), "server does not recognize this encoded version "),
        (
            of(json!({ "v": "meta.k8s.io/v1", "rv": 0, "start": "a" })),
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        ),
        (
            of(json!({ "v": "meta.k8s.io/v1", "rv": 5, "start": "" })),
            "encoded start key empty (version meta.k8s.io/v1)",
        ),
    ] {
        let refused = ground.get(&format!("{all}?continue={token}")).await;

        let message = format!("invalid continue token: continue key is not valid: {why}");
        assert_eq!(said(&refused), (400, "BadRequest".to_owned(), message));
    }
}

/// A page goes on at its own version: the request may not name one.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list>
#[tokio::test]
async fn a_page_has_its_own_version() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b"]).await;
    let token = next(&ground.get(&format!("{all}?limit=1")).await);

    let version = ground.get(&format!("{all}?continue={token}&resourceVersion=1")).await;
    let matched = format!("{all}?continue={token}&resourceVersion=1&resourceVersionMatch=Exact");
    let matched = ground.get(&matched).await;

    assert_eq!(said(&version).2, "specifying resource version is not allowed when using continue");
    assert_eq!((version.code, matched.code), (400, 422));
    assert_eq!(
        causes(&matched)[0].1,
        "Forbidden: resourceVersionMatch is forbidden when continue is provided"
    );
}

/// Pages of a moment that the server has forgotten get 410, and a token for what is there now.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses>
#[tokio::test]
async fn pages_of_a_forgotten_moment_go_on_now() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b"]).await;
    // Version 1 is of before all: a server that remembers it has nothing to list.
    let token = json!({ "v": "meta.k8s.io/v1", "rv": 1, "start": "/a\0" });

    let page = ground.get(&format!("{all}?continue={}", BASE64.encode(token.to_string()))).await;

    if page.code == 200 {
        assert_eq!(names(&page), [""; 0]);
        return;
    }
    assert_eq!((page.code, said(&page).1.as_str()), (410, "Expired"));
    assert!(said(&page).2.contains("use the continue token in this response"));
    let rest = ground.get(&format!("{all}?continue={}", next(&page))).await;
    assert_eq!(names(&rest), ["b"]);
}

/// A list may be that of just one version, or of one not older.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list>
#[tokio::test]
async fn a_list_is_of_the_version_that_is_asked_for() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a"]).await;
    let then = version(&ground.get(&all).await);
    leases(&ground, &["b"]).await;
    let list =
        async |query: &str| ground.get(&format!("{all}?resourceVersion={then}{query}")).await;

    let exact = list("&resourceVersionMatch=Exact").await;
    let page = list("&limit=1").await;
    let newer = list("&resourceVersionMatch=NotOlderThan").await;

    assert_eq!((names(&exact), version(&exact)), (vec!["a".to_owned()], then.clone()));
    // A page without a match is one of just that version.
    assert_eq!((next(&page), version(&page)), (String::new(), then.clone()));
    assert!(version(&newer).parse::<u64>().unwrap() >= then.parse().unwrap());
}

/// How a version is matched is one of two ways, and only where there is a version.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list>
#[tokio::test]
async fn a_match_needs_a_version() {
    let ground = Ground::new().await;
    let all = leases(&ground, &[]).await;
    let list = async |query: &str| ground.get(&format!("{all}?{query}")).await;

    let alone = list("resourceVersionMatch=Exact").await;
    let zero = list("resourceVersion=0&resourceVersionMatch=Exact").await;
    let odd = list("resourceVersion=0&resourceVersionMatch=Odd").await;
    let initial = list("sendInitialEvents=true").await;

    let subject = "ListOptions.meta.k8s.io \"\" is invalid: ";
    for (answer, message) in [
        (
            alone,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion \
             is provided",
        ),
        (
            zero,
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for \
             resourceVersion \"0\"",
        ),
        (
            odd,
            "resourceVersionMatch: Unsupported value: \"Odd\": supported values: \"Exact\", \
             \"NotOlderThan\", \"\"",
        ),
        (initial, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
    ] {
        assert_eq!(said(&answer), (422, "Invalid".to_owned(), format!("{subject}{message}")));
    }
}

/// A version is a number.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_version_is_a_number() {
    let ground = Ground::new().await;
    let all = leases(&ground, &[]).await;

    let refused = ground.get(&format!("{all}?resourceVersion=abc")).await;

    assert_eq!(refused.code, 400);
    assert_eq!(
        said(&refused).2,
        "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \
         \"abc\": invalid syntax"
    );
}

/// A version that the cluster has not come to gets 504, and a time to come again.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#unavailable-resource-versions>
#[tokio::test]
async fn a_version_of_the_future_is_not_there() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a"]).await;
    let client = impatient(&ground).await;

    for path in [
        format!("{all}?resourceVersion=99999999999"),
        format!("{all}/a?resourceVersion=99999999999"),
    ] {
        let refused = ask(&client, Request::get(path), "").await;

        let (code, reason, message) = said(&refused);
        assert_eq!((code, reason.as_str()), (504, "Timeout"));
        assert!(message.starts_with("Timeout: Too large resource version: 99999999999, current: "));
        assert_eq!(refused.headers["retry-after"], "1");
        let details = &refused.json()["details"];
        let cause =
            json!({ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" });
        assert_eq!(*details, json!({ "causes": [cause], "retryAfterSeconds": 1 }));
    }
}

/// Label selectors choose by equality, by sets and by whether a label is there.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
#[tokio::test]
async fn labels_choose() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b", "5"]).await;
    ground.post(&all, &json!({ "metadata": { "name": "z" } })).await;

    for (selector, chosen) in [
        ("name=a", &["a"][..]),
        ("name==a", &["a"]),
        ("name!=a", &["5", "b", "z"]),
        ("name in (a, b)", &["a", "b"]),
        ("name notin (a,b)", &["5", "z"]),
        ("name", &["5", "a", "b"]),
        ("!name", &["z"]),
        ("name,name!=a", &["5", "b"]),
        ("name>4", &["5"]),
        ("name<5", &[]),
        ("name=", &[]),
        ("name in ()", &[]),
        ("in", &[]),
    ] {
        let list = ground.get(&format!("{all}?labelSelector={}", escaped(selector))).await;

        assert_eq!(names(&list), chosen, "{selector}");
    }
}

/// A label selector that cannot be read gets 400, and where it cannot.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
#[tokio::test]
async fn a_label_selector_has_a_syntax() {
    let ground = Ground::new().await;
    let all = leases(&ground, &[]).await;
    let wants = "expected: in, notin, =, ==, !=, gt, lt";
    let needs = "expected: !, identifier, or 'end of string'";

    for (selector, message) in [
        ("a b", format!("unable to parse requirement: found 'b', {wants}")),
        ("a near (1)", format!("unable to parse requirement: found 'near', {wants}")),
        ("=x", format!("found '=', {needs}")),
        ("a in (1", "unable to parse requirement: found '', expected: ',' or ')'".to_owned()),
        ("a in 1", "unable to parse requirement: found '1' expected: '('".to_owned()),
        ("a=1,", "found '', expected: identifier after ','".to_owned()),
        ("a===1", "unable to parse requirement: found '=', expected: identifier".to_owned()),
        ("!a=1", "found '=', expected: ',' or 'end of string'".to_owned()),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, \
             the value must be an integer"
                .to_owned(),
        ),
    ] {
        let refused = ground.get(&format!("{all}?labelSelector={}", escaped(selector))).await;

        assert_eq!(said(&refused), (400, "BadRequest".to_owned(), message), "{selector}");
    }
}

/// All kinds can be chosen by name and namespace.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>
#[tokio::test]
async fn fields_choose() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b"]).await;
    let namespace = ground.namespace();

    for (selector, chosen) in [
        ("metadata.name=a".to_owned(), &["a"][..]),
        ("metadata.name==a".to_owned(), &["a"]),
        ("metadata.name!=a".to_owned(), &["b"]),
        ("metadata.name=a,metadata.name=b".to_owned(), &[]),
        (format!("metadata.namespace={namespace}"), &["a", "b"]),
        ("metadata.namespace=other".to_owned(), &[]),
        (r"metadata.name=a\,b".to_owned(), &[]),
    ] {
        let list = ground.get(&format!("{all}?fieldSelector={}", escaped(&selector))).await;

        assert_eq!(names(&list), chosen, "{selector}");
    }
}

/// Other fields choose only where the kind knows them: 400.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/#supported-fields>
#[tokio::test]
async fn few_fields_choose() {
    let ground = Ground::new().await;
    let pods = core(&ground, "pods");
    let jobs = grouped(&ground, "batch/v1", "jobs");
    let leases = grouped(&ground, "coordination.k8s.io/v1", "leases");

    for (path, message) in [
        (
            format!("{leases}?fieldSelector=spec.holderIdentity%3Dx"),
            "\"spec.holderIdentity\" is not a known field selector: only \"metadata.name\", \
             \"metadata.namespace\"",
        ),
        (format!("{pods}?fieldSelector=spec.odd%3Dx"), "field label not supported: spec.odd"),
        (
            format!("{jobs}?fieldSelector=status.odd%3Dx"),
            "field label \"status.odd\" not supported for Job",
        ),
        (
            "/api/v1/namespaces?fieldSelector=metadata.namespace%3Dx".to_owned(),
            "field label not supported: metadata.namespace",
        ),
        (
            format!("{pods}?fieldSelector=metadata.name"),
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
        ),
    ] {
        let refused = ground.get(&path).await;

        assert_eq!(said(&refused), (400, "BadRequest".to_owned(), message.to_owned()), "{path}");
    }
}

/// Kinds have fields of their own to choose by: the phase of a Pod, the type of a Secret.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/#list-of-supported-fields>
#[tokio::test]
async fn kinds_have_fields_to_choose_by() {
    let ground = Ground::new().await;
    let secrets = core(&ground, "secrets");
    let secret = |name: &str, kind: &str| json!({ "metadata": { "name": name }, "type": kind });
    ground.post(&secrets, &secret("mine", "example.com/mine")).await;
    ground.post(&secrets, &secret("plain", "Opaque")).await;
    let pods = core(&ground, "pods");
    let spec = json!({ "containers": [{ "name": "c", "image": "i" }] });
    let pod = ground.post(&pods, &json!({ "metadata": { "name": "one" }, "spec": spec })).await;
    assert_eq!(pod.code, 201, "{}", pod.text);

    for (path, chosen) in [
        (format!("{secrets}?fieldSelector=type%3Dexample.com/mine"), &["mine"][..]),
        (format!("{secrets}?fieldSelector=type!%3Dexample.com/mine"), &["plain"]),
        (format!("{pods}?fieldSelector=status.phase%3DPending"), &["one"]),
        (format!("{pods}?fieldSelector=status.phase%3DRunning"), &[]),
        (format!("{pods}?fieldSelector=spec.nodeName%3D"), &["one"]),
        (format!("{pods}?fieldSelector=spec.restartPolicy%3DAlways"), &["one"]),
        (format!("{pods}?fieldSelector=spec.hostNetwork%3Dfalse"), &["one"]),
    ] {
        assert_eq!(names(&ground.get(&path).await), chosen, "{path}");
    }
}

/// Jobs can be chosen by how many of their Pods succeeded.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/#list-of-supported-fields>
#[tokio::test]
async fn jobs_are_chosen_by_success() {
    let ground = Ground::new().await;
    let jobs = grouped(&ground, "batch/v1", "jobs");
    let template = json!({ "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }],
    } });
    let body = json!({
        "metadata": { "name": "one" }, "spec": { "suspend": true, "template": template },
    });
    assert_eq!(ground.post(&jobs, &body).await.code, 201);

    let none = ground.get(&format!("{jobs}?fieldSelector=status.successful%3D0")).await;
    let some = ground.get(&format!("{jobs}?fieldSelector=status.successful%3D1")).await;

    assert_eq!((names(&none), names(&some)), (vec!["one".to_owned()], vec![]));
}

/// A limit that is no number gets 400.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>
#[tokio::test]
async fn a_limit_is_a_number() {
    let ground = Ground::new().await;
    let all = leases(&ground, &["a", "b"]).await;

    let odd = ground.get(&format!("{all}?limit=abc")).await;
    let none = ground.get(&format!("{all}?limit=-1")).await;

    assert_eq!(said(&odd).2, "strconv.ParseInt: parsing \"abc\": invalid syntax");
    assert_eq!((odd.code, names(&none).len()), (400, 2));
}
