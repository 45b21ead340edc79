//! How does one commit get into a directory? `cargo run -p ger-git --example fetch -- URL REFERENCE
//! DIRECTORY`, such as `… -- https://github.com/git/git tag/v2.47.0 /tmp/git`. For ssh, `SSH_KEY`
//! names a file with a key.

use std::{env, error::Error, fs, path::Path, time::Duration};

use ger_git::{
    Auth, FetchOptions, HostKeys, Reference, Remote, RepoUri, SshKey, Step, Want, fetch,
};

#[expect(clippy::print_stdout, reason = "an example talks to a terminal")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [uri, reference, directory] = arguments.as_slice() else {
        return Err("usage: fetch URL branch/NAME|tag/NAME|commit/ID DIRECTORY".into());
    };
    let mut remote = Remote::new(RepoUri::parse(uri)?);
    remote.timeout = Duration::from_mins(5);
    if let Ok(file) = env::var("SSH_KEY") {
        let private_key = fs::read(file)?.into();
        let host_keys = HostKeys::Pinned;
        remote.auth = Auth::Ssh(SshKey { private_key, passphrase: None, host_keys });
    }
    let want = Want { reference: Some(Reference::parse(reference)?), ..Want::default() };
    let on_step = |step: &Step| println!("{step}");
    let options = FetchOptions { on_step: &on_step, ..FetchOptions::default() };

    let fetched = fetch(&remote, &want, Path::new(directory), &options)?;

    println!("{} is in {directory}", fetched.commit);
    Ok(())
}
