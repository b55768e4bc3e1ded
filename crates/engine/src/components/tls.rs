//! `tls`: transport security, the same keys for every component that listens or connects.

use std::time::Duration;

use connect::tls::{
    Alpn, ClientTls, ServerTls, TlsClientSettings, TlsError, TlsServerSettings, TlsSettings, cipher_suites,
};

use pipeline::clock::now_ns;

use crate::{
    diagnostic::suggestion,
    settings::{Kind, Section, Setting},
    telemetry::ending,
};

/// The row of what listens.
pub const TLS_SERVER: Setting =
    Setting::new("tls", Kind::Table(SERVER), "", "Transport security; plain text where this is absent.");

/// The row of what connects.
pub const TLS_CLIENT: Setting = Setting::new("tls", Kind::Table(CLIENT), "", "Transport security.");

const CERT_FILE: Setting = Setting::new(
    "cert_file",
    Kind::Text,
    "",
    "PEM file of the certificate to show, and behind it those that lead to a root.",
);
const CERT_PEM: Setting = Setting::new("cert_pem", Kind::Secret, "", "The same as text.");
const KEY_FILE: Setting = Setting::new(
    "key_file",
    Kind::Text,
    "",
    "PEM file of the certificate's private key, without a passphrase.",
);
const KEY_PEM: Setting = Setting::new("key_pem", Kind::Secret, "", "The same as text.");
const MIN_VERSION: Setting =
    Setting::new("min_version", Kind::Text, "1.2", "The lowest version: `\"1.2\"` or `\"1.3\"`.");
const MAX_VERSION: Setting =
    Setting::new("max_version", Kind::Text, "1.3", "The highest version: `\"1.2\"` or `\"1.3\"`.");
const CIPHER_SUITES: Setting = Setting::new(
    "cipher_suites",
    Kind::TextList,
    "",
    "The only cipher suites, the best first. TLS 1.3 keeps all of its own as long as none of them is named.",
);
const CURVES: Setting = Setting::new(
    "curve_preferences",
    Kind::TextList,
    "",
    "The only groups for the exchange of keys, the best first: `X25519`, `P256`, `P384`.",
);
const RELOAD_INTERVAL: Setting = Setting::new(
    "reload_interval",
    Kind::Duration,
    "0s",
    "Read the files again for the first connection after so long; open connections stay. 0: never.",
);
const TPM: Setting = Setting::later("tpm", "keys of a TPM cannot be used; name a `key_file`");
const INSECURE_SUITES: Setting = Setting::later(
    "include_insecure_cipher_suites",
    "there are no insecure cipher suites to include; remove the key",
);

const SERVER: &[Setting] = &[
    CERT_FILE,
    CERT_PEM,
    KEY_FILE,
    KEY_PEM,
    Setting::new(
        "client_ca_file",
        Kind::Text,
        "",
        "PEM file of CAs: every client must show a certificate that one of them signed, or that is in the file itself.",
    ),
    Setting::new(
        "client_ca_file_reload",
        Kind::Bool,
        "false",
        "Whether a change of `client_ca_file` holds within a second, whatever `reload_interval` says.",
    ),
    Setting::new(
        "include_system_ca_certs_pool",
        Kind::Bool,
        "false",
        "Whether clients may show certificates of the system's CAs too.",
    ),
    MIN_VERSION,
    MAX_VERSION,
    CIPHER_SUITES,
    CURVES,
    RELOAD_INTERVAL,
    Setting::later(
        "ca_file",
        "clients are verified by `client_ca_file`; the Collector reads this key and does nothing with it",
    ),
    Setting::later(
        "ca_pem",
        "clients are verified by `client_ca_file`; the Collector reads this key and does nothing with it",
    ),
    INSECURE_SUITES,
    TPM,
];

const CLIENT: &[Setting] = &[
    Setting::new(
        "insecure",
        Kind::Bool,
        "false",
        "Whether to speak without TLS where neither the endpoint's scheme nor a CA asks for it.",
    ),
    Setting::new("insecure_skip_verify", Kind::Bool, "false", "Whether to believe any certificate."),
    Setting::new(
        "ca_file",
        Kind::Text,
        "",
        "PEM file of the CAs that the far side is verified by; the system's where this is absent.",
    ),
    Setting::new("ca_pem", Kind::Secret, "", "The same as text."),
    Setting::new(
        "include_system_ca_certs_pool",
        Kind::Bool,
        "false",
        "Whether to trust the system's CAs beside those of `ca_file`.",
    ),
    CERT_FILE,
    CERT_PEM,
    KEY_FILE,
    KEY_PEM,
    Setting::new(
        "server_name_override",
        Kind::Text,
        "",
        "The name that is asked for and verified, instead of the endpoint's host; for gRPC the authority too.",
    ),
    MIN_VERSION,
    MAX_VERSION,
    CIPHER_SUITES,
    CURVES,
    RELOAD_INTERVAL,
    INSECURE_SUITES,
    TPM,
];

/// Reads the `tls` of what listens, where it is there, and finds what start-up would find wrong with its files.
pub fn read_server(section: &Section<'_>, alpn: Alpn) -> Option<TlsServerSettings> {
    let tls = section.table("tls")?;
    let settings = TlsServerSettings {
        common: read_common(&tls),
        client_ca_file: optional(&tls, "client_ca_file").map(Into::into),
        client_ca_file_reload: tls.bool("client_ca_file_reload"),
    };
    if settings.client_ca_file.is_none() {
        for key in ["client_ca_file_reload", "include_system_ca_certs_pool"] {
            if tls.bool(key) {
                let message = format!("`{key}` has no effect: clients are not asked for certificates");
                tls.warning(key, message, "add `client_ca_file`, or remove the key");
            }
        }
    }
    if !tls.is_misshapen() {
        let faults = ServerTls::faults(&settings, alpn);
        if faults.is_empty() {
            tell_end(&tls, ServerTls::new(&settings, alpn).ok().and_then(|tls| tls.not_after()));
        }
        faults.into_iter().for_each(|fault| tell(&tls, fault, &settings.common));
    }
    Some(settings)
}

/// Reads the `tls` of what connects.
pub fn read_client(section: &Section<'_>) -> TlsClientSettings {
    let tls = section.table_or_empty("tls");
    TlsClientSettings {
        common: read_common(&tls),
        insecure: tls.bool("insecure"),
        insecure_skip_verify: tls.bool("insecure_skip_verify"),
        ca_file: optional(&tls, "ca_file").map(Into::into),
        ca_pem: tls.secret("ca_pem"),
        server_name_override: optional(&tls, "server_name_override"),
    }
}

/// Finds what start-up would find wrong with the files of a client, and what else deserves a word. `speaks_tls` says whether
/// any of the component's endpoints does.
pub fn check_client(section: &Section<'_>, settings: &TlsClientSettings, alpn: Alpn, speaks_tls: bool) {
    let tls = section.table_or_empty("tls");
    if tls.is_misshapen() {
        return;
    }
    if !speaks_tls {
        if let Some(unheeded) = CLIENT.iter().find(|row| row.key != "insecure" && tls.has(row.key)) {
            let message = format!("`{}` has no effect: no endpoint speaks TLS", unheeded.key);
            tls.warning(unheeded.key, message, "write `https://`, or remove it");
        }
        return;
    }
    if settings.insecure_skip_verify {
        tls.warning(
            "insecure_skip_verify",
            "the far side's certificate is not verified: whoever stands in between can read and change everything",
            "name its CA in `ca_file` instead",
        );
    }
    if settings.insecure && !settings.is_plain() {
        tls.warning(
            "insecure",
            "`insecure` has no effect: a CA is given, which asks for TLS",
            "remove one of them",
        );
    }
    let faults = ClientTls::faults(settings, alpn);
    if faults.is_empty() {
        tell_end(&tls, ClientTls::new(settings, alpn).ok().and_then(|tls| tls.not_after()));
    }
    faults.into_iter().for_each(|fault| tell(&tls, fault, &settings.common));
}

/// Tells a certificate that holds up to this Unix second, if that is soon or over.
fn tell_end(tls: &Section<'_>, not_after: Option<i64>) {
    if let Some(what) = not_after.and_then(|end| ending(end, now_ns())) {
        let key = if tls.has("cert_pem") { "cert_pem" } else { "cert_file" };
        tls.warning(key, what, "renew it; files that are replaced are read again at a reload");
    }
}

fn read_common(tls: &Section<'_>) -> TlsSettings {
    TlsSettings {
        cert_file: optional(tls, "cert_file").map(Into::into),
        cert_pem: tls.secret("cert_pem"),
        key_file: optional(tls, "key_file").map(Into::into),
        key_pem: tls.secret("key_pem"),
        include_system_ca_certs_pool: tls.bool("include_system_ca_certs_pool"),
        min_version: tls.text("min_version"),
        max_version: tls.text("max_version"),
        cipher_suites: tls.text_list("cipher_suites"),
        curve_preferences: tls.text_list("curve_preferences"),
        reload_interval: Some(tls.duration("reload_interval")).filter(|interval| *interval > Duration::ZERO),
    }
}

/// An empty text is none, as for the Collector.
fn optional(tls: &Section<'_>, key: &str) -> Option<String> {
    tls.optional_text(key).filter(|text| !text.is_empty())
}

fn tell(tls: &Section<'_>, error: TlsError, settings: &TlsSettings) {
    let known = cipher_suites();
    let unknown = settings.cipher_suites.iter().find(|name| !known.contains(name));
    let help = match unknown.filter(|_| error.key == "cipher_suites") {
        Some(name) => suggestion(name, known.iter().map(String::as_str)),
        None => error.help,
    };
    tls.error(error.key, error.message, help);
}
