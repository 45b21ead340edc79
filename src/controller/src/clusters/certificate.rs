//! Until when is a client certificate good? It is read for that alone, to say what is wrong with credentials
//! that are refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::kubeconfig::Target;

/// By what a spoke is to know us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Proof {
    #[default]
    Token,
    /// A certificate alone, and when it ends, where that can be read.
    Certificate(Option<Timestamp>),
}

impl Proof {
    pub(super) fn of(target: &Target) -> Self {
        match (&target.token, &target.certificate) {
            (None, Some((certificate, _))) => Self::Certificate(ends(certificate)),
            _ => Self::Token,
        }
    }

    /// What is to be said when it is refused, beside that it is.
    pub(super) fn refused(self, now: Timestamp) -> Option<String> {
        match self {
            Self::Token => None,
            Self::Certificate(Some(ends)) if ends < now => {
                Some(format!("the client certificate of the kubeconfig ended at {ends:.0}"))
            }
            Self::Certificate(_) => {
                Some("the client certificate of the kubeconfig is not accepted".to_owned())
            }
        }
    }
}

/// When a certificate ends: PEM, in base64.
fn ends(certificate: &str) -> Option<Timestamp> {
    let pem = STANDARD.decode(certificate).ok()?;
    let certificate = CertificateDer::from_pem_slice(&pem).ok()?;
    let mut body = Values(Values(Values(&certificate).next()?.1).next()?.1);
    // A version may come first; then number and algorithm, and who issued it.
    if body.next()?.0 == VERSION {
        body.next()?;
    }
    body.next()?;
    body.next()?;
    let mut validity = Values(body.next()?.1);
    validity.next()?;
    time(validity.next()?)
}

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Values in DER, one behind the other.
struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    /// What it is, and what is in it.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (bytes.iter().fold(0, |sum, it| (sum << 8) | usize::from(*it)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }
}

fn time((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        // Two digits of the year: until 2049.
        UTC_TIME => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(ends: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(ends.0, ends.1, ends.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem().into_bytes()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_certificate_says_when_it_ends() {
        let of = |year, month, day| ends(&STANDARD.encode(certificate((year, month, day))));

        assert_eq!(of(2026, 11, 22), Some(at("2026-11-22T00:00:00Z")));
        assert_eq!(of(1999, 1, 2), Some(at("1999-01-02T00:00:00Z")));
        assert_eq!(of(2050, 1, 1), Some(at("2050-01-01T00:00:00Z")), "in the other form");
        assert_eq!(of(9999, 12, 31), None, "for ever");
    }

    #[test]
    fn what_is_said_of_a_refusal_names_the_end_once_it_is_past() {
        let (now, before) = (at("2026-11-22T00:00:00Z"), at("2026-11-21T23:59:59Z"));
        let said = |proof: Proof| proof.refused(now).unwrap_or_default();

        assert!(said(Proof::Certificate(Some(before))).ends_with("ended at 2026-11-21T23:59:59Z"));
        assert!(said(Proof::Certificate(Some(now))).ends_with("is not accepted"));
        assert!(said(Proof::Certificate(None)).ends_with("is not accepted"));
        assert_eq!(said(Proof::Token), "");
    }

    /// Whatever somebody writes into a Secret.
    #[test]
    fn what_is_no_certificate_has_no_end() {
        let pem = certificate((2026, 11, 22));
        let der = CertificateDer::from_pem_slice(&pem).unwrap().to_vec();
        let armed = |der: &[u8]| {
            let text = STANDARD.encode(der);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let of = |der: &[u8]| ends(&STANDARD.encode(armed(der)));
        let flipped = |at: usize| {
            let mut der = der.clone();
            der[at] ^= 0xff;
            of(&der)
        };

        assert_eq!(of(&der), Some(at("2026-11-22T00:00:00Z")));
        assert!((0..der.len()).all(|it| of(&der[..it]).is_none()), "cut off");
        assert!((0..der.len()).any(|it| flipped(it).is_none()), "and no length is believed");
        assert_eq!(ends("no certificate"), None);
    }
}
