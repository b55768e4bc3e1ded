//! Both sides over TLS: what gets through, what does not and what is said then, certificates that change.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use aldis_connect::{
    otlp::{Listening, OtlpConfig, OtlpExporter, Protocol, ReceiverSettings},
    tls::{HandshakeFailure, TlsClientSettings, TlsServerSettings, TlsSettings},
};
use otlp::{Batch, Check, Checker, Codec, Depth, Signal};
use pipeline::{Exporter, Health, Item, Outcome, Sender};

use crate::{
    certificates::{Authority, Pair, trusting},
    side::{PATIENCE, Side, block_on, eventually, settings, spans},
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];
const BUDGET: usize = 64 << 20;

fn secured(tls: &TlsServerSettings) -> ReceiverSettings {
    let mut settings = settings();
    settings.grpc.as_mut().expect("gRPC").tls = Some(tls.clone());
    settings.http.as_mut().expect("HTTP").tls = Some(tls.clone());
    settings
}

fn side(tls: &TlsServerSettings) -> Side {
    Side::with(secured(tls), BUDGET)
}

fn address(side: &Side, protocol: Protocol) -> SocketAddr {
    if protocol == Protocol::Grpc { side.grpc() } else { side.http() }
}

/// `localhost` is a name of the certificates; the address is not.
fn config(side: &Side, protocol: Protocol, tls: TlsClientSettings) -> OtlpConfig {
    let endpoint = format!("https://localhost:{}", address(side, protocol).port());
    let config = OtlpConfig { timeout: PATIENCE, ..OtlpConfig::default() };
    config.with_protocol(protocol).with_endpoint(endpoint).with_tls(tls)
}

fn batch(count: usize) -> Batch {
    Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(spans(count)).expect("a request")
}

async fn sent(sender: &dyn Sender, count: usize) -> Outcome {
    sender.send(&Item::new(batch(count))).await
}

fn send(config: OtlpConfig, count: usize) -> Outcome {
    let exporter = OtlpExporter::try_new(config).expect("right");
    block_on(async { sent(&*exporter.open(), count).await })
}

/// What did not get through may be tried again and arrived nowhere.
fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Retry { reason, maybe_delivered: false, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn failed(listening: &Listening, failure: HandshakeFailure) -> u64 {
    listening.counts().handshakes_failed(failure)
}

#[test]
fn telemetry_gets_through_over_tls_and_with_certificates_on_both_sides() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let own = servers.issue("server", &["localhost"]);
    let shown = clients.issue("client", &["agent"]);
    for (server, client) in [
        (own.server(), trusting(&servers.file())),
        (own.server(), shown.client(&servers.file())),
        (own.mutual(&clients.file()), shown.client(&servers.file())),
    ] {
        let side = side(&server);
        for protocol in PROTOCOLS {
            for (count, codec) in
                [(1, None), (20, Some(Codec::Gzip)), (20_000, None), (20_000, Some(Codec::Zstd))]
            {
                let mut config = config(&side, protocol, client.clone());
                config.compression = codec;
                side.memory.batches.lock().unwrap().clear();
                assert_eq!(send(config, count), Outcome::DELIVERED, "{protocol:?} {count}");
                let batches = side.memory.batches.lock().unwrap();
                assert_eq!(batches[0].raw(), &spans(count), "{protocol:?} {count}");
            }
        }
        assert_eq!(side.listening().counts().handshakes_failed, [0; 8]);
        block_on(eventually("what TLS held is given back", || {
            side.listening().counts().connections_open == 0 && side.memory.budget.used() == 0
        }));
    }
}

#[test]
fn versions_and_suites_are_those_that_both_sides_allow() {
    let ca = Authority::new();
    let own = ca.issue("server", &["localhost"]);
    let limited = |least: &str, most: &str, suite: &str| TlsSettings {
        min_version: least.to_owned(),
        max_version: most.to_owned(),
        cipher_suites: Some(suite).filter(|suite| !suite.is_empty()).map(str::to_owned).into_iter().collect(),
        ..TlsSettings::default()
    };
    const AES: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    const CHACHA: &str = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    for (of_server, of_client, gets_through) in [
        (("", "1.2", ""), ("", "", ""), true),
        (("1.3", "", ""), ("", "", ""), true),
        (("1.3", "", ""), ("", "1.2", ""), false),
        (("", "1.2", AES), ("", "1.2", AES), true),
        (("", "1.2", AES), ("", "1.2", CHACHA), false),
        (("", "", AES), ("", "", CHACHA), true),
    ] {
        let mut server = own.server();
        let allowed = limited(of_server.0, of_server.1, of_server.2);
        server.common =
            TlsSettings { cert_file: server.common.cert_file, key_file: server.common.key_file, ..allowed };
        let client = TlsClientSettings {
            common: limited(of_client.0, of_client.1, of_client.2),
            ..trusting(&ca.file())
        };
        let side = side(&server);
        for protocol in PROTOCOLS {
            let outcome = send(config(&side, protocol, client.clone()), 1);
            if gets_through {
                assert_eq!(outcome, Outcome::DELIVERED, "{of_server:?} {of_client:?}");
            } else {
                let reason = reason(outcome);
                assert!(
                    reason.contains("no version of TLS") || reason.contains("refused the handshake"),
                    "{reason}"
                );
                block_on(eventually("it is counted", || {
                    failed(side.listening(), HandshakeFailure::Incompatible) >= 1
                }));
            }
        }
    }
}

/// Every way in which the sides do not believe each other: what the exporter says, and what the receiver counts.
#[test]
fn who_is_not_believed_is_told_why() {
    let (ca, other) = (Authority::new(), Authority::new());
    let own = ca.issue("server", &["localhost"]);
    let client = ca.issue("client", &["agent"]);
    let named = |name: &str| TlsClientSettings {
        server_name_override: Some(name.to_owned()),
        ..trusting(&ca.file())
    };
    let elsewhere = ca.issue("elsewhere", &["collector.example"]);
    use HandshakeFailure::{NoCertificate, Refused, Untrusted};
    let rows = [
        ("another CA", own.server(), trusting(&other.file()), "tls.ca_file", Some(Refused)),
        (
            "expired",
            ca.expired("old", &["localhost"]).server(),
            trusting(&ca.file()),
            "new certificate",
            Some(Refused),
        ),
        ("another name", elsewhere.server(), trusting(&ca.file()), "tls.server_name_override", Some(Refused)),
        (
            "a name that is not its",
            own.server(),
            named("collector.example"),
            "tls.server_name_override",
            Some(Refused),
        ),
        (
            "no certificate",
            own.mutual(&ca.file()),
            trusting(&ca.file()),
            "set `tls.cert_file`",
            Some(NoCertificate),
        ),
        (
            "another CA of clients",
            own.mutual(&other.file()),
            client.client(&ca.file()),
            "does not believe the certificate",
            Some(Untrusted),
        ),
        (
            "an expired client",
            own.mutual(&ca.file()),
            ca.expired("old-client", &["agent"]).client(&ca.file()),
            "does not believe the certificate",
            Some(Untrusted),
        ),
    ];
    for (what, server, client, says, counted) in rows {
        let side = side(&server);
        for protocol in PROTOCOLS {
            let reason = reason(send(config(&side, protocol, client.clone()), 1));
            assert!(reason.contains(says), "{what} over {protocol:?}: {reason}");
        }
        let counted = counted.expect("a reason");
        block_on(eventually(what, || failed(side.listening(), counted) == 2));
        assert!(side.memory.batches.lock().unwrap().is_empty());
    }
}

#[test]
fn names_can_be_set_and_verification_can_be_left_out() {
    let (ca, other) = (Authority::new(), Authority::new());
    let elsewhere = ca.issue("elsewhere", &["collector.example"]);
    let side = side(&elsewhere.server());
    let named = TlsClientSettings {
        server_name_override: Some("collector.example".to_owned()),
        ..trusting(&ca.file())
    };
    let anyone = TlsClientSettings { insecure_skip_verify: true, ..TlsClientSettings::default() };
    let in_text = TlsClientSettings { ca_file: None, ca_pem: Some(ca.pem().into()), ..named.clone() };
    for tls in [named, anyone, in_text] {
        for protocol in PROTOCOLS {
            assert_eq!(send(config(&side, protocol, tls.clone()), 1), Outcome::DELIVERED, "{tls:?}");
        }
    }
    // Certificates may be for addresses.
    let numbered = other.issue("numbered", &["127.0.0.1"]);
    let side = Side::with(secured(&numbered.server()), BUDGET);
    let config =
        OtlpConfig::default().with_endpoint(side.grpc().to_string()).with_tls(trusting(&other.file()));
    assert_eq!(send(config, 1), Outcome::DELIVERED);
}

/// The Collector believes what is in the list itself; so are self-signed certificates used.
#[test]
fn a_certificate_that_is_itself_in_the_list_is_believed_in_its_time_and_for_its_names() {
    let anywhere = Authority::new();
    for is_ca in [true, false] {
        let own = anywhere.self_signed("own", &["localhost"], is_ca);
        let client = anywhere.self_signed("client", &["agent"], is_ca);
        let side = side(&own.mutual(&client.certificate));
        for protocol in PROTOCOLS {
            let tls = client.client(&own.certificate);
            assert_eq!(send(config(&side, protocol, tls), 1), Outcome::DELIVERED, "{is_ca} {protocol:?}");
            let stranger = anywhere.self_signed("stranger", &["agent"], is_ca).client(&own.certificate);
            let reason = reason(send(config(&side, protocol, stranger), 1));
            assert!(reason.contains("does not believe"), "{reason}");
        }
        let mut elsewhere = trusting(&own.certificate);
        elsewhere.server_name_override = Some("elsewhere".to_owned());
        let reason = reason(send(config(&side, Protocol::Grpc, elsewhere), 1));
        assert!(reason.contains("server_name_override"), "{reason}");
    }
}

#[test]
fn plain_text_and_tls_tell_each_other_what_is_missing() {
    let ca = Authority::new();
    let own = ca.issue("server", &["localhost"]);
    let secure = side(&own.server());
    for (protocol, says) in [(Protocol::Grpc, "INADEQUATE_SECURITY"), (Protocol::Http, "400")] {
        let plain = OtlpConfig::default()
            .with_protocol(protocol)
            .with_endpoint(format!("http://{}", address(&secure, protocol)));
        let outcome = format!("{:?}", send(plain, 1));
        assert!(outcome.contains(says) || outcome.contains("speaks TLS only"), "{outcome}");
    }
    let mut raw = TcpStream::connect(secure.http()).unwrap();
    raw.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("speaks TLS only\n"), "{answer}");
    block_on(eventually("all are counted", || failed(secure.listening(), HandshakeFailure::PlainText) == 3));

    let plain = Side::start();
    for protocol in PROTOCOLS {
        let reason = reason(send(config(&plain, protocol, trusting(&ca.file())), 1));
        assert!(reason.contains("the far side does not speak TLS"), "{reason}");
    }
    assert_eq!(plain.listening().counts().tls_to_plain, 2);
    assert_eq!(plain.listening().counts().unrouted, 0);
}

#[test]
fn what_is_no_handshake_ends_the_connection() {
    let ca = Authority::new();
    let side = side(&ca.issue("server", &["localhost"]).server());
    let rows: [(&str, &[u8], HandshakeFailure); 4] = [
        ("nothing", b"", HandshakeFailure::Gone),
        ("a record of another kind", b"\x16\x03\x01\x00\x05AAAAA", HandshakeFailure::Malformed),
        ("a record that is too long", b"\x16\x03\x01\xff\xff", HandshakeFailure::Malformed),
        ("noise", b"\x16\xff\xff\xff\xff\xff\xff\xff", HandshakeFailure::Malformed),
    ];
    for (what, bytes, failure) in rows {
        let before = failed(side.listening(), failure);
        let mut raw = TcpStream::connect(side.grpc()).unwrap();
        raw.write_all(bytes).unwrap();
        raw.shutdown(std::net::Shutdown::Write).unwrap();
        raw.read_to_end(&mut Vec::new()).unwrap();
        block_on(eventually(what, || failed(side.listening(), failure) == before + 1));
    }
    block_on(eventually("all are closed", || side.listening().counts().connections_open == 0));
    assert_eq!(side.memory.budget.used(), 0);
}

/// Those who begin a handshake and do not end it hold places and memory, both bounded, and for a bounded time.
#[test]
fn half_open_handshakes_are_bounded_and_end() {
    // Other tests need files, too.
    const MOST: usize = 150;
    let ca = Authority::new();
    let own = ca.issue("server", &["localhost"]);
    let mut settings = secured(&own.server());
    settings.max_connections = MOST;
    let side = Side::with(settings, BUDGET);
    // The first bytes of a ClientHello that never goes on.
    let begin = |to: SocketAddr| {
        let mut stream = TcpStream::connect(to).ok()?;
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").ok()?;
        Some(stream)
    };
    let stalled: Vec<_> = (0..2 * MOST).filter_map(|_| begin(side.grpc())).collect();
    assert!(stalled.len() > MOST);
    let counts = || side.listening().counts();
    let paid = aldis_connect::limits::TLS_CONNECTION_BYTES * MOST;
    block_on(eventually("the rest is refused", || {
        let counts = counts();
        assert!(counts.connections_open <= MOST as u64, "{counts:?}");
        assert!(side.memory.budget.used() <= paid, "{}", side.memory.budget.used());
        // On a machine that is busy some places may be free again, of those whose time was over.
        let again: u64 = counts.handshakes_failed.iter().sum();
        counts.connections_refused + again >= MOST as u64
    }));
    assert!(counts().connections_refused > 0, "{:?}", counts());
    drop(stalled);
    block_on(eventually("places are free again", || side.listening().counts().connections_open == 0));
    let outcome = send(config(&side, Protocol::Grpc, trusting(&ca.file())), 1);
    assert_eq!(outcome, Outcome::DELIVERED);
}

#[test]
fn where_no_memory_is_left_for_tls_connections_are_refused() {
    let ca = Authority::new();
    let own = ca.issue("server", &["localhost"]);
    // Half of it is for connections: not enough for one.
    let side = Side::with(secured(&own.server()), aldis_connect::limits::TLS_CONNECTION_BYTES);
    let reason = reason(send(config(&side, Protocol::Grpc, trusting(&ca.file())), 1));
    assert!(reason.contains("TLS"), "{reason}");
    assert_eq!(side.listening().counts().connections_refused, 1);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let (old, new) = (Authority::new(), Authority::new());
    let shown = old.issue("server", &["localhost"]);
    let mut server = shown.server();
    server.common.reload_interval = Some(Duration::from_millis(1));
    let side = side(&server);
    let health = Health::new();
    side.listening().tls().iter().for_each(|tls| tls.tell(health.clone(), "otlp/tls"));
    let exporter = |ca: &Authority, protocol| {
        OtlpExporter::try_new(config(&side, protocol, trusting(&ca.file()))).expect("right")
    };
    for protocol in PROTOCOLS {
        shown_again(&old.issue("again", &["localhost"]), &shown);
        let (of_old, of_new) = (exporter(&old, protocol), exporter(&new, protocol));
        let before = side.listening().counts().connections_accepted;
        block_on(async {
            // Whoever comes within an interval of the one before is shown what was shown to that one.
            let open = of_old.open();
            eventually_delivered(&*open).await;
            // A file that is no certificate changes nothing.
            fs::write(&shown.certificate, "-----BEGIN CERTIFICATE-----\nAA").unwrap();
            let mut counts = side.listening().counts().certificates;
            // Files are looked at once in an interval, and this one may have just begun.
            while counts.problem.is_none() {
                assert_eq!(sent(&*of_old.open(), 1).await, Outcome::DELIVERED);
                counts = side.listening().counts().certificates;
            }
            let problem = counts.problem.expect("it is told").to_string();
            assert!(problem.contains("server.pem, line 1") && problem.contains("has no end"), "{problem}");
            assert!(counts.failed >= 1);
            assert!(health.problems()["otlp/tls"].what.contains("still the old ones"));
            // The next ones are shown the new one.
            shown_again(&new.issue("server", &["localhost"]), &shown);
            side.listening().tls().iter().for_each(|tls| assert!(tls.reload().is_ok()));
            assert_eq!(sent(&*of_new.open(), 1).await, Outcome::DELIVERED);
            assert!(reason(sent(&*of_old.open(), 1).await).contains("tls.ca_file"));
            assert!(health.problems().is_empty());
            // The one that was open is none of that.
            let accepted = side.listening().counts().connections_accepted;
            assert_eq!(sent(&*open, 1).await, Outcome::DELIVERED);
            assert_eq!(side.listening().counts().connections_accepted, accepted);
        });
        assert!(side.listening().counts().connections_accepted > before);
    }
}

/// Puts a certificate and its key where others were.
fn shown_again(new: &Pair, at: &Pair) {
    fs::copy(&new.certificate, &at.certificate).expect("a certificate");
    fs::copy(&new.key, &at.key).expect("a key");
}

#[test]
fn without_an_interval_nothing_is_read_again_unless_asked_for() {
    let (old, new) = (Authority::new(), Authority::new());
    let shown = old.issue("server", &["localhost"]);
    let side = side(&shown.server());
    shown_again(&new.issue("server", &["localhost"]), &shown);
    let to = |ca: &Authority| send(config(&side, Protocol::Grpc, trusting(&ca.file())), 1);
    assert_eq!(to(&old), Outcome::DELIVERED);
    let tls = side.listening().tls().to_vec();
    assert_eq!(tls.iter().map(|tls| tls.reload()).collect::<Vec<_>>(), [Ok(true), Ok(true)]);
    assert_eq!(tls.iter().map(|tls| tls.reload()).collect::<Vec<_>>(), [Ok(false), Ok(false)]);
    assert_eq!(to(&new), Outcome::DELIVERED);
    assert_eq!(side.listening().counts().certificates.reloaded, 2);
}

/// A client whose CA is taken away is refused, even with a ticket of before.
#[test]
fn a_changed_list_of_client_cas_holds_for_new_connections() {
    let (ca, gone) = (Authority::new(), Authority::new());
    let own = ca.issue("server", &["localhost"]);
    let list = ca.path("clients.pem");
    fs::write(&list, ca.pem() + &gone.pem()).unwrap();
    let server = TlsServerSettings { client_ca_file_reload: true, ..own.mutual(&list) };
    let side = side(&server);
    let stays = ca.issue("stays", &["agent"]).client(&ca.file());
    let goes = gone.issue("goes", &["agent"]).client(&ca.file());
    for protocol in PROTOCOLS {
        fs::write(&list, ca.pem() + &gone.pem()).unwrap();
        let exporters = [&stays, &goes]
            .map(|tls| OtlpExporter::try_new(config(&side, protocol, tls.clone())).expect("right"));
        block_on(async {
            eventually_delivered(&*exporters[1].open()).await;
            fs::write(&list, ca.pem()).unwrap();
            // Nobody calls for it: it is looked at once a second.
            let mut refused = None;
            for _ in 0..5000 {
                match sent(&*exporters[1].open(), 1).await {
                    Outcome::DELIVERED => tokio::time::sleep(Duration::from_millis(10)).await,
                    other => {
                        refused = Some(other);
                        break;
                    }
                }
            }
            assert!(reason(refused.expect("it is refused in the end")).contains("does not believe"));
            assert_eq!(sent(&*exporters[0].open(), 1).await, Outcome::DELIVERED);
        });
    }
    assert_eq!(side.listening().counts().certificates.failed, 0);
}

async fn eventually_delivered(sender: &dyn Sender) {
    for _ in 0..5000 {
        if sent(sender, 1).await == Outcome::DELIVERED {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never delivered");
}

#[test]
fn a_client_shows_its_new_certificate_too() {
    let (ca, other) = (Authority::new(), Authority::new());
    let side = side(&ca.issue("server", &["localhost"]).mutual(&ca.file()));
    let shown = other.issue("client", &["agent"]);
    let mut tls = shown.client(&ca.file());
    tls.common.reload_interval = Some(Duration::from_millis(1));
    for protocol in PROTOCOLS {
        shown_again(&other.issue("again", &["agent"]), &shown);
        let exporter = OtlpExporter::try_new(config(&side, protocol, tls.clone())).expect("right");
        assert!(exporter.config().speaks_tls() && exporter.config().tls == tls);
        block_on(async {
            let sender = exporter.open();
            assert!(reason(sent(&*sender, 1).await).contains("does not believe"));
            shown_again(&ca.issue("again", &["agent"]), &shown);
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert_eq!(sent(&*sender, 1).await, Outcome::DELIVERED);
        });
        assert_eq!(exporter.tls().expect("TLS").counts().reloaded, 1);
    }
}
