//! Extensions: which are started, and what those that name them get from them.

use super::Resolver;
use crate::{
    components::{Class, Id, Settings, auth, otlp_receiver},
    config::Reference,
    settings::{Link, Role},
};

impl Resolver<'_> {
    /// Those that are started.
    pub(super) fn extensions(&mut self) {
        for reference in &self.config.extensions {
            if let Some(configured) = self.look_up(Class::Extension, reference, "service.extensions") {
                self.graph.extensions.insert(reference.id.clone(), configured.settings.clone());
            }
        }
    }

    /// Puts what authenticators need into the settings of those that name them.
    pub(super) fn authenticators(&mut self) {
        let config = self.config;
        for configured in &config.components {
            for link in &configured.links {
                let class = configured.component.class.section();
                let (section, key) = link.path.rsplit_once('.').unwrap_or(("", &link.path));
                let path = format!("{class}.{}.{section}", configured.id);
                let Some((id, extension)) = self.extension(link, &path) else { continue };
                let (server, client) = (auth::server(&extension), auth::client(&extension));
                let named = match configured.component.class {
                    Class::Receiver => self.graph.receivers.get_mut(&configured.id),
                    Class::Extension => self.graph.extensions.get_mut(&configured.id),
                    _ => self.graph.exporters.get_mut(&configured.id),
                };
                match (named, &server) {
                    (Some(Settings::OtlpReceiver(settings)), Some(auth)) => {
                        otlp_receiver::authenticate(settings, &link.path, auth);
                    }
                    (Some(Settings::Prometheus(settings)), auth) => settings.server.auth.clone_from(auth),
                    (Some(Settings::HealthCheck(settings)), auth) => settings.server.auth.clone_from(auth),
                    (Some(Settings::OtlpExporter(settings)), _) => settings.config.auth.clone_from(&client),
                    (Some(Settings::RemoteWrite(settings)), _) => settings.config.auth.clone_from(&client),
                    _ => {}
                }
                let is_able = match link.role {
                    Role::ServerAuth => server.is_some(),
                    Role::ClientAuth => client.is_some(),
                };
                if !is_able {
                    let (message, help) = match link.role {
                        Role::ServerAuth => {
                            ("knows no senders", "a `basicauth` for what listens has `htpasswd`")
                        }
                        Role::ClientAuth => {
                            ("has no credentials to send", "a `basicauth` for exporters has `client_auth`")
                        }
                    };
                    let message = format!("`{id}` cannot be the `{key}`: it {message}");
                    self.problems.error(link.place, &path, message, help);
                }
            }
        }
    }

    /// The extension that a value names, if it is started.
    fn extension(&mut self, link: &Link, path: &str) -> Option<(Id, Settings)> {
        let id = match Id::parse(&link.name) {
            Ok(id) => id,
            Err(reason) => {
                let message = format!("`{}` is not a name of an extension: {reason}", link.name);
                self.problems.error(link.place, path, message, "write `type` or `type/name`");
                return None;
            }
        };
        if let Some(settings) = self.graph.extensions.get(&id) {
            return Some((id, settings.clone()));
        }
        let reference = Reference { id, place: link.place };
        if self.look_up(Class::Extension, &reference, path).is_some() {
            let message = format!("the extension `{}` is not started", reference.id);
            self.problems.error(link.place, path, message, "list it in `service.extensions`");
        }
        None
    }
}
