//! Who somebody is: by token, by impersonation, or not at all.

use http::Request;
use kube::Client;
use serde_json::{Value, json};

use crate::ground::{Answer, Ground, ask};
use crate::people::{Person, grant, rule, said};

const WHO: &str = "/apis/authentication.k8s.io/v1";

/// A request with headers of its own.
async fn with(client: &Client, headers: &[(&str, &str)], path: &str) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(client, request, "").await
}

/// Whoever shows one token and nothing else.
async fn bearer(ground: &Ground, token: &str) -> Client {
    ground
        .client_with(|it| {
            it.token = Some(token.to_owned().into());
            it.client_certificate_data = None;
            it.client_key_data = None;
        })
        .await
}

/// Whoever shows nothing.
async fn nobody(ground: &Ground) -> Client {
    ground
        .client_with(|it| {
            it.token = None;
            it.client_certificate_data = None;
            it.client_key_data = None;
        })
        .await
}

async fn whoami(client: &Client) -> Answer {
    let request = Request::post(format!("{WHO}/selfsubjectreviews"));
    ask(client, request.header("content-type", "application/json"), "{}").await
}

/// A token that the API does not know gets 401 `Unauthorized`, on whatever path.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/>
#[tokio::test]
async fn an_unknown_token_is_refused() {
    let ground = Ground::new().await;
    let stranger = bearer(&ground, "nonsense").await;

    for path in ["/version", "/api/v1/namespaces"] {
        let refused = with(&stranger, &[], path).await;
        let expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
        });
        assert_eq!((refused.code, refused.json()), (401, expected), "{path}");
    }
}

/// Who shows nothing is `system:anonymous`, who may look at health and version and no more.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-requests>
#[tokio::test]
async fn nobody_may_look_at_health_and_version() {
    let ground = Ground::new().await;
    let nobody = nobody(&ground).await;

    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(with(&nobody, &[], path).await.code, 200, "{path}");
    }
    let api = said(&with(&nobody, &[], "/api").await);
    let pods = said(&with(&nobody, &[], "/api/v1/pods").await);

    let path = "forbidden: User \"system:anonymous\" cannot get path \"/api\"";
    assert_eq!(api, (403, path.to_owned()));
    let resource = "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API \
        group \"\" at the cluster scope";
    assert_eq!(pods, (403, resource.to_owned()));
    assert_eq!(whoami(&nobody).await.code, 403);
}

/// An impersonated user is whom the headers say: name, uid, groups and extras, and known.
/// <https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>
#[tokio::test]
async fn headers_say_whom_to_be() {
    let ground = Ground::new().await;
    let request = Request::post(format!("{WHO}/selfsubjectreviews"))
        .header("content-type", "application/json")
        .header("impersonate-user", "jane")
        .header("impersonate-group", "one")
        .header("impersonate-group", "two")
        .header("impersonate-uid", "12")
        .header("impersonate-extra-scopes", "a")
        .header("impersonate-extra-scopes", "b")
        .header("impersonate-extra-example.com%2fx", "c");

    let answer = ground.ask(request, "{}").await;

    assert_eq!(answer.code, 201, "{}", answer.text);
    let review = answer.json();
    assert_eq!(review["kind"], "SelfSubjectReview");
    let expected = json!({
        "username": "jane", "uid": "12", "groups": ["one", "two", "system:authenticated"],
        "extra": { "scopes": ["a", "b"], "example.com/x": ["c"] },
    });
    assert_eq!(review["status"]["userInfo"], expected);
}

/// A service account that is impersonated has its groups, unless others are given.
/// <https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>
#[tokio::test]
async fn an_account_comes_with_its_groups() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let name = format!("system:serviceaccount:{namespace}:robot");
    let robot = Person::named(&ground, &name).await;
    let other = Person::in_groups(&ground, &name, &["mine"]).await;

    let groups =
        async |client: &Client| whoami(client).await.json()["status"]["userInfo"]["groups"].clone();

    let own = format!("system:serviceaccounts:{namespace}");
    let expected = json!(["system:serviceaccounts", own, "system:authenticated"]);
    assert_eq!(groups(&robot.client).await, expected);
    assert_eq!(groups(&other.client).await, json!(["mine", "system:authenticated"]));
}

/// Groups, a uid or extras without a name are no user.
/// <https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>
#[tokio::test]
async fn impersonation_needs_a_name() {
    let ground = Ground::new().await;

    let group = with(&ground.client(), &[("impersonate-group", "one")], "/version").await;
    let uid = with(&ground.client(), &[("impersonate-uid", "12")], "/version").await;

    let message = |what: &str| {
        format!(
            "requested &user.DefaultInfo{{Name:\"\", {what}}} without impersonating a user name"
        )
    };
    let groups = "UID:\"\", Groups:[]string{\"one\"}, Extra:map[string][]string(nil)";
    assert_eq!(said(&group), (400, message(groups)));
    let uids = "UID:\"12\", Groups:[]string(nil), Extra:map[string][]string(nil)";
    assert_eq!(said(&uid), (400, message(uids)));
}

/// A token for an account of the case's namespace.
async fn token(ground: &Ground, account: &str, spec: &Value) -> Answer {
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", ground.namespace());
    ground.post(&path, &json!({ "spec": spec })).await
}

async fn account(ground: &Ground, name: &str) -> Value {
    let path = format!("/api/v1/namespaces/{}/serviceaccounts", ground.namespace());
    let made = ground.post(&path, &json!({ "metadata": { "name": name } })).await;
    assert_eq!(made.code, 201, "{}", made.text);
    made.json()
}

fn text(answer: &Answer) -> String {
    answer.json()["status"]["token"].as_str().unwrap_or_default().to_owned()
}

/// What a token says about itself.
fn claims(token: &str) -> Value {
    let middle = token.split('.').nth(1).unwrap_or_default();
    let mut bits = Vec::new();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for byte in middle.bytes() {
        let value = alphabet.iter().position(|it| *it == byte).unwrap();
        bits.extend((0..6).rev().map(|it| value >> it & 1));
    }
    let byte = |bits: &[usize]| bits.iter().fold(0_u8, |all, bit| all << 1 | u8::from(*bit == 1));
    let bytes: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    serde_json::from_slice(&bytes).unwrap()
}

/// Only who may impersonate may: by users' names, and by groups apart from them.
/// <https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>
#[tokio::test]
async fn impersonation_is_given_like_everything_else() {
    let ground = Ground::new().await;
    let robot = format!("system:serviceaccount:{}:robot", ground.namespace());
    account(&ground, "robot").await;
    let name = ground.unique("impersonator");
    let mut rules = json!([rule("", &["users"], &["impersonate"])]);
    rules[0]["resourceNames"] = json!(["jane"]);
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    let subject = json!({ "kind": "User", "name": robot });
    let binding = crate::people::binding(&name, ("ClusterRole", &name, &subject));
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    assert_eq!(ground.post(&format!("{rbac}/clusterroles"), &role).await.code, 201);
    assert_eq!(ground.post(&format!("{rbac}/clusterrolebindings"), &binding).await.code, 201);
    Person::named(&ground, &robot).await.holds(&ground, &rules[0]).await;
    let client = bearer(&ground, &text(&token(&ground, "robot", &json!({})).await)).await;

    let jane = with(&client, &[("impersonate-user", "jane")], "/version").await;
    let joe = with(&client, &[("impersonate-user", "joe")], "/version").await;
    let headers = [("impersonate-user", "jane"), ("impersonate-group", "all")];
    let group = said(&with(&client, &headers, "/version").await);

    assert_eq!((jane.code, joe.code), (200, 403));
    let expected = format!(
        "groups \"all\" is forbidden: User {robot:?} cannot impersonate resource \"groups\" in API \
         group \"\" at the cluster scope"
    );
    assert_eq!(group, (403, expected));
    ground.delete(&format!("{rbac}/clusterrolebindings/{name}"), &Value::Null).await;
    ground.delete(&format!("{rbac}/clusterroles/{name}"), &Value::Null).await;
}

/// A TokenRequest answers with a token of the account for an hour, whose claims say whose it is.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>
#[tokio::test]
async fn an_account_gets_a_token() {
    let ground = Ground::new().await;
    let robot = account(&ground, "robot").await;

    let answer = token(&ground, "robot", &json!({})).await;

    assert_eq!(answer.code, 201, "{}", answer.text);
    let request = answer.json();
    assert_eq!(
        (&request["kind"], &request["metadata"]["name"]),
        (&json!("TokenRequest"), &json!("robot"))
    );
    assert_eq!(request["spec"]["expirationSeconds"], 3600);
    assert_eq!(request["spec"]["audiences"].as_array().unwrap().len(), 1);
    assert!(request["status"]["expirationTimestamp"].is_string(), "{request}");
    let claims = claims(&text(&answer));
    let name = format!("system:serviceaccount:{}:robot", ground.namespace());
    assert_eq!(claims["sub"], name);
    assert_eq!(claims["aud"], request["spec"]["audiences"]);
    assert_eq!(claims["kubernetes.io"]["namespace"], ground.namespace());
    let own = json!({ "name": "robot", "uid": robot["metadata"]["uid"] });
    assert_eq!(claims["kubernetes.io"]["serviceaccount"], own);
    let (from, until) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!((until - from, claims["nbf"].as_i64()), (3600, Some(from)));
}

/// The token lets its bearer in as the account, which may do what it was given.
/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>
#[tokio::test]
async fn a_token_lets_its_account_in() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let robot = account(&ground, "robot").await;
    let rules = json!([rule("", &["configmaps"], &["get"])]);
    let subject = json!({ "kind": "ServiceAccount", "name": "robot", "namespace": namespace });
    grant(&ground, "robot", (&rules, &subject)).await;
    let name = format!("system:serviceaccount:{namespace}:robot");
    Person::named(&ground, &name).await.holds(&ground, &rules[0]).await;
    let client = bearer(&ground, &text(&token(&ground, "robot", &json!({})).await)).await;

    let home = format!("/api/v1/namespaces/{namespace}/configmaps");
    let (found, refused) =
        (with(&client, &[], &format!("{home}/x")).await, with(&client, &[], &home).await);
    let info = whoami(&client).await.json()["status"]["userInfo"].clone();

    assert_eq!((found.code, refused.code), (404, 403));
    assert_eq!((&info["username"], &info["uid"]), (&json!(name), &robot["metadata"]["uid"]));
    let own = format!("system:serviceaccounts:{namespace}");
    assert_eq!(info["groups"], json!(["system:serviceaccounts", own, "system:authenticated"]));
    let id = info["extra"]["authentication.kubernetes.io/credential-id"][0].as_str();
    assert!(id.is_some_and(|it| it.starts_with("JTI=")), "{info}");
}

/// A token lasts between ten minutes and 2^32 seconds.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>
#[tokio::test]
async fn a_token_lasts_for_a_while() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let lasting = async |seconds: i64| {
        token(&ground, "robot", &json!({ "expirationSeconds": seconds })).await
    };

    let (least, short, long) = (lasting(600).await, lasting(599).await, lasting(1 << 33).await);

    assert_eq!((least.code, &least.json()["spec"]["expirationSeconds"]), (201, &json!(600)));
    let refused = |value: i64, why: &str| {
        let message = format!(
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid \
             value: {value}: may not specify a duration {why}"
        );
        (422, message)
    };
    assert_eq!(said(&short), refused(599, "less than 10 minutes"));
    assert_eq!(said(&long), refused(1 << 33, "larger than 2^32 seconds"));
}

/// A token for others is none for the API; a TokenReview for them says that it is theirs.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/>
#[tokio::test]
async fn a_token_is_for_an_audience() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let shown = text(&token(&ground, "robot", &json!({ "audiences": ["vault", "other"] })).await);
    let client = bearer(&ground, &shown).await;
    let review = async |audiences: Value| {
        let spec = json!({ "token": shown, "audiences": audiences });
        ground.post(&format!("{WHO}/tokenreviews"), &json!({ "spec": spec })).await.json()["status"]
            .clone()
    };

    let refused = with(&client, &[], "/version").await;
    let theirs = review(json!(["vault", "else"])).await;
    let nobodys = review(json!(["else"])).await;

    assert_eq!(refused.code, 401);
    assert_eq!((&theirs["authenticated"], &theirs["audiences"]), (&json!(true), &json!(["vault"])));
    assert!(nobodys["authenticated"].is_null(), "{nobodys}");
    let error = nobodys["error"].as_str().unwrap_or_default();
    let part =
        "token audiences [\"vault\" \"other\"] is invalid for the target audiences [\"else\"]";
    assert!(error.contains(part), "{error}");
}

/// A TokenReview says whose a token is, or that it is nobody's, and needs one.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/>
#[tokio::test]
async fn a_token_is_reviewed() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let shown = text(&token(&ground, "robot", &json!({})).await);
    let path = format!("{WHO}/tokenreviews");

    let good = ground.post(&path, &json!({ "spec": { "token": shown } })).await;
    let bad = ground.post(&path, &json!({ "spec": { "token": "nonsense" } })).await;
    let none = said(&ground.post(&path, &json!({ "spec": {} })).await);

    let name = format!("system:serviceaccount:{}:robot", ground.namespace());
    assert_eq!((good.code, &good.json()["status"]["authenticated"]), (201, &json!(true)));
    assert_eq!(good.json()["status"]["user"]["username"], name);
    assert_eq!(bad.code, 201);
    assert_eq!(bad.json()["status"], json!({ "user": {}, "error": "invalid bearer token" }));
    let message = "token is required for TokenReview in authentication";
    assert_eq!(none, (400, message.to_owned()));
}

/// A token that is bound to a Secret ends with it.
/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>
#[tokio::test]
async fn a_bound_token_ends_with_what_it_is_bound_to() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let secrets = format!("/api/v1/namespaces/{}/secrets", ground.namespace());
    let secret = ground.post(&secrets, &json!({ "metadata": { "name": "one" } })).await.json();
    let bound =
        json!({ "boundObjectRef": { "kind": "Secret", "apiVersion": "v1", "name": "one" } });

    let answer = token(&ground, "robot", &bound).await;
    let client = bearer(&ground, &text(&answer)).await;
    let before = whoami(&client).await.code;
    ground.delete(&format!("{secrets}/one"), &Value::Null).await;
    let is_over = async || (whoami(&client).await.code == 401).then_some(());
    ground.eventually("the end of the token", is_over).await;

    assert_eq!(before, 201);
    let own = json!({ "name": "one", "uid": secret["metadata"]["uid"] });
    assert_eq!(claims(&text(&answer))["kubernetes.io"]["secret"], own);
}

/// A token is bound to a Pod of its account or to a Secret that are there, and to nothing else.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>
#[tokio::test]
async fn a_token_is_bound_to_what_is_there() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let secrets = format!("/api/v1/namespaces/{}/secrets", ground.namespace());
    ground.post(&secrets, &json!({ "metadata": { "name": "one" } })).await;
    let bound = async |kind: &str, name: &str, uid: Value| {
        let reference = json!({ "kind": kind, "apiVersion": "v1", "name": name, "uid": uid });
        said(&token(&ground, "robot", &json!({ "boundObjectRef": reference })).await)
    };

    let none = bound("Pod", "none", Value::Null).await;
    let config = bound("ConfigMap", "x", Value::Null).await;
    let other = bound("Secret", "one", json!("12")).await;

    assert_eq!(none, (404, "pods \"none\" not found".to_owned()));
    let message = "cannot bind token to object of type /v1, Kind=ConfigMap";
    assert_eq!(config, (400, message.to_owned()));
    let message = "Operation cannot be fulfilled on Secret \"one\": the UID in the bound object \
        reference (12) does not match the UID in record. The object might have been deleted and then \
        recreated";
    assert_eq!(other, (409, message.to_owned()));
}

/// The tokens of an account end with it, even if another takes its name.
/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>
#[tokio::test]
async fn tokens_end_with_their_account() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let shown = text(&token(&ground, "robot", &json!({})).await);
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/robot", ground.namespace());

    ground.delete(&path, &Value::Null).await;
    account(&ground, "robot").await;

    let client = bearer(&ground, &shown).await;
    let is_over = async || (whoami(&client).await.code == 401).then_some(());
    ground.eventually("the end of the token", is_over).await;
}

/// A token is asked for by name: of an account that is there, in its own namespace.
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>
#[tokio::test]
async fn a_token_is_of_an_account_that_is_there() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/robot/token", ground.namespace());

    let none = said(&token(&ground, "none", &json!({})).await);
    let other = json!({ "metadata": { "name": "other" }, "spec": {} });
    let other = said(&ground.post(&path, &other).await);
    let elsewhere = json!({ "metadata": { "namespace": "other" }, "spec": {} });
    let elsewhere = said(&ground.post(&path, &elsewhere).await);
    let read = ground.get(&path).await;

    assert_eq!(none, (404, "serviceaccounts \"none\" not found".to_owned()));
    let message = "TokenRequest.authentication.k8s.io \"robot\" is invalid: metadata.name: Invalid \
        value: \"other\": must match the service account name if specified";
    assert_eq!(other, (422, message.to_owned()));
    let message =
        "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!(elsewhere, (400, message.to_owned()));
    assert_eq!(read.code, 405);
}

/// To ask for a token is a permission of its own, on the subresource `token`.
/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>
#[tokio::test]
async fn not_everybody_gets_tokens() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let rules = json!([rule("", &["serviceaccounts"], &["create", "get"])]);
    let jane = Person::with(&ground, &rules).await;
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/robot/token", ground.namespace());

    let (code, message) = said(&jane.post(&path, &json!({ "spec": {} })).await);

    assert_eq!(code, 403);
    let part = "cannot create resource \"serviceaccounts/token\" in API group \"\"";
    assert!(message.contains(part), "{message}");
}

/// Service accounts may learn who signs their tokens and with which keys; nobody else unless told so.
/// <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>
#[tokio::test]
async fn the_issuer_is_discovered() {
    let ground = Ground::new().await;
    account(&ground, "robot").await;
    let shown = text(&token(&ground, "robot", &json!({})).await);
    let client = bearer(&ground, &shown).await;
    let jane = Person::new(&ground).await;

    let issuer = with(&client, &[], "/.well-known/openid-configuration").await;
    let keys = with(&client, &[], "/openid/v1/jwks").await;
    let refused = jane.get("/openid/v1/jwks").await;

    assert_eq!((issuer.code, keys.code, refused.code), (200, 200, 403));
    assert_eq!(issuer.json()["issuer"], claims(&shown)["iss"]);
    assert_eq!(issuer.json()["subject_types_supported"], json!(["public"]));
    assert_eq!(keys.json()["keys"][0]["use"], "sig");
}
