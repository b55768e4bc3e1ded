//! What is wrong with files of certificates, and what is said about it.

use std::fs;

use aldis_connect::tls::{Alpn, ClientTls, ServerTls, TlsClientSettings, TlsError, TlsServerSettings};

use crate::certificates::{Authority, Pair, trusting};

fn refused(settings: &TlsServerSettings) -> TlsError {
    ServerTls::new(settings, Alpn::Http).expect_err("refused")
}

#[test]
fn every_fault_of_a_file_names_it_and_says_what_to_do() {
    let ca = Authority::new();
    let good = ca.issue("good", &["localhost"]);
    let other = ca.issue("other", &["localhost"]);
    let (certificate, key) =
        (fs::read_to_string(&good.certificate).unwrap(), fs::read_to_string(&good.key).unwrap());
    let write = |name: &str, text: &[u8]| {
        let path = ca.path(name);
        fs::write(&path, text).unwrap();
        path
    };
    let spoilt = certificate.replacen("MII", "M!!", 1);
    let cut = &certificate[..certificate.len() / 2];
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let second = format!("# ours\n{certificate}{not_der}");
    let line = second.lines().count() - 2;
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let exchanged = Pair { certificate: good.key.clone(), key: good.certificate.clone() };
    let with_certificate =
        |name: &str, text: &[u8]| Pair { certificate: write(name, text), key: good.key.clone() };
    let with_key =
        |name: &str, text: &[u8]| Pair { certificate: good.certificate.clone(), key: write(name, text) };
    let chained = ca.pem() + &certificate;
    let rows = [
        (
            with_certificate("empty", b""),
            "cert_file",
            "empty has no certificate",
            "-----BEGIN CERTIFICATE-----",
        ),
        (with_certificate("der", &[0x30, 0x82]), "cert_file", "has no certificate", "inform der"),
        (with_certificate("cut", cut.as_bytes()), "cert_file", "cut, line 1: `-----BEGIN CERT", "cut off"),
        (with_certificate("spoilt", spoilt.as_bytes()), "cert_file", "spoilt, line 1: ", ""),
        (
            with_certificate("second", second.as_bytes()),
            "cert_file",
            &*format!("line {line}: this is not"),
            "",
        ),
        (exchanged, "cert_file", "good-key.pem has no certificate", "are the two files exchanged?"),
        (with_key("none", b"none"), "key_file", "none has no private key", "-----BEGIN PRIVATE KEY-----"),
        (
            with_key("encrypted", encrypted.as_bytes()),
            "key_file",
            "encrypted with a passphrase",
            "openssl pkey",
        ),
        (with_key("legacy", legacy.as_bytes()), "key_file", "encrypted with a passphrase", "openssl pkey"),
        (Pair { key: other.key.clone(), ..good.clone() }, "key_file", "is not that of the first", "anew"),
        (
            with_certificate("chain", chained.as_bytes()),
            "key_file",
            "is not that of the first",
            "own certificate first",
        ),
        (Pair { key: ca.path("absent"), ..good.clone() }, "key_file", "absent: No such file", ""),
        (Pair { certificate: ca.path("."), ..good.clone() }, "cert_file", "cannot read", ""),
    ];
    for (pair, key, says, help) in rows {
        let error = refused(&pair.server());
        assert_eq!(error.key, key, "{error}");
        assert!(error.message.contains(says) && error.help.contains(help), "{error}");
    }
    assert!(!key.is_empty() && ServerTls::new(&good.server(), Alpn::Http).is_ok());
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let ca = Authority::new();
    let good = ca.issue("good", &["localhost"]);
    let text = fs::read_to_string(&good.certificate).unwrap();
    let nothing = refused(&TlsServerSettings::default());
    assert_eq!((nothing.key, nothing.message.contains("needs a certificate")), ("cert_file", true));
    let mut twice = good.server();
    twice.common.cert_pem = Some(text.into());
    assert!(refused(&twice).message.contains("both there"));
    let mut keyless = good.server();
    keyless.common.key_file = None;
    assert_eq!(refused(&keyless).key, "cert_file");
    let mut lone = good.server();
    lone.common.cert_file = None;
    assert_eq!(refused(&lone).key, "key_file");
    let unlisted = refused(&good.mutual(&ca.path("absent")));
    assert_eq!(unlisted.key, "client_ca_file");
    let client = |tls: &TlsClientSettings| ClientTls::new(tls, Alpn::Http1).map(drop);
    assert_eq!(client(&trusting(&ca.path("absent"))).unwrap_err().key, "ca_file");
    let mut half = trusting(&ca.file());
    half.common.key_file = Some(good.key.clone());
    assert_eq!(client(&half).unwrap_err().key, "key_file");
    let misnamed =
        TlsClientSettings { server_name_override: Some("not a name".to_owned()), ..trusting(&ca.file()) };
    assert_eq!(client(&misnamed).unwrap_err().key, "server_name_override");
    let mut both = trusting(&ca.file());
    both.common.include_system_ca_certs_pool = true;
    // Where the system has none that is told; else there are more to trust.
    assert!(
        client(&both).is_ok_and(|()| true)
            || client(&both).unwrap_err().message.contains("this system has no")
    );
}

/// What could be a key is not shown by anything that shows settings.
#[test]
fn texts_of_keys_are_not_shown() {
    let mut settings = TlsServerSettings::default();
    settings.common.key_pem = Some("-----BEGIN PRIVATE KEY-----\nswordfish".into());
    let shown = format!("{settings:?} {}", refused(&settings));
    assert!(shown.contains("[secret]") && !shown.contains("swordfish"), "{shown}");
}
