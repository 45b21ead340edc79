//! Until when is a client certificate good? It is read for that alone, to say what is wrong with credentials
//! that are refused.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode as _, SliceReader, Tag};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::kubeconfig::Target;

/// By what a spoke is to know us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
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
    let ends = not_after(&certificate).ok()?;
    Timestamp::from_second(ends.as_secs().try_into().ok()?).ok()
}

/// A certificate's `notAfter`, since 1970 (RFC 5280, 4.1).
fn not_after(certificate: &[u8]) -> der::Result<Duration> {
    let mut body = inside(&mut inside(&mut SliceReader::new(certificate)?)?)?;
    // Its version may be left out; then come its number, its algorithm, and who issued it.
    if Tag::peek(&body)?.is_context_specific() {
        AnyRef::decode(&mut body)?;
    }
    for _ in 0..3 {
        AnyRef::decode(&mut body)?;
    }
    let mut validity = inside(&mut body)?;
    AnyRef::decode(&mut validity)?;
    if Tag::peek(&validity)? == Tag::UtcTime {
        Ok(UtcTime::decode(&mut validity)?.to_unix_duration())
    } else {
        Ok(GeneralizedTime::decode(&mut validity)?.to_unix_duration())
    }
}

/// Reads what is in the next value.
fn inside<'a>(reader: &mut SliceReader<'a>) -> der::Result<SliceReader<'a>> {
    SliceReader::new(AnyRef::decode(reader)?.value())
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
