//! Who is this process, to the others? Its Pod, and a name that no other process has.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::clock::Clock;

/// What is kept of a host's name: it is a part of labels, too.
const LONGEST_HOST: usize = 200;

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
    let host = host.ok().map(|it| fit_for_a_lease(&it)).filter(|it| !it.is_empty());
    let host = host.unwrap_or_else(|| "git-events-runner".to_owned());
    format!("{host}-{}", nonce(clock))
}

/// A machine's name may have capitals and underscores; a Lease's may not.
fn fit_for_a_lease(host: &str) -> String {
    let fit = |it: char| match it.to_ascii_lowercase() {
        it @ ('a'..='z' | '0'..='9') => it,
        _ => '-',
    };
    let name: String = host.chars().take(LONGEST_HOST).map(fit).collect();
    name.trim_matches('-').to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_s_name_is_made_fit_for_a_lease() {
        assert_eq!(fit_for_a_lease("git-events-runner-7d9f-abc12"), "git-events-runner-7d9f-abc12");
        assert_eq!(fit_for_a_lease("Janes_MacBook.local"), "janes-macbook-local");
        assert_eq!(fit_for_a_lease("_"), "");
    }
}
