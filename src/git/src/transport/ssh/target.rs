//! Who is asked over ssh, as whom, and for what? Taken from a remote, and checked once more.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::trust::{FirstKeys, Trust};
use crate::{Auth, Error, HostKeys, Remote, Said, Scheme, SshKey, uri};

/// Where ssh servers listen.
const PORT: u16 = 22;
/// Who logs in where the URI names nobody.
const USER: &str = "git";

/// A server, a login, and a command.
pub(super) struct Target<'a> {
    /// The host as it is counted and shown.
    pub(super) label: Arc<str>,
    /// The host as a resolver takes it.
    pub(super) name: &'a str,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) key: &'a SshKey,
    pub(super) command: Vec<u8>,
}

/// Two that are equal may share a session. It does not tell the secret that it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity([u8; 32]);

impl<'a> Target<'a> {
    pub(super) fn of(remote: &'a Remote) -> Result<Self, Error> {
        let uri = &remote.uri;
        if uri.scheme() != Scheme::Ssh {
            return Err(Error::Transport { scheme: uri.scheme().as_str() });
        }
        let host = uri.host().to_owned();
        let Auth::Ssh(key) = &remote.auth else { return Err(Error::NoKey { host }) };
        let user = uri.user().map_or_else(|| USER.into(), uri::decode);
        let user = String::from_utf8(user).ok().filter(|it| is_login(it));
        let user = user.ok_or(Error::Login { host })?;
        let (name, port) = uri.address();
        Ok(Self {
            label: uri.shared_host(),
            name,
            port: port.unwrap_or(PORT),
            user,
            key,
            command: command(&uri.decoded_path()),
        })
    }

    pub(super) fn identity(&self) -> Identity {
        let (kind, known): (&[u8], &[u8]) = match &self.key.host_keys {
            HostKeys::Pinned => (b"pinned", b""),
            HostKeys::Known(known) => (b"known", known.expose()),
            HostKeys::FirstUse => (b"first", b""),
        };
        let passphrase = self.key.passphrase.as_ref();
        let parts = [
            self.name.as_bytes(),
            &self.port.to_be_bytes(),
            self.user.as_bytes(),
            self.key.private_key.expose(),
            if passphrase.is_some() { b"with" } else { b"" },
            passphrase.map_or(b"", |it| it.expose()),
            kind,
            known,
        ];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Identity(digest.finalize().into())
    }

    pub(super) fn trust(&self, first_keys: &FirstKeys) -> Result<Trust, Error> {
        Trust::of(self, first_keys)
    }

    pub(super) fn failed(&self, error: &russh::Error) -> Error {
        Error::Ssh { host: self.label.to_string(), source: Said::of(error) }
    }
}

fn is_login(user: &str) -> bool {
    !user.is_empty() && !user.starts_with('-') && !user.chars().any(char::is_control)
}

/// `git-upload-pack '<path>'`, quoted as git quotes. `/~user` begins at a home, as git has it.
fn command(path: &[u8]) -> Vec<u8> {
    let path = if path.starts_with(b"/~") { path.get(1..).unwrap_or_default() } else { path };
    let mut command = b"git-upload-pack '".to_vec();
    for byte in path {
        match byte {
            b'\'' => command.extend_from_slice(b"'\\''"),
            // Some shells take it for history, even between quotes.
            b'!' => command.extend_from_slice(b"'\\!'"),
            it => command.push(*it),
        }
    }
    command.push(b'\'');
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RepoUri, UriError};

    fn remote(uri: &str) -> Remote {
        let key =
            SshKey { private_key: "key".into(), passphrase: None, host_keys: HostKeys::default() };
        Remote { auth: Auth::Ssh(key), ..Remote::new(RepoUri::parse(uri).unwrap()) }
    }

    fn asked(uri: &str) -> String {
        let remote = remote(uri);
        String::from_utf8(Target::of(&remote).unwrap().command).unwrap()
    }

    #[test]
    fn paths_are_said_as_git_says_them() {
        for (uri, command) in [
            ("ssh://git@h/srv/a.git", "git-upload-pack '/srv/a.git'"),
            ("ssh://git@h/~/a.git", "git-upload-pack '~/a.git'"),
            ("ssh://git@h/~me/a.git", "git-upload-pack '~me/a.git'"),
            ("git@h:team/a.git", "git-upload-pack 'team/a.git'"),
            ("git@h:~/a.git", "git-upload-pack '~/a.git'"),
            ("git@h:/srv/a.git", "git-upload-pack '/srv/a.git'"),
            ("ssh://git@h/a%20b", "git-upload-pack '/a b'"),
        ] {
            assert_eq!(asked(uri), command, "{uri}");
        }
    }

    #[test]
    fn b1_a_path_cannot_leave_its_quotes() {
        for (uri, command) in [
            ("git@h:a';touch$IFS/x;'", r"git-upload-pack 'a'\'';touch$IFS/x;'\'''"),
            ("ssh://git@h/a'%20--x", r"git-upload-pack '/a'\'' --x'"),
            ("git@h:a!b`c`$(d)", r"git-upload-pack 'a'\!'b`c`$(d)'"),
        ] {
            assert_eq!(asked(uri), command, "{uri}");
        }
    }

    #[test]
    fn b1_nothing_reads_as_an_option() {
        for uri in ["ssh://-oProxyCommand=x/a", "ssh://-oProxyCommand=x@h/a", "git@h:-a"] {
            assert_eq!(RepoUri::parse(uri), Err(UriError::Dash), "{uri}");
        }
        for uri in ["ssh://%2DoProxyCommand=x@h/a", "ssh://a%0Ab@h/a", "ssh://%00@h/a"] {
            let remote = remote(uri);

            assert!(matches!(Target::of(&remote), Err(Error::Login { .. })), "{uri}");
        }
    }

    #[test]
    fn without_a_user_it_is_git_and_without_a_key_nobody() {
        let mut remote = remote("ssh://h:2222/a");
        let target = Target::of(&remote).unwrap();

        assert_eq!((target.user.as_str(), target.name, target.port), ("git", "h", 2222));

        remote.auth = Auth::None;
        assert!(matches!(Target::of(&remote), Err(Error::NoKey { .. })));
        remote.auth = Auth::Token("t".into());
        assert!(matches!(Target::of(&remote), Err(Error::NoKey { .. })));
    }

    #[test]
    fn only_the_same_login_shares_a_session() {
        let one = remote("ssh://git@h/a");
        let same = remote("ssh://git@h/b");
        let mut others = vec![remote("ssh://me@h/a"), remote("ssh://git@h:23/a")];
        for change in [
            |it: &mut SshKey| it.private_key = "other".into(),
            |it: &mut SshKey| it.passphrase = Some("".into()),
            |it: &mut SshKey| it.host_keys = HostKeys::FirstUse,
            |it: &mut SshKey| it.host_keys = HostKeys::Known("".into()),
        ] {
            let mut other = one.clone();
            let Auth::Ssh(key) = &mut other.auth else { panic!("no key") };
            change(key);
            others.push(other);
        }
        let identity = |it: &Remote| Target::of(it).unwrap().identity();

        assert_eq!(identity(&one), identity(&same));
        for other in &others {
            assert_ne!(identity(&one), identity(other), "{other:?}");
        }
    }
}
