//! Keys that somebody made to keep us busy, and texts that are none. Real ones are in `tests/ssh`.

use proptest::prelude::*;
use russh::keys::{PrivateKey, key::safe_rng};

use super::*;
use crate::HostKeys;

fn key(text: &str) -> SshKey {
    let passphrase = Some(Secret::from("secret"));
    SshKey { private_key: text.into(), passphrase, host_keys: HostKeys::Pinned }
}

#[test]
fn a_key_that_would_take_hours_to_decrypt_is_refused() {
    let private = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let kdf = Kdf::Bcrypt { salt: vec![7; 16], rounds: 1 };
    let cipher = ssh_key::Cipher::Aes256Ctr;
    let text = private.encrypt_with(cipher, kdf, 42, "secret").unwrap();
    let mut bytes = text.to_bytes().unwrap().to_vec();
    let salt = bytes.windows(16).position(|it| it == [7; 16]).unwrap();
    let openssh = |bytes: &[u8]| {
        let body = STANDARD.encode(bytes);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
    };
    assert!(read(&key(&openssh(&bytes))).is_ok());

    bytes[salt + 16..salt + 20].copy_from_slice(&u32::MAX.to_be_bytes());

    assert_eq!(read(&key(&openssh(&bytes))), Err(BadKey::Costly.into()));
}

#[test]
fn a_pem_key_that_would_take_hours_to_decrypt_is_refused() {
    let private = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let encrypted = |rounds| {
        let mut text = Vec::new();
        russh::keys::encode_pkcs8_pem_encrypted(&private, b"secret", rounds, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };

    assert!(read(&key(&encrypted(10))).is_ok());
    let text = encrypted(10);
    let pem = Pem::find(&text).unwrap();
    let mut bytes = pem.bytes().unwrap();
    // INTEGER 10 becomes one that is written in as many bytes.
    let rounds = bytes.windows(3).position(|it| it == [2, 1, 10]).unwrap();
    bytes[rounds..rounds + 3].copy_from_slice(&[2, 1, 0]);
    let none = Pem { body: STANDARD.encode(&bytes), ..pem };
    assert!(none.decode(Some("secret".into())).is_err());
}

#[test]
fn what_people_do_to_a_key_does_no_harm() {
    let private = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let text = private.to_openssh(ssh_key::LineEnding::LF).unwrap();

    for text in [
        text.to_string(),
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("\u{feff}{}", *text),
        format!("  {} ", text.trim_end().replace('\n', " \n  ")),
        format!("Bag Attributes\n    friendlyName: me\n{}", *text),
    ] {
        let read = read(&key(&text));

        assert_eq!(read.unwrap().public_key().key_data(), private.public_key().key_data());
    }
}

proptest! {
    #[test]
    fn nothing_makes_the_reader_panic(
        label in "(OPENSSH |RSA |EC |ENCRYPTED |)PRIVATE KEY",
        headers in "(|Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,[0-9A-F]{0,34}\n\n)",
        body in "[A-Za-z0-9+/=\n]{0,200}",
    ) {
        let text = format!("-----BEGIN {label}-----\n{headers}{body}\n-----END {label}-----\n");
        let _ = read(&key(&text));
        let _ = read(&key(&body));
    }
}
