//! A configuration file as plain values: which components are configured how, and which pipelines they are to form.

use std::cell::RefCell;

use otlp::Signal;

use crate::{
    components::{self, Class, Component, Id, Settings},
    diagnostic::{Diagnostics, Place, mask, suggestion},
    settings::{Kind, Link, Section, Setting, links},
    telemetry::{self, TelemetrySettings},
    yaml::{self, Node, Value, expand::Environment},
};

/// A configured component.
#[derive(Clone, Debug)]
pub struct Configured {
    /// Its name.
    pub id: Id,
    /// What it is.
    pub component: &'static Component,
    /// How it is configured.
    pub settings: Settings,
    /// Where its name stands.
    pub place: Place,
    /// The extensions that its settings name.
    pub links: Vec<Link>,
}

/// A name in a pipeline's list.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The name.
    pub id: Id,
    /// Where it stands.
    pub place: Place,
}

/// A pipeline as written.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// What it carries.
    pub signal: Signal,
    /// Its name: `traces`, `traces/errors`.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its receivers.
    pub receivers: Vec<Reference>,
    /// Its processors, in order.
    pub processors: Vec<Reference>,
    /// Its exporters.
    pub exporters: Vec<Reference>,
}

impl Pipeline {
    /// Its list of a class; connectors and extensions have none.
    pub fn references(&self, class: Class) -> &[Reference] {
        match class {
            Class::Receiver => &self.receivers,
            Class::Processor => &self.processors,
            Class::Exporter => &self.exporters,
            Class::Connector | Class::Extension => &[],
        }
    }
}

/// A configuration file, read. References are not resolved yet: `graph` does that.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Every configured component, in the order of the file.
    pub components: Vec<Configured>,
    /// Names whose type does not exist, so that references to them are not reported a second time.
    pub unknown: Vec<(Class, Id)>,
    /// Every pipeline, in the order of the file.
    pub pipelines: Vec<Pipeline>,
    /// The extensions that are started: `service.extensions`.
    pub extensions: Vec<Reference>,
    /// What the engine tells of itself.
    pub telemetry: TelemetrySettings,
}

impl Config {
    /// The component of a class with this name.
    pub fn get(&self, class: Class, id: &Id) -> Option<&Configured> {
        self.of(class).find(|configured| configured.id == *id)
    }

    /// Whether a pipeline of a signal names it.
    pub fn uses(&self, class: Class, id: &Id, signal: Signal) -> bool {
        let of_signal = self.pipelines.iter().filter(|pipeline| pipeline.signal == signal);
        of_signal.flat_map(|pipeline| pipeline.references(class)).any(|reference| reference.id == *id)
    }

    /// All components of a class.
    pub fn of(&self, class: Class) -> impl Iterator<Item = &Configured> + Clone {
        self.components.iter().filter(move |configured| configured.component.class == class)
    }
}

/// What stands in a file.
pub(crate) const TOP: &[Setting] = &[
    Setting::new("receivers", Kind::Value, "", "What takes telemetry in."),
    Setting::new("processors", Kind::Value, "", "What is done to it."),
    Setting::new("exporters", Kind::Value, "", "Where it goes."),
    Setting::new("connectors", Kind::Value, "", "What leads from one pipeline to another."),
    Setting::new("extensions", Kind::Value, "", "What serves the engine itself."),
    Setting::new("service", Kind::Table(SERVICE), "", "What of it is used, and how it is put together."),
];

/// What stands under `service`.
pub(crate) const SERVICE: &[Setting] = &[
    Setting::new("extensions", Kind::TextList, "", "The extensions that are started."),
    Setting::new(
        "pipelines",
        Kind::Value,
        "",
        "Receivers, processors and exporters in a row. At least one is required.",
    ),
    Setting::new("telemetry", Kind::Table(telemetry::settings::ROWS), "", "What the engine tells of itself."),
];

/// What stands under a pipeline's name.
pub(crate) const PIPELINE: &[Setting] = &[
    Setting::new("receivers", Kind::TextList, "", "Receivers, by name. At least one is required."),
    Setting::new("processors", Kind::TextList, "", "Processors, by name, in order."),
    Setting::new("exporters", Kind::TextList, "", "Exporters, by name. At least one is required."),
];

/// Reads a file's text. Every problem is told; what can be read in spite of them is returned.
pub fn read(text: &str, environment: Environment<'_>, problems: &mut Diagnostics) -> Config {
    let before = problems.iter().count();
    let Some(mut root) = yaml::parse(text, problems).filter(|root| !root.is_null()) else {
        if problems.iter().count() == before {
            problems.error(
                Place::default(),
                "",
                "the file says nothing",
                "it needs receivers, exporters and service.pipelines",
            );
        }
        return Config::default();
    };
    yaml::expand::expand(&mut root, environment, problems);
    conceal(&root, false, problems);
    let told = RefCell::new(std::mem::take(problems));
    let config = read_root(&root, &told);
    *problems = told.into_inner();
    config
}

/// Has no message quote what stands behind keys that sound like a secret's.
fn conceal(node: &Node, is_secret: bool, problems: &mut Diagnostics) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| conceal(item, is_secret, problems)),
        Value::Map(entries) => {
            for entry in entries {
                conceal(&entry.node, is_secret || mask::is_sensitive(&entry.key), problems);
            }
        }
        Value::Plain(text) | Value::Quoted(text) if is_secret => problems.conceal(text, "[secret]"),
        Value::Plain(_) | Value::Quoted(_) => {}
    }
}

fn read_root(root: &Node, problems: &RefCell<Diagnostics>) -> Config {
    let mut config = Config::default();
    let top = Section::open(Some(root), TOP, "", Place { line: 1, column: 1, width: 1 }, problems);
    let service = top.table_or_empty("service");
    match service.value("pipelines") {
        Some(Node { value: Value::Map(entries), .. }) if !entries.is_empty() => {
            for entry in entries {
                config.pipelines.extend(read_pipeline(entry, problems));
            }
        }
        Some(Node { value: Value::Map(_), .. }) | None => {
            let help = "such as `pipelines: {traces: {receivers: [otlp], exporters: [otlp]}}`";
            service.error("pipelines", "there is no pipeline", help);
        }
        Some(other) => {
            service.error(
                "pipelines",
                format!("a map of pipelines was expected here, not {}", other.describe()),
                "",
            );
        }
    }
    for class in Class::ALL {
        let Some(node) = top.value(class.section()) else { continue };
        if !matches!(node.value, Value::Map(_)) {
            let message = format!("a map of {} was expected here, not {}", class.section(), node.describe());
            top.error(class.section(), message, "");
        }
        for entry in node.entries() {
            read_component(class, entry, &mut config, problems);
        }
    }
    config.telemetry = TelemetrySettings::read(&service.table_or_empty("telemetry"));
    config.extensions = references(&service, "extensions", problems);
    config
}

fn read_component(class: Class, entry: &yaml::Entry, config: &mut Config, problems: &RefCell<Diagnostics>) {
    let path = format!("{}.{}", class.section(), entry.key);
    let id = match Id::parse(&entry.key) {
        Ok(id) => id,
        Err(reason) => {
            let message = format!("`{}` is not a name of a component: {reason}", entry.key);
            problems.borrow_mut().error(entry.place, class.section(), message, "write `type` or `type/name`");
            return;
        }
    };
    let Some(component) = components::find(class, &id.kind) else {
        let message = format!("there is no {} of type `{}`", class.name(), id.kind);
        let names = components::of(class)
            .flat_map(|known| std::iter::once(known.name).chain(known.aliases.iter().copied()));
        let help = match names.clone().next() {
            Some(_) => suggestion(&id.kind, names),
            None => format!("no {} exists yet", class.name()),
        };
        problems.borrow_mut().error(entry.place, class.section(), message, help);
        config.unknown.push((class, id));
        return;
    };
    let section = Section::open(Some(&entry.node), component.settings, path, entry.place, problems);
    let signals: Vec<Signal> =
        Signal::ALL.into_iter().filter(|signal| config.uses(class, &id, *signal)).collect();
    let able: Vec<Signal> = signals.into_iter().filter(|signal| component.signals.contains(signal)).collect();
    let settings = (component.read)(&section, &able);
    if config.get(class, &id).is_some() {
        problems.borrow_mut().error(
            entry.place,
            class.section(),
            format!("`{id}` is configured twice"),
            "remove one",
        );
        return;
    }
    let links = links(&entry.node, component.settings);
    config.components.push(Configured { id, component, settings, place: entry.place, links });
}

fn read_pipeline(entry: &yaml::Entry, problems: &RefCell<Diagnostics>) -> Option<Pipeline> {
    let path = format!("service.pipelines.{}", entry.key);
    let word = entry.key.split('/').next().unwrap_or_default().trim();
    let section = Section::open(Some(&entry.node), PIPELINE, path, entry.place, problems);
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.name() == word) else {
        let message = format!("`{word}` is not a signal that a pipeline can carry");
        let help = suggestion(word, Signal::ALL.map(Signal::name));
        problems.borrow_mut().error(entry.place, "service.pipelines", message, help);
        return None;
    };
    let list = |key: &str| references(&section, key, problems);
    let pipeline = Pipeline {
        signal,
        name: entry.key.clone(),
        place: entry.place,
        receivers: list("receivers"),
        processors: list("processors"),
        exporters: list("exporters"),
    };
    for (key, references) in [("receivers", &pipeline.receivers), ("exporters", &pipeline.exporters)] {
        let silent = match section.value(key).map(|node| &node.value) {
            Some(Value::List(items)) => items.is_empty(),
            // Something else than a list was told already.
            Some(_) => false,
            None => true,
        };
        if references.is_empty() && silent && !section.is_misshapen() {
            section.error(
                key,
                format!("the pipeline `{}` has no {key}", entry.key),
                format!("name one under `{key}`"),
            );
        }
    }
    Some(pipeline)
}

/// Names in the list under a key, each once.
fn references(section: &Section<'_>, key: &str, problems: &RefCell<Diagnostics>) -> Vec<Reference> {
    let mut references: Vec<Reference> = Vec::new();
    let tell = |place, message: String, help| {
        problems.borrow_mut().error(place, section.path(), message, help);
    };
    for (text, place) in section.text_items(key) {
        match Id::parse(&text) {
            Ok(id) if references.iter().any(|known| known.id == id) => {
                tell(place, format!("`{id}` stands twice in `{key}`"), "remove one");
            }
            Ok(id) => references.push(Reference { id, place }),
            Err(reason) => {
                let message = format!("`{text}` is not a name of a component: {reason}");
                tell(place, message, "write `type` or `type/name`");
            }
        }
    }
    references
}
