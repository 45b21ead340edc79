//! Is it the server? Judged before anything is said to it: by the given `known_hosts`, else by the
//! well-known hosts' keys, else, where somebody asked for that, by what it showed first.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};

use super::target::Target;
use crate::{Error, HostKey, HostKeys, KnownHosts, Verdict};

/// Hosts are named by tenants. Past this many, a host that is not known stays unknown.
const MOST_FIRST: usize = 4096;

/// The keys that hosts showed first, as long as the process lives.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstKeys {
    hosts: Arc<Mutex<BTreeMap<(String, u16), HostKey>>>,
}

/// Whom to believe about one host.
#[derive(Debug)]
pub(super) struct Trust {
    label: Arc<str>,
    name: String,
    port: u16,
    known: Option<KnownHosts>,
    pinned: KnownHosts,
    first: Option<FirstKeys>,
}

impl Trust {
    pub(super) fn of(target: &Target<'_>, first_keys: &FirstKeys) -> Result<Self, Error> {
        let mut trust = Self {
            label: Arc::clone(&target.label),
            name: target.name.to_owned(),
            port: target.port,
            known: None,
            pinned: KnownHosts::well_known(),
            first: None,
        };
        match &target.key.host_keys {
            HostKeys::Pinned => {}
            HostKeys::FirstUse => trust.first = Some(first_keys.clone()),
            HostKeys::Known(text) => {
                let known = KnownHosts::parse(text.expose());
                let host = trust.label.to_string();
                let known = known.map_err(|source| Error::KnownHosts { host, source })?;
                // A file without a line that can be used vouches for nobody, however well known.
                if known.is_empty() {
                    trust.pinned = KnownHosts::default();
                }
                trust.known = Some(known);
            }
        }
        Ok(trust)
    }

    /// Whether to go on with a server that shows this key.
    pub(super) fn judge(&self, shown: &HostKey) -> Result<(), Error> {
        let (host, fingerprint) = (self.label.to_string(), shown.fingerprint());
        match self.verdict(shown) {
            Verdict::Trusted => Ok(()),
            Verdict::Unknown => Err(Error::HostKeyUnknown { host, fingerprint }),
            Verdict::Revoked => Err(Error::HostKeyRevoked { host, fingerprint }),
            Verdict::Authority => Err(Error::HostKeyAuthority { host, fingerprint }),
            Verdict::Changed(known) => {
                let known = known.join(", ");
                Err(Error::HostKeyChanged { host, known, presented: fingerprint })
            }
        }
    }

    fn verdict(&self, shown: &HostKey) -> Verdict {
        let judge = |it: &KnownHosts| it.judge(&self.name, self.port, shown);
        let given = self.known.as_ref().map_or(Verdict::Unknown, judge);
        if given != Verdict::Unknown {
            return given;
        }
        let pinned = judge(&self.pinned);
        match &self.first {
            Some(first) if pinned == Verdict::Unknown => first.judge(&self.name, self.port, shown),
            _ => pinned,
        }
    }

    /// The algorithms that a server may prove itself by: first those of the keys that are known,
    /// so that a server with several keys shows one of these. None signs with SHA-1.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let kinds = |it: &KnownHosts| -> Vec<String> {
            it.kinds(&self.name, self.port).into_iter().map(str::to_owned).collect()
        };
        let mut known = self.known.as_ref().map(kinds).unwrap_or_default();
        if known.is_empty() {
            known = kinds(&self.pinned);
        }
        if known.is_empty() {
            let first = self.first.as_ref().and_then(|it| it.get(&self.name, self.port));
            known.extend(first.map(|it| it.kind().to_owned()));
        }
        let ecdsa = |curve| Algorithm::Ecdsa { curve };
        let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
        let mut all = [
            ("ssh-ed25519", Algorithm::Ed25519),
            ("ecdsa-sha2-nistp256", ecdsa(EcdsaCurve::NistP256)),
            ("ecdsa-sha2-nistp384", ecdsa(EcdsaCurve::NistP384)),
            ("ecdsa-sha2-nistp521", ecdsa(EcdsaCurve::NistP521)),
            ("ssh-rsa", rsa(HashAlg::Sha512)),
            ("ssh-rsa", rsa(HashAlg::Sha256)),
        ];
        all.sort_by_key(|(kind, _)| !known.iter().any(|it| it == kind));
        all.into_iter().map(|(_, algorithm)| algorithm).collect()
    }
}

impl FirstKeys {
    fn get(&self, name: &str, port: u16) -> Option<HostKey> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(&(name.to_owned(), port)).cloned()
    }

    fn judge(&self, name: &str, port: u16, shown: &HostKey) -> Verdict {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        match hosts.get(&(name.to_owned(), port)) {
            Some(first) if first == shown => Verdict::Trusted,
            Some(first) => Verdict::Changed(vec![first.fingerprint()]),
            None if hosts.len() >= MOST_FIRST => Verdict::Unknown,
            None => {
                hosts.insert((name.to_owned(), port), shown.clone());
                Verdict::Trusted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auth, Remote, RepoUri, SshKey};

    fn key(last: u8) -> HostKey {
        HostKey::from_bytes(&[b"\0\0\0\x0bssh-ed25519".as_slice(), &[last]].concat()).unwrap()
    }

    fn line(host: &str, key: u8) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let blob = [b"\0\0\0\x0bssh-ed25519".as_slice(), &[key]].concat();
        format!("{host} ssh-ed25519 {}\n", STANDARD.encode(blob))
    }

    fn remote(host: &str, host_keys: HostKeys) -> Remote {
        let uri = RepoUri::parse(&format!("git@{host}:a")).unwrap();
        let key = SshKey { private_key: "".into(), passphrase: None, host_keys };
        Remote { auth: Auth::Ssh(key), ..Remote::new(uri) }
    }

    fn trust(host: &str, host_keys: HostKeys, first: &FirstKeys) -> Result<Trust, Error> {
        Trust::of(&Target::of(&remote(host, host_keys))?, first)
    }

    #[test]
    fn b6_a_well_known_host_is_believed_by_its_published_keys_alone() {
        for host_keys in
            [HostKeys::Pinned, HostKeys::FirstUse, HostKeys::Known(line("h", 1).into())]
        {
            let trust = trust("github.com", host_keys, &FirstKeys::default()).unwrap();

            let outcome = trust.judge(&key(1));

            assert!(matches!(outcome, Err(Error::HostKeyChanged { .. })), "{outcome:?}");
        }
    }

    #[test]
    fn b6_a_known_hosts_that_names_the_host_counts_alone() {
        let known = HostKeys::Known(line("github.com", 1).into());
        let trust = trust("github.com", known, &FirstKeys::default()).unwrap();

        assert!(trust.judge(&key(1)).is_ok());
        assert!(matches!(trust.judge(&key(2)), Err(Error::HostKeyChanged { .. })));
    }

    #[test]
    fn b6_an_empty_known_hosts_vouches_for_nobody() {
        for host in ["github.com", "h"] {
            let known = HostKeys::Known("# all gone\n".into());
            let trust = trust(host, known, &FirstKeys::default()).unwrap();

            assert!(matches!(trust.judge(&key(1)), Err(Error::HostKeyUnknown { .. })), "{host}");
        }
    }

    #[test]
    fn b6_the_first_key_is_believed_only_where_somebody_asked_for_it() {
        let first = FirstKeys::default();
        let pinned = trust("h", HostKeys::Pinned, &first).unwrap();
        let asked = trust("h", HostKeys::FirstUse, &first).unwrap();

        assert!(matches!(pinned.judge(&key(1)), Err(Error::HostKeyUnknown { .. })));
        assert!(asked.judge(&key(1)).is_ok());
        assert!(asked.judge(&key(1)).is_ok());
        let changed = asked.judge(&key(2)).unwrap_err().to_string();
        assert!(changed.contains(&key(1).fingerprint()), "{changed}");
        assert!(changed.contains(&key(2).fingerprint()), "{changed}");
        assert!(matches!(pinned.judge(&key(1)), Err(Error::HostKeyUnknown { .. })));
    }

    #[test]
    fn b6_hosts_without_number_are_not_believed() {
        let first = FirstKeys::default();
        for n in 0..MOST_FIRST {
            assert_eq!(first.judge(&format!("h{n}"), 22, &key(1)), Verdict::Trusted);
        }

        assert_eq!(first.judge("one-more", 22, &key(1)), Verdict::Unknown);
        assert_eq!(first.judge("h0", 22, &key(1)), Verdict::Trusted);
    }

    #[test]
    fn b6_a_known_hosts_that_is_too_long_is_an_error() {
        let known = HostKeys::Known(vec![b'a'; 2 << 20].into());

        let outcome = trust("h", known, &FirstKeys::default());

        assert!(matches!(outcome, Err(Error::KnownHosts { .. })));
    }

    #[test]
    fn the_server_is_asked_for_a_key_that_is_known() {
        let text = "h ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB\n";
        let known = trust("h", HostKeys::Known(text.into()), &FirstKeys::default()).unwrap();
        let nobody = trust("h", HostKeys::Pinned, &FirstKeys::default()).unwrap();

        let first = known.algorithms().into_iter().next().unwrap();

        assert_eq!(first.as_str(), "rsa-sha2-512");
        assert_eq!(nobody.algorithms().first(), Some(&Algorithm::Ed25519));
        assert_eq!(known.algorithms().len(), nobody.algorithms().len());
        assert!(!known.algorithms().contains(&Algorithm::Rsa { hash: None }));
    }
}
