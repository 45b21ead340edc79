//! Who is this process, to the others? Its Pod, and a name that no other process has.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::clock::Clock;

/// The Pod that this process runs in, where its name and uid are in `POD_NAME` and `POD_UID`.
pub fn own_pod() -> Option<OwnerReference> {
    let value = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    Some(OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: value("POD_NAME")?,
        uid: value("POD_UID")?,
        controller: None,
        block_owner_deletion: None,
    })
}

/// A name for this process: the Pod's, else the host's, with a nonce, so that no two are alike.
pub fn member_name(clock: &Clock) -> String {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    let host =
        host.ok().filter(|it| !it.is_empty()).unwrap_or_else(|| "git-events-runner".to_owned());
    format!("{host}-{}", nonce(clock))
}

fn hex(bytes: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(bytes))
}

/// Eight characters that differ from process to process.
pub fn nonce(clock: &Clock) -> String {
    use sha2::Digest as _;
    let of = clock.now().as_nanosecond().unsigned_abs() ^ (u128::from(std::process::id()) << 64);
    let digest = sha2::Sha256::digest(of.to_be_bytes());
    hex(digest.first_chunk::<4>().copied().unwrap_or_default())
}
