//! `openssl` as a client: another's TLS, another's words for what went wrong.

use std::{
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
};

use aldis_connect::tls::{Alpn, ClientTls, ServerTls, TlsServerSettings};

use crate::{
    certificates::{Authority, Pair, trusting},
    side::{Side, settings, spans},
};

fn side(tls: TlsServerSettings) -> Side {
    let mut settings = settings();
    settings.grpc.as_mut().expect("gRPC").tls = Some(tls.clone());
    settings.http.as_mut().expect("HTTP").tls = Some(tls);
    Side::with(settings, 64 << 20)
}

/// Everything that `openssl s_client` says when it sends this.
fn s_client(to: SocketAddr, words: &[&str], sent: &[u8]) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &to.to_string(), "-ign_eof"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    // Where the handshake fails nobody reads it.
    let _ = client.stdin.take().expect("piped").write_all(sent);
    let output = client.wait_with_output().expect("an end");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn there_is_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: openssl: it is not installed");
    }
    found
}

/// Certificates without extensions are of X.509 version 1: rustls trusts those of CAs, and reads no others.
#[test]
fn certificates_of_version_1_are_trusted_but_cannot_be_shown() {
    if !there_is_openssl() {
        return;
    }
    let ca = Authority::new();
    let [key, request, certificate] =
        ["old-key.pem", "old.csr", "old.pem"].map(|name| ca.path(name).display().to_string());
    let new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", "/CN=old"];
    let sign = ["x509", "-req", "-in", &request, "-signkey", &key, "-out", &certificate];
    for words in [[&["req"][..], &new_key[..]].concat(), sign.to_vec()] {
        assert!(Command::new("openssl").args(words).stderr(Stdio::null()).status().expect("run").success());
    }
    assert!(ClientTls::new(&trusting(certificate.as_ref()), Alpn::Http2).is_ok());
    let own = Pair { certificate: certificate.into(), key: key.into() };
    let error = ServerTls::new(&own.server(), Alpn::Http2).expect_err("refused").to_string();
    assert!(error.contains("UnsupportedCertVersion") && error.contains("version 3"), "{error}");
}

#[test]
fn openssl_negotiates_what_is_allowed_and_is_refused_the_rest() {
    if !there_is_openssl() {
        return;
    }
    let ca = Authority::new();
    let own = ca.issue("server", &["localhost"]);
    let client = ca.issue("client", &["agent"]);
    let (list, trust) = (ca.file(), ca.file().display().to_string());
    let shown = [client.certificate.display().to_string(), client.key.display().to_string()];
    let body = spans(3);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();
    let known = ["-CAfile", &trust, "-verify_return_error", "-verify_hostname", "localhost"];
    let with = |more: &[&'static str]| [&known[..], more].concat();
    let certified = ["-cert", &shown[0], "-key", &shown[1]];

    let open = side(own.server());
    for (words, says) in [
        (with(&["-tls1_3"]), "TLSv1.3"),
        (with(&["-tls1_2"]), "TLSv1.2"),
        (with(&["-alpn", "http/1.1"]), "ALPN protocol: http/1.1"),
        (with(&["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]), "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ] {
        let told = s_client(open.http(), &words, &request);
        assert!(told.contains(says) && told.contains("Verify return code: 0 (ok)"), "{words:?}: {told}");
        assert!(told.contains("HTTP/1.1 200 OK"), "{words:?}: {told}");
    }
    for (to, words, says) in [
        (open.http(), with(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]), "alert handshake failure"),
        (open.http(), with(&["-tls1_2", "-cipher", "AES128-SHA256"]), "alert handshake failure"),
        (open.grpc(), with(&["-alpn", "http/1.1"]), "alert no application protocol"),
    ] {
        let told = s_client(to, &words, &request);
        assert!(told.contains(says) && !told.contains("HTTP/1.1 200"), "{words:?}: {told}");
    }
    assert!(s_client(open.grpc(), &with(&["-alpn", "h2,http/1.1"]), b"").contains("ALPN protocol: h2"));

    let mutual = side(own.mutual(&list));
    let told = s_client(mutual.http(), &[&known[..], &certified[..]].concat(), &request);
    assert!(told.contains("HTTP/1.1 200 OK"), "{told}");
    let told = s_client(mutual.http(), &known, &request);
    assert!(told.contains("alert certificate required") && !told.contains("HTTP/1.1 200"), "{told}");
}
