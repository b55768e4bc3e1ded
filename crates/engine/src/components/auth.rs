//! `auth: {authenticator: …}` of receivers and exporters, and the extensions that it names: `bearertokenauth`, `basicauth`.

use std::path::PathBuf;

use connect::{
    Secret,
    auth::{BasicSettings, BearerSettings, ClientAuthSettings, HtpasswdSettings, ServerAuthSettings},
};
use otlp::Signal;

use super::{Class, Component, Settings};
use crate::settings::{Kind, Role, Section, Setting};

/// Extension `bearertokenauth`.
pub const BEARER: Component = Component {
    name: "bearertokenauth",
    aliases: &[],
    class: Class::Extension,
    signals: &[],
    text: "Knows senders by a token, and sends one.",
    settings: BEARER_ROWS,
    read: read_bearer,
};

/// Extension `basicauth`.
pub const BASIC: Component = Component {
    name: "basicauth",
    aliases: &[],
    class: Class::Extension,
    signals: &[],
    text: "Knows senders by name and password, or sends both.",
    settings: BASIC_ROWS,
    read: read_basic,
};

const BEARER_ROWS: &[Setting] = &[
    Setting::new("header", Kind::Text, "Authorization", "The header in which the token stands."),
    Setting::new("scheme", Kind::Text, "Bearer", "The word before the token; empty for none."),
    Setting::new("token", Kind::Secret, "", "The token."),
    Setting::new("tokens", Kind::Secrets, "", "Several that a receiver takes; an exporter sends the first."),
    Setting::new(
        "filename",
        Kind::Text,
        "",
        "A file with one token per line, instead of `token` and `tokens`; read again when it changes.",
    ),
];

const BASIC_ROWS: &[Setting] = &[
    Setting::new("htpasswd", Kind::Table(HTPASSWD), "", "Who may come in; for receivers."),
    Setting::new("client_auth", Kind::Table(CLIENT_AUTH), "", "What is sent; for exporters."),
];

const HTPASSWD: &[Setting] = &[
    Setting::new("file", Kind::Text, "", "A file as `htpasswd` writes it; read again when it changes."),
    Setting::new("inline", Kind::Secret, "", "Lines of such a file, which win over those of `file`."),
];

const CLIENT_AUTH: &[Setting] = &[
    Setting::new("username", Kind::Text, "", "The name."),
    Setting::new(
        "username_file",
        Kind::Text,
        "",
        "A file with the name, instead; read again when it changes.",
    ),
    Setting::new("password", Kind::Secret, "", "The password."),
    Setting::new(
        "password_file",
        Kind::Text,
        "",
        "A file with the password, instead; read again when it changes.",
    ),
    Setting::later("aws_secrets_manager", "secrets are read from files only; use `password_file`"),
];

/// `auth` of a listener.
pub const SERVER: Setting = Setting::new("auth", Kind::Table(SERVER_ROWS), "", "Who may send.");

/// `auth` of a listener that only shows something.
pub const READERS: Setting = Setting::new("auth", Kind::Table(SERVER_ROWS), "", "Who may read.");

const SERVER_ROWS: &[Setting] = &[
    Setting::new(
        "authenticator",
        Kind::Extension(Role::ServerAuth),
        "",
        "The extension that knows them: a `bearertokenauth`, or a `basicauth` with `htpasswd`.",
    ),
    Setting::later("request_params", "credentials are read from headers: URLs end up in logs"),
];

/// `auth` of an exporter.
pub const CLIENT: Setting = Setting::new("auth", Kind::Table(CLIENT_ROWS), "", "How it makes itself known.");

const CLIENT_ROWS: &[Setting] = &[Setting::new(
    "authenticator",
    Kind::Extension(Role::ClientAuth),
    "",
    "The extension that has the credentials: a `bearertokenauth`, or a `basicauth` with `client_auth`.",
)];

/// Tells an `auth` that names nothing. Who is named is looked up when the graph is resolved.
pub fn check(section: &Section<'_>) {
    if let Some(auth) = section.table("auth")
        && !auth.has("authenticator")
        && !auth.is_misshapen()
    {
        let help = "name an extension that is listed in `service.extensions`";
        auth.error("authenticator", "`authenticator` is missing", help);
    }
}

/// How an extension knows senders; `None` if it does not.
pub fn server(settings: &Settings) -> Option<ServerAuthSettings> {
    match settings {
        Settings::BearerAuth(settings) => Some(ServerAuthSettings::Bearer(BearerSettings::clone(settings))),
        Settings::BasicServerAuth(settings) => {
            Some(ServerAuthSettings::Basic(HtpasswdSettings::clone(settings)))
        }
        _ => None,
    }
}

/// What an extension sends; `None` if it sends nothing.
pub fn client(settings: &Settings) -> Option<ClientAuthSettings> {
    match settings {
        Settings::BearerAuth(settings) => Some(ClientAuthSettings::Bearer(BearerSettings::clone(settings))),
        Settings::BasicClientAuth(settings) => {
            Some(ClientAuthSettings::Basic(BasicSettings::clone(settings)))
        }
        _ => None,
    }
}

fn path(section: &Section<'_>, key: &str) -> Option<PathBuf> {
    section.optional_text(key).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn read_bearer(section: &Section<'_>, _: &[Signal]) -> Settings {
    if section.has("token") && section.has("tokens") {
        section.error("tokens", "`token` and `tokens` cannot both be set", "put all of them into `tokens`");
    }
    let file = path(section, "filename");
    let mut tokens = section.secrets("tokens");
    tokens.extend(section.secret("token"));
    if file.is_some() && !tokens.is_empty() {
        section.warning("filename", "`filename` is set, so the tokens beside it are not used", "remove them");
        tokens.clear();
    }
    if tokens.iter().any(|token| (1..SHORT_TOKEN).contains(&token.reveal().chars().count())) {
        let key = if section.has("token") { "token" } else { "tokens" };
        let message = format!("a token of less than {SHORT_TOKEN} characters can be guessed");
        section.warning(key, message, "such as `openssl rand -hex 32` writes one");
    }
    let header = section.text("header").to_ascii_lowercase();
    let settings = BearerSettings { header, scheme: section.text("scheme"), tokens, file };
    if let Err(error) = settings.validate() {
        section.error("", error.0, "set `token`, `tokens` or `filename`");
    }
    Settings::BearerAuth(Box::new(settings))
}

/// Characters from which on nobody guesses a token: 16 of them have 64 bits even in hexadecimal.
const SHORT_TOKEN: usize = 16;

fn read_basic(section: &Section<'_>, _: &[Signal]) -> Settings {
    let (server, client) = (section.table("htpasswd"), section.table("client_auth"));
    match (server, client) {
        (Some(server), None) => {
            let inline = server.secret("inline").unwrap_or_default();
            let settings = HtpasswdSettings { file: path(&server, "file"), inline };
            if let Err(error) = settings.validate() {
                let key = if server.has("inline") { "inline" } else { "file" };
                server.error(key, error.0, "set `file` or `inline` to lines of `name:password`");
            }
            let weak = settings.weak();
            if !weak.is_empty() {
                let message = format!("{} passwords are stored so that they are easily had back", weak.len());
                server.warning("inline", message, "write them with `htpasswd -nB NAME`");
            }
            Settings::BasicServerAuth(Box::new(settings))
        }
        (None, Some(client)) => {
            let settings = BasicSettings {
                username: client.text("username"),
                username_file: path(&client, "username_file"),
                password: client.secret("password").unwrap_or_default(),
                password_file: path(&client, "password_file"),
            };
            if let Err(error) = settings.validate() {
                client.error("username", error.0, "");
            }
            Settings::BasicClientAuth(Box::new(settings))
        }
        (both, _) => {
            let message = match both {
                Some(_) => "`htpasswd` and `client_auth` cannot both be set",
                None => "neither `htpasswd` nor `client_auth` is set",
            };
            let help = "`htpasswd` is for receivers, `client_auth` for exporters; give each an extension";
            section.error("htpasswd", message, help);
            Settings::BasicClientAuth(Box::default())
        }
    }
}

/// Secrets of a map of headers.
pub fn headers(section: &Section<'_>, key: &str) -> Vec<(String, Secret)> {
    section.secret_map(key).into_iter().collect()
}
