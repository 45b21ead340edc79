//! How is a replica called over its socket? One HTTP/1.1 request as a forge sends it, and its answer.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a caller is told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) code: u16,
    /// The run's id.
    pub(super) run: String,
}

/// A push as GitHub reports it, signed with a secret.
pub(super) async fn push(
    address: SocketAddr,
    path: &str,
    (secret, delivery): (&str, &str),
    commit: &str,
) -> std::io::Result<Told> {
    let body = format!(r#"{{"ref":"refs/heads/main","after":"{commit}"}}"#);
    let signature = sign(secret, body.as_bytes());
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-github-event: push\r\nx-github-delivery: {delivery}\r\n\
         x-hub-signature-256: sha256={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let code = answer.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or_default();
    let told = answer.split_once("\r\n\r\n").map(|it| it.1).unwrap_or_default();
    let told: Value = serde_json::from_str(told).unwrap_or_default();
    Ok(Told { code, run: told["task_id"].as_str().unwrap_or_default().to_owned() })
}

fn sign(secret: &str, body: &[u8]) -> String {
    // Any length is a key.
    let Ok(mut signer) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    signer.update(body);
    let digest: [u8; 32] = signer.finalize().into_bytes().into();
    digest.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}
