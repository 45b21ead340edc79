//! What does a remote have? `cargo run -p ger-git --example ls_refs -- URL [PREFIX…]`, such as
//! `… -- https://github.com/git/git refs/tags/v2.4`. For ssh, `SSH_KEY` names a file with a key.

use std::{env, error::Error, fs};

use ger_git::{Auth, Client, HostKeys, Remote, RepoUri, SshKey};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example talks to a terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let uri = arguments.next().ok_or("usage: ls_refs URL [PREFIX…]")?;
    let prefixes: Vec<String> = arguments.collect();
    let mut remote = Remote::new(RepoUri::parse(&uri)?);
    if let Ok(file) = env::var("SSH_KEY") {
        let private_key = fs::read(file)?.into();
        // The well-known hosts alone: any other needs HostKeys::Known with a known_hosts.
        let host_keys = HostKeys::Pinned;
        remote.auth = Auth::Ssh(SshKey { private_key, passphrase: None, host_keys });
    }
    let client = Client::new()?;

    for found in client.ls_refs(&remote, &prefixes).await? {
        println!("{}\t{}", found.commit(), found.name);
    }
    for (host, it) in client.traffic().by_host() {
        println!("{host}: {} requests, {} bytes received", it.requests, it.received);
    }
    Ok(())
}
