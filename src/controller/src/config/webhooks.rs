//! How webhooks are served: where, to whom, how often, and how much of anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ger_core::webhook::Rate;
use ipnet::IpNet;

use super::{Error, Flags};

/// GitHub sends at most 25 MB, and no push of a person comes near the default.
const LARGEST_BODY: u32 = 32 << 20;
const DEFAULT_BODY: u32 = 3 << 20;
/// A connection costs some 20 KiB while it is idle.
const DEFAULT_CONNECTIONS: u32 = 4096;
const MOST_CONNECTIONS: u32 = 65_536;
/// In seconds.
const LONGEST: u64 = 3600;

/// How webhooks are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhooks {
    pub listen: SocketAddr,
    /// None: in the clear, behind something that ends TLS.
    pub certificate: Option<Certificate>,
    /// Calls that are recorded at once in one cluster.
    pub parallelism: u8,
    pub limits: WebhookLimits,
    pub trusted_proxies: Vec<IpNet>,
    pub largest_body: usize,
    pub most_connections: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
}

/// How often may be called. None: as often as anybody likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookLimits {
    pub global: Option<Rate>,
    pub trigger: Option<Rate>,
    pub source: Option<Rate>,
    pub caller: Option<Rate>,
}

/// Where the server's certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    /// Of the type `kubernetes.io/tls`, on the hub.
    Secret {
        name: String,
        /// None: the controller's.
        namespace: Option<String>,
    },
}

impl Webhooks {
    /// What the flags say of webhooks.
    pub(super) fn of(flags: &Flags) -> Result<Self, Error> {
        let address = flags.webhooks_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let body = flags.webhooks_max_body.unwrap_or(DEFAULT_BODY);
        let connections = flags.webhooks_max_connections.unwrap_or(DEFAULT_CONNECTIONS);
        Ok(Self {
            listen: SocketAddr::new(address, flags.webhooks_port.unwrap_or(8080)),
            certificate: certificate(flags)?,
            parallelism: flags.webhooks_parallelism.unwrap_or(16).max(1),
            limits: WebhookLimits {
                global: rate("--hooks-rrl-global", flags.hooks_rrl_global.as_deref())?,
                trigger: rate("--hooks-rrl-trigger", flags.hooks_rrl_trigger.as_deref())?,
                source: rate("--hooks-rrl-source", flags.hooks_rrl_source.as_deref())?,
                caller: rate("--hooks-rrl-caller", flags.hooks_rrl_caller.as_deref())?,
            },
            trusted_proxies: networks(flags.webhooks_trusted_proxies.as_deref())?,
            largest_body: body.clamp(1, LARGEST_BODY) as usize,
            most_connections: connections.clamp(1, MOST_CONNECTIONS) as usize,
            header_timeout: seconds(flags.webhooks_header_timeout, 10),
            body_timeout: seconds(flags.webhooks_body_timeout, 30),
        })
    }
}

fn seconds(given: Option<u64>, default: u64) -> Duration {
    Duration::from_secs(given.unwrap_or(default).clamp(1, LONGEST))
}

fn rate(flag: &'static str, text: Option<&str>) -> Result<Option<Rate>, Error> {
    text.map(Rate::parse).transpose().map_err(|source| Error::Rate { flag, source })
}

/// Addresses count as networks of one.
fn networks(text: Option<&str>) -> Result<Vec<IpNet>, Error> {
    let read = |it: &str| -> Result<IpNet, Error> {
        let network = it.parse().or_else(|_| it.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| Error::Webhooks {
            flag: "--webhooks-trusted-proxies",
            why: format!("{it:?} is neither an address nor a network such as 10.0.0.0/8"),
        })
    };
    let parts = text.unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty());
    parts.map(read).collect()
}

fn certificate(flags: &Flags) -> Result<Option<Certificate>, Error> {
    let refuse = |flag, why: &str| Err(Error::Webhooks { flag, why: why.to_owned() });
    let secret = flags.tls_secret_name.clone();
    match (&flags.tls_cert_path, &flags.tls_key_path, secret) {
        (None, None, None) if flags.tls_secret_namespace.is_some() => {
            refuse("--tls-secret-namespace", "it needs --tls-secret-name")
        }
        (None, None, None) => Ok(None),
        (Some(certificate), Some(key), None) => {
            Ok(Some(Certificate::Files { certificate: certificate.clone(), key: key.clone() }))
        }
        (None, None, Some(name)) => {
            Ok(Some(Certificate::Secret { name, namespace: flags.tls_secret_namespace.clone() }))
        }
        (Some(_), None, None) => refuse("--tls-cert-path", "it needs --tls-key-path"),
        (None, Some(_), None) => refuse("--tls-key-path", "it needs --tls-cert-path"),
        (_, _, Some(_)) => {
            refuse("--tls-secret-name", "the certificate is in files or in a Secret, not in both")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: impl FnOnce(&mut Flags)) -> Result<Webhooks, Error> {
        let mut flags = Flags::default();
        change(&mut flags);
        Webhooks::of(&flags)
    }

    #[test]
    fn nothing_said_means_port_8080_without_tls_and_without_limits() {
        let webhooks = read(|_| {}).unwrap();

        assert_eq!(webhooks.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(webhooks.certificate, None);
        assert_eq!(webhooks.limits, WebhookLimits::default());
        assert_eq!((webhooks.largest_body, webhooks.parallelism), (3 << 20, 16));
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_its_flag() {
        let said = |change: fn(&mut Flags)| read(change).unwrap_err().to_string();

        let rate = said(|it| it.hooks_rrl_trigger = Some("5".to_owned()));
        assert!(rate.contains("--hooks-rrl-trigger"), "{rate}");
        let alone = said(|it| it.tls_cert_path = Some("cert.pem".into()));
        assert!(alone.contains("--tls-key-path"), "{alone}");
        let proxies = said(|it| it.webhooks_trusted_proxies = Some("10.0.0.0/8,proxy".to_owned()));
        assert!(proxies.contains("\"proxy\""), "{proxies}");
        let both = said(|it| {
            it.tls_cert_path = Some("cert.pem".into());
            it.tls_key_path = Some("key.pem".into());
            it.tls_secret_name = Some("tls".to_owned());
        });
        assert!(both.contains("not in both"), "{both}");
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let proxies = Some(" 10.0.0.0/8, 192.0.2.1,2001:db8::/32,".to_owned());

        let webhooks = read(|it| it.webhooks_trusted_proxies = proxies).unwrap();

        let told: Vec<String> = webhooks.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
    }
}
