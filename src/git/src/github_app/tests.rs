//! An API that believes whoever signs with the App's key, and counts whom it gives tokens.

use std::{
    net::SocketAddr,
    process::Command,
    sync::atomic::{AtomicU16, AtomicU64, Ordering},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::*;
use crate::Client;

const NOW: &str = "2026-03-01T12:00:00Z";
const INSTALLATION: &str = "/api/v3/app/installations/{id}/access_tokens";

/// A key as GitHub hands it out, the same as PKCS#8, and what verifies it.
struct Key {
    pkcs1: Vec<u8>,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let path = file.to_str().unwrap();
        openssl(&["genrsa", "-out", path, "2048"]);
        Self {
            pkcs1: openssl(&["rsa", "-in", path, "-traditional"]),
            pkcs8: openssl(&["pkcs8", "-in", path, "-topk8", "-nocrypt"]),
            public: openssl(&["rsa", "-in", path, "-RSAPublicKey_out", "-outform", "DER"]),
        }
    }
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What the API does and has seen.
struct Api {
    public: Vec<u8>,
    status: AtomicU16,
    given: AtomicU64,
    seen: Mutex<Vec<Value>>,
    lasting: Mutex<Duration>,
}

struct Ground {
    api: Arc<Api>,
    address: SocketAddr,
    key: Key,
    client: Client,
    _serving: JoinSet<()>,
}

impl Ground {
    async fn start() -> Self {
        let key = Key::new();
        let api = Arc::new(Api {
            public: key.public.clone(),
            status: AtomicU16::new(201),
            given: AtomicU64::new(0),
            seen: Mutex::default(),
            lasting: Mutex::new(Duration::from_hours(1)),
        });
        let routes = Router::new().route(INSTALLATION, post(answer)).with_state(Arc::clone(&api));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let client = Client::new().unwrap();
        Self { api, address, key, client, _serving: serving }
    }

    fn values(&self) -> Values {
        Values {
            app_id: "Iv1.8a61f9b3a7aba766\n".into(),
            installation_id: "4711".into(),
            private_key: Secret::from(&self.key.pkcs1),
            api_url: Some(format!("http://{}/api/v3/", self.address).into()),
        }
    }

    fn app(&self) -> App {
        App::new(&self.values(), &repository()).unwrap()
    }

    async fn token(&self, app: &App, wanted: &Wanted) -> Result<Token, Arc<Error>> {
        self.client.installation_token(app, &Tls::Verify, wanted).await
    }

    fn given(&self) -> u64 {
        self.api.given.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.api.seen.lock().unwrap().len()
    }
}

async fn answer(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    let none = (StatusCode::UNAUTHORIZED, [(header::RETRY_AFTER, "0")], "{}".to_owned());
    let Some(claims) = verified(&api.public, &headers) else { return none };
    api.seen.lock().unwrap().push(json!({ "claims": claims, "id": id, "body": body }));
    let status = api.status.load(Ordering::SeqCst);
    let status = StatusCode::from_u16(status).unwrap();
    let number = api.given.fetch_add(1, Ordering::SeqCst);
    let now: Timestamp = NOW.parse().unwrap();
    let expires_at = now + *api.lasting.lock().unwrap();
    let body = json!({ "token": format!("ghs_{number}"), "expires_at": expires_at.to_string() });
    (status, [(header::RETRY_AFTER, "77")], body.to_string())
}

/// What a JWT claims, if its signature is the App's.
fn verified(public: &[u8], headers: &HeaderMap) -> Option<Value> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let (signed, signature) = shown.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    key.verify(signed.as_bytes(), &signature).ok()?;
    let (head, claims) = signed.split_once('.')?;
    let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
    assert_eq!(head, json!({ "alg": "RS256", "typ": "JWT" }));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn repository() -> RepoUri {
    RepoUri::parse("https://ghe.example.com/team/app.git").unwrap()
}

fn wanted() -> Wanted {
    Wanted {
        now: NOW.parse().unwrap(),
        lasting: Duration::ZERO,
        timeout: Duration::from_secs(20),
        refused: None,
    }
}

#[tokio::test]
async fn an_app_shows_a_jwt_of_nine_minutes_and_gets_a_token_that_may_read() {
    let ground = Ground::start().await;

    let token = ground.token(&ground.app(), &wanted()).await.unwrap();

    assert_eq!((token.value.expose(), token.origin), (&b"ghs_0"[..], Origin::Minted));
    assert_eq!(token.expires_at.to_string(), "2026-03-01T13:00:00Z");
    let basic = Auth::Basic { username: "x-access-token".into(), password: "ghs_0".into() };
    assert_eq!(token.auth(), basic);
    let seen = ground.api.seen.lock().unwrap().pop().unwrap();
    let now = wanted().now.as_second();
    let claims = json!({ "iat": now - 60, "exp": now + 540, "iss": "Iv1.8a61f9b3a7aba766" });
    assert_eq!((&seen["claims"], &seen["id"]), (&claims, &json!("4711")));
    assert_eq!(seen["body"], r#"{"permissions":{"contents":"read"}}"#);
    let traffic = ground.client.traffic().by_host();
    assert_eq!(traffic[&ground.address.to_string()].requests, 1);
}

#[tokio::test]
async fn a_key_may_be_pkcs8_too() {
    let ground = Ground::start().await;
    let values = Values { private_key: Secret::from(&ground.key.pkcs8), ..ground.values() };
    let app = App::new(&values, &repository()).unwrap();

    assert!(ground.token(&app, &wanted()).await.is_ok());
}

#[tokio::test]
async fn a_token_is_kept_until_five_minutes_before_it_ends() {
    let ground = Ground::start().await;
    let app = ground.app();
    ground.token(&app, &wanted()).await.unwrap();

    let later = |minutes| Wanted { now: wanted().now + Duration::from_mins(minutes), ..wanted() };
    let kept = ground.token(&app, &later(54)).await.unwrap();
    assert_eq!((kept.origin, ground.given()), (Origin::Kept, 1));

    // A clone may wait for long: it wants one that lasts.
    let for_a_job = Wanted { lasting: Duration::from_mins(30), ..later(31) };
    *ground.api.lasting.lock().unwrap() = Duration::from_hours(2);
    let minted = ground.token(&app, &for_a_job).await.unwrap();
    assert_eq!((minted.origin, ground.given()), (Origin::Minted, 2));
    assert_eq!(ground.token(&app, &later(114)).await.unwrap().origin, Origin::Kept);
    assert_eq!(ground.token(&app, &later(115)).await.unwrap().origin, Origin::Minted);
}

#[tokio::test]
async fn a_hundred_who_ask_together_cost_one_request() {
    let ground = Ground::start().await;
    let app = ground.app();
    let wanted = wanted();

    let asking = (0..100).map(|_| ground.token(&app, &wanted));
    let tokens = futures::future::join_all(asking).await;

    assert!(tokens.iter().all(|it| it.as_ref().unwrap().value.expose() == b"ghs_0"));
    assert_eq!(ground.given(), 1);
}

#[tokio::test]
async fn a_token_that_git_refused_is_not_handed_out_again() {
    let ground = Ground::start().await;
    let app = ground.app();
    let old = ground.token(&app, &wanted()).await.unwrap().value;

    let wanted = Wanted { refused: Some(old), ..wanted() };
    let asking = (0..10).map(|_| ground.token(&app, &wanted));
    let tokens = futures::future::join_all(asking).await;

    assert!(tokens.iter().all(|it| it.as_ref().unwrap().value.expose() == b"ghs_1"));
    assert_eq!(ground.given(), 2, "one for all who were refused");
}

#[tokio::test]
async fn who_is_not_known_is_told_what_to_check_and_asks_once() {
    let ground = Ground::start().await;
    let app = ground.app();

    for (status, word) in [(401, "appPrivateKey"), (404, "installationId"), (422, "contents")] {
        ground.api.status.store(status, Ordering::SeqCst);
        let client = Client::new().unwrap();
        let before = ground.asked();
        let error = client.installation_token(&app, &Tls::Verify, &wanted()).await.unwrap_err();
        let again = client.installation_token(&app, &Tls::Verify, &wanted()).await.unwrap_err();

        assert!(error.is_auth() && error.to_string().contains(word), "{error}");
        assert_eq!(again.to_string(), error.to_string());
        assert_eq!(ground.asked() - before, 1, "a failure is kept for a moment");
    }
}

#[tokio::test]
async fn an_api_that_wants_to_be_left_alone_is() {
    let ground = Ground::start().await;
    let app = ground.app();

    for status in [403, 429, 503] {
        ground.api.status.store(status, Ordering::SeqCst);
        let client = Client::new().unwrap();
        let error = client.installation_token(&app, &Tls::Verify, &wanted()).await.unwrap_err();

        assert!(!error.is_auth(), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(77)));
    }
}

#[tokio::test]
async fn another_key_asks_for_itself_and_shows_nobody_itself() {
    let ground = Ground::start().await;
    ground.token(&ground.app(), &wanted()).await.unwrap();
    let other = Key::new();
    let values = Values { private_key: Secret::from(&other.pkcs1), ..ground.values() };
    let app = App::new(&values, &repository()).unwrap();

    let error = ground.token(&app, &wanted()).await.unwrap_err();

    assert!(error.to_string().contains("401"), "{error}");
    let middle = String::from_utf8_lossy(&other.pkcs1[200..230]).into_owned();
    assert!(!format!("{error:?} {error} {app:?} {values:?}").contains(&middle));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let ground = Ground::start().await;
    ground.api.status.store(307, Ordering::SeqCst);

    let error = ground.token(&ground.app(), &wanted()).await.unwrap_err();

    assert!(error.to_string().contains("307"), "{error}");
    assert_eq!(ground.asked(), 1);
}

#[tokio::test]
async fn what_is_no_credential_is_named() {
    let ground = Ground::start().await;
    let new = |values: Values| App::new(&values, &repository()).unwrap_err().to_string();

    assert!(new(Values { app_id: "a b".into(), ..ground.values() }).contains("id of the GitHub"));
    assert!(new(Values { installation_id: "../1".into(), ..ground.values() }).contains("number"));
    for url in ["ftp://host", "https://me:you@host", "host", "https://host/?a=b"] {
        let url = Some(url.into());
        assert!(new(Values { api_url: url, ..ground.values() }).contains("api/v3"));
    }
    let elsewhere = RepoUri::parse("https://evil.example.org/app").unwrap();
    let nowhere = App::new(&Values { api_url: None, ..ground.values() }, &elsewhere).unwrap_err();
    assert!(matches!(nowhere, Error::NoApiUrl));
    let values = Values { private_key: "-----BEGIN".into(), ..ground.values() };
    let app = App::new(&values, &repository()).unwrap();
    let error = ground.token(&app, &wanted()).await.unwrap_err();
    assert!(error.is_auth() && error.to_string().contains("PEM"), "{error}");
}

#[test]
fn the_api_is_known_of_github_alone() {
    assert_eq!(api_of("github.com").as_deref(), Some("https://api.github.com"));
    assert_eq!(api_of("acme.ghe.com").as_deref(), Some("https://api.acme.ghe.com"));
    for host in ["ghe.example.com:8443", "github.com.example.org", "ghe.com", "evilghe.com"] {
        assert_eq!(api_of(host), None, "{host}");
    }
}

#[tokio::test]
async fn apps_without_number_take_bounded_memory() {
    let ground = Ground::start().await;
    let tokens = Tokens::default();

    for n in 0..2 * MOST {
        let values = Values { app_id: n.to_string().into(), ..ground.values() };
        drop(tokens.slot(&App::new(&values, &repository()).unwrap(), &Tls::Verify, wanted().now));
    }

    assert!(tokens.slots.lock().unwrap().len() <= MOST);
}
