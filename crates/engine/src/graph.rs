//! A configuration as a graph of plain values: every reference resolved, everything that is not used left out.
//!
//! Graphs are compared with `==`: a component whose name and settings are equal in two graphs is the same component.

mod exposure;
mod extensions;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use connect::{
    debug::Verbosity,
    file::{FileConfig, FileFormat, Key, written_file},
};
use operators::{Operator, filter::Filter, gaps::GapSettings};
use otlp::{Check, Depth, Signal};
use pipeline::MemoryLimitSettings;

use crate::{
    components::{
        Class, Id, Settings,
        batch::BatchSettings,
        edits::{self, EditSettings},
        filter::FilterSettings,
        listeners::listeners,
    },
    config::{Config, Configured, Pipeline, Reference},
    diagnostic::{Diagnostics, suggestion},
    telemetry::TelemetrySettings,
};

/// A configuration, resolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Receivers that a pipeline uses.
    pub receivers: BTreeMap<Id, Settings>,
    /// Exporters that a pipeline uses.
    pub exporters: BTreeMap<Id, Settings>,
    /// Extensions that are started. Those that others name are in the settings of these too.
    pub extensions: BTreeMap<Id, Settings>,
    /// Memory limiters that a pipeline uses.
    pub limiters: BTreeMap<Id, MemoryLimitSettings>,
    /// The pipelines, in the order of the file.
    pub pipelines: Vec<Plan>,
    /// What the engine tells of itself. A graph that was not read from a file tells nothing.
    pub telemetry: TelemetrySettings,
}

/// A pipeline, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it carries.
    pub signal: Signal,
    /// Its name.
    pub name: String,
    /// Its receivers.
    pub receivers: Vec<Id>,
    /// Its memory limiter.
    pub limiter: Option<Id>,
    /// What is done, in order; adjacent edits are one stage.
    pub stages: Vec<Stage>,
    /// Its exporters. What arrives goes to all of them.
    pub exporters: Vec<Id>,
    /// How deep batches must be indexed on arrival.
    pub depth: Depth,
}

impl Plan {
    /// The request headers that its stages use: lower case, sorted.
    pub fn headers(&self) -> Vec<String> {
        let mut headers: Vec<String> = Vec::new();
        for stage in &self.stages {
            match stage {
                Stage::Edit { settings, .. } => {
                    headers.extend(settings.iter().flat_map(EditSettings::headers));
                }
                Stage::Batch { settings, .. } => headers.extend(settings.metadata_keys.iter().cloned()),
                Stage::Filter { .. } | Stage::Gaps { .. } => {}
            }
        }
        headers.sort();
        headers.dedup();
        headers
    }
}

/// A step of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Attributes are changed, by the rules of adjacent processors fused into one program.
    Edit {
        /// The processors.
        ids: Vec<Id>,
        /// Their settings, in order.
        settings: Vec<EditSettings>,
    },
    /// Records are taken out.
    Filter {
        /// The processor.
        id: Id,
        /// Its settings.
        settings: FilterSettings,
    },
    /// Gaps in the numbers of events are counted.
    Gaps {
        /// The processor.
        id: Id,
        /// Its settings.
        settings: GapSettings,
    },
    /// Requests are joined and split.
    Batch {
        /// The processor.
        id: Id,
        /// Its settings.
        settings: BatchSettings,
    },
}

impl Stage {
    /// The names of the processors in it, joined: `attributes+resource`.
    pub fn name(&self) -> String {
        match self {
            Stage::Edit { ids, .. } => ids.iter().map(Id::to_string).collect::<Vec<_>>().join("+"),
            Stage::Filter { id, .. } | Stage::Gaps { id, .. } | Stage::Batch { id, .. } => id.to_string(),
        }
    }

    /// How deep it needs batches of a signal to be indexed. Its settings have been checked before.
    pub(crate) fn needs(&self, signal: Signal) -> Depth {
        match self {
            Stage::Edit { settings, .. } => {
                edits::fused(signal, settings).map_or(Depth::Attributes, |plan| plan.needs())
            }
            Stage::Filter { settings, .. } => {
                Filter::new(signal, settings.of(signal)).map_or(Depth::Attributes, |filter| filter.needs())
            }
            Stage::Gaps { .. } | Stage::Batch { .. } => Depth::Records,
        }
    }
}

/// When somebody who sends telemetry into a pipeline has an answer, and who answers for the telemetry from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The pipeline.
    pub pipeline: String,
    /// The exporter.
    pub exporter: Id,
    /// Whether the answer is the far side's; otherwise the telemetry is in this process's memory when the sender is told
    /// that it was accepted.
    pub exported: bool,
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pipeline, exporter, exported } = self;
        match exported {
            true => write!(f, "{pipeline}: senders have their answer when `{exporter}` has the far side's"),
            false => write!(
                f,
                "{pipeline}: senders have their answer once it is queued in memory for `{exporter}`"
            ),
        }
    }
}

impl Graph {
    /// For each pipeline and exporter, where ownership of the telemetry passes.
    pub fn ownership(&self) -> Vec<Ownership> {
        let mut all = Vec::new();
        for plan in &self.pipelines {
            for exporter in &plan.exporters {
                let exported = self.answers(exporter);
                all.push(Ownership { pipeline: plan.name.clone(), exporter: exporter.clone(), exported });
            }
        }
        all
    }

    /// Whether an exporter's far side answers senders; otherwise this process's memory does.
    pub(crate) fn answers(&self, exporter: &Id) -> bool {
        match self.exporters.get(exporter) {
            Some(Settings::OtlpExporter(settings)) => {
                settings.delivery.queue.as_ref().is_none_or(|queue| queue.wait_for_result)
            }
            Some(Settings::RemoteWrite(settings)) => settings.queue_size.is_none(),
            Some(Settings::Prometheus(_)) => false,
            _ => true,
        }
    }

    /// How deep an exporter needs batches to be indexed.
    pub(crate) fn needs(&self, exporter: &Id) -> Depth {
        match self.exporters.get(exporter) {
            Some(Settings::Prometheus(_) | Settings::RemoteWrite(_) | Settings::Summary) => Depth::Records,
            Some(Settings::Debug(settings)) if settings.verbosity > Verbosity::Basic => Depth::Records,
            _ => Depth::Counts,
        }
    }

    /// How deep a receiver must index batches of a signal; `None` where no pipeline takes them.
    pub fn depth(&self, receiver: &Id, signal: Signal) -> Option<Depth> {
        self.fed_by(receiver, signal).map(|plan| plan.depth).max()
    }

    /// The pipelines for a signal that a receiver leads to.
    pub fn fed_by(&self, receiver: &Id, signal: Signal) -> impl Iterator<Item = &Plan> {
        self.pipelines.iter().filter(move |plan| plan.signal == signal && plan.receivers.contains(receiver))
    }
}

/// Resolves a configuration. Every problem is told; the graph is only good for starting where none is an error.
pub fn resolve(config: &Config, problems: &mut Diagnostics) -> Graph {
    let mut resolver = Resolver {
        config,
        problems,
        graph: Graph { telemetry: config.telemetry.clone(), ..Graph::default() },
    };
    resolver.extensions();
    for pipeline in &config.pipelines {
        resolver.pipeline(pipeline);
    }
    resolver.authenticators();
    resolver.exposures();
    resolver.listeners();
    resolver.files();
    resolver.unused();
    resolver.graph
}

struct Resolver<'a> {
    config: &'a Config,
    problems: &'a mut Diagnostics,
    graph: Graph,
}

impl<'a> Resolver<'a> {
    fn pipeline(&mut self, pipeline: &'a Pipeline) {
        let mut plan = Plan {
            signal: pipeline.signal,
            name: pipeline.name.clone(),
            receivers: Vec::new(),
            limiter: None,
            stages: Vec::new(),
            exporters: Vec::new(),
            depth: Depth::Counts,
        };
        for reference in &pipeline.receivers {
            if let Some(settings) = self.resolve(Class::Receiver, reference, pipeline) {
                self.graph.receivers.insert(reference.id.clone(), settings.clone());
                plan.receivers.push(reference.id.clone());
            }
        }
        for reference in &pipeline.processors {
            if let Some(settings) = self.resolve(Class::Processor, reference, pipeline) {
                self.stage(&mut plan, reference, settings);
            }
        }
        for reference in &pipeline.exporters {
            if let Some(settings) = self.resolve(Class::Exporter, reference, pipeline) {
                self.reaches(reference, settings, &plan);
                self.graph.exporters.insert(reference.id.clone(), settings.clone());
                plan.exporters.push(reference.id.clone());
            }
        }
        let stages = plan.stages.iter().map(|stage| stage.needs(plan.signal));
        let exporters = plan.exporters.iter().map(|id| self.graph.needs(id));
        plan.depth = stages.chain(exporters).max().unwrap_or_default();
        self.framing(&plan, pipeline);
        self.graph.pipelines.push(plan);
    }

    fn stage(&mut self, plan: &mut Plan, reference: &Reference, settings: &Settings) {
        let id = reference.id.clone();
        let edit = match settings {
            Settings::MemoryLimiter(settings) => {
                if !plan.stages.is_empty() {
                    self.problems.warning(
                        reference.place,
                        &format!("service.pipelines.{}.processors", plan.name),
                        format!("`{id}` stands behind other processors; it works before all of them"),
                        "put it first",
                    );
                }
                if let Some(first) = plan.limiter.replace(id.clone()) {
                    let message = format!("the pipeline has two memory limiters, `{first}` and `{id}`");
                    let path = format!("service.pipelines.{}.processors", plan.name);
                    self.problems.error(reference.place, &path, message, "remove one");
                }
                self.graph.limiters.insert(id, *settings);
                return;
            }
            Settings::Batch(settings) => {
                return plan.stages.push(Stage::Batch { id, settings: settings.clone() });
            }
            Settings::Filter(settings) => {
                return plan.stages.push(Stage::Filter { id, settings: settings.clone() });
            }
            Settings::Gaps(settings) => {
                return plan.stages.push(Stage::Gaps { id, settings: *settings });
            }
            Settings::Edit(settings) => settings.clone(),
            Settings::OtlpReceiver(_)
            | Settings::FileReceiver(_)
            | Settings::FileExporter(_)
            | Settings::Debug(_)
            | Settings::OtlpExporter(_)
            | Settings::Prometheus(_)
            | Settings::RemoteWrite(_)
            | Settings::Summary
            | Settings::BearerAuth(_)
            | Settings::BasicServerAuth(_)
            | Settings::BasicClientAuth(_)
            | Settings::HealthCheck(_)
            | Settings::Nop => return,
        };
        if let Some(Stage::Edit { ids, settings }) = plan.stages.last_mut() {
            let row: Vec<EditSettings> = settings.iter().chain([&edit]).cloned().collect();
            if edits::fused(plan.signal, &row).is_some() {
                *settings = row;
                return ids.push(id);
            }
        }
        plan.stages.push(Stage::Edit { ids: vec![id], settings: vec![edit] });
    }

    fn reaches(&mut self, reference: &Reference, settings: &Settings, plan: &Plan) {
        let Settings::OtlpExporter(exporter) = settings else { return };
        if !exporter.reaches(plan.signal) {
            let message = format!("`{}` has no endpoint for {}", reference.id, plan.signal);
            let path = format!("service.pipelines.{}.exporters", plan.name);
            let help = format!("set `endpoint` or `{}_endpoint`", plan.signal);
            self.problems.error(reference.place, &path, message, help);
        }
    }

    /// What was only framing-checked can be counted and passed on, nothing else.
    fn framing(&mut self, plan: &Plan, pipeline: &Pipeline) {
        let stage = plan.stages.first().map(Stage::name);
        let exporter =
            || plan.exporters.iter().find(|id| self.graph.needs(id) > Depth::Counts).map(Id::to_string);
        let Some(reader) = stage.or_else(exporter) else { return };
        for reference in &pipeline.receivers {
            let framing = matches!(
                self.graph.receivers.get(&reference.id),
                Some(Settings::OtlpReceiver(settings)) if settings.check == Check::Framing
            );
            if framing {
                let message = format!(
                    "`{}` only counts records (`check: framing`), but `{reader}` must read them",
                    reference.id
                );
                let path = format!("service.pipelines.{}.receivers", plan.name);
                self.problems.error(
                    reference.place,
                    &path,
                    message,
                    "set `check: full`, or remove what reads them",
                );
            }
        }
    }

    fn resolve(&mut self, class: Class, reference: &Reference, pipeline: &Pipeline) -> Option<&'a Settings> {
        let path = format!("service.pipelines.{}.{}", pipeline.name, class.section());
        let configured = self.look_up(class, reference, &path)?;
        let Reference { id, place } = reference;
        if !configured.component.signals.contains(&pipeline.signal) {
            let able: Vec<&str> = configured.component.signals.iter().map(|signal| signal.name()).collect();
            let message = format!("`{id}` cannot stand in a pipeline of {}", pipeline.signal);
            self.problems.error(*place, &path, message, format!("it is for {}", able.join(", ")));
            return None;
        }
        Some(&configured.settings)
    }

    /// The component that is named; told at `path` where there is none.
    fn look_up(&mut self, class: Class, reference: &Reference, path: &str) -> Option<&'a Configured> {
        let Reference { id, place } = reference;
        let configured = self.config.get(class, id);
        if configured.is_none() && !self.config.unknown.contains(&(class, id.clone())) {
            let known: Vec<String> = self.config.of(class).map(|known| known.id.to_string()).collect();
            let help = match known.as_slice() {
                [] => format!("configure it under `{}`", class.section()),
                known => suggestion(&id.to_string(), known.iter().map(String::as_str)),
            };
            let message = format!("there is no {} `{id}`", class.name());
            self.problems.error(*place, path, message, help);
        }
        configured
    }

    /// Two listeners cannot have one address.
    fn listeners(&mut self) {
        let mut taken: Vec<(String, &Id)> = Vec::new();
        for configured in &self.config.components {
            let used = self.settings_of(configured).is_some();
            let endpoints = listeners(&configured.settings).into_iter().map(|listener| listener.endpoint);
            for endpoint in endpoints.filter(|endpoint| used && !endpoint.ends_with(":0")) {
                if let Some((_, first)) = taken.iter().find(|(known, _)| *known == endpoint) {
                    let message = match *first == &configured.id {
                        true => format!("`{first}` listens on {endpoint} with two protocols"),
                        false => format!("`{first}` and `{}` both listen on {endpoint}", configured.id),
                    };
                    self.problems.error(
                        configured.place,
                        configured.component.class.section(),
                        message,
                        "give one of them another port",
                    );
                }
                taken.push((endpoint, &configured.id));
            }
        }
    }

    /// The settings of a component as they are in the graph, if it is in it.
    fn settings_of(&self, configured: &Configured) -> Option<&Settings> {
        match configured.component.class {
            Class::Receiver => self.graph.receivers.get(&configured.id),
            Class::Exporter => self.graph.exporters.get(&configured.id),
            Class::Extension => self.graph.extensions.get(&configured.id),
            Class::Processor | Class::Connector => None,
        }
    }

    /// Two exporters cannot write one file, and what is written here and read here again never ends.
    fn files(&mut self) {
        let section = Class::Exporter.section();
        let mut written: Vec<(PathBuf, &Id)> = Vec::new();
        for configured in self.config.of(Class::Exporter) {
            let Settings::FileExporter(settings) = &configured.settings else { continue };
            let (id, path) = (&configured.id, settings.path.as_path());
            if !self.graph.exporters.contains_key(id) {
                continue;
            }
            self.folder(configured, settings);
            self.seal_key(configured, settings);
            self.signals_of_file(configured, settings);
            let file = written_file(path).ok().flatten();
            if let Some(file) = &file
                && let Some((_, first)) = written.iter().find(|(known, _)| known == file)
            {
                let message = format!("`{first}` and `{id}` both write {}", file.display());
                self.problems.error(configured.place, section, message, "give one of them another path");
            }
            let is_read = |settings: &Settings| matches!(settings, Settings::FileReceiver(reader) if reader.reads(path));
            if let Some((reader, _)) = self.graph.receivers.iter().find(|(_, settings)| is_read(settings)) {
                let message = format!("`{reader}` reads what `{id}` writes, {}", path.display());
                self.problems.error(
                    configured.place,
                    section,
                    message,
                    "write elsewhere, or name it in `exclude`",
                );
            }
            written.extend(file.map(|file| (file, id)));
        }
    }

    /// What starting would find of where a file is to be.
    fn folder(&mut self, configured: &Configured, settings: &FileConfig) {
        let path = settings.path.as_path();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let (message, help) = if path.is_dir() {
            (
                format!("`{}` is to write {}, which is a folder", configured.id, path.display()),
                "name a file in it",
            )
        } else if settings.create_directory.is_none() && folder.is_some_and(|folder| !folder.is_dir()) {
            let message = format!(
                "the folder of {}, where `{}` is to write, is not there",
                path.display(),
                configured.id
            );
            (message, "make it, or set `create_directory: true`")
        } else {
            return;
        };
        self.problems.error(configured.place, Class::Exporter.section(), message, help);
    }

    /// What starting would find of the key of what is to be sealed.
    fn seal_key(&mut self, configured: &Configured, settings: &FileConfig) {
        let Some(path) = &settings.seal_key_file else { return };
        if let Err(error) = Key::read(path) {
            let message =
                format!("`{}` is to seal with the key in {}: {error}", configured.id, path.display());
            let help = "`head -c 32 /dev/urandom` makes a key; let only the user read it that runs this";
            self.problems.error(configured.place, Class::Exporter.section(), message, help);
        }
    }

    /// In protobuf nothing says of which signal a request is.
    fn signals_of_file(&mut self, configured: &Configured, settings: &FileConfig) {
        let leading = self.graph.pipelines.iter().filter(|plan| plan.exporters.contains(&configured.id));
        let signals: BTreeSet<&str> = leading.map(|plan| plan.signal.name()).collect();
        if settings.format != FileFormat::Proto || signals.len() < 2 {
            return;
        }
        let signals: Vec<&str> = signals.into_iter().collect();
        let message = format!(
            "`{}` writes {} into one file with `format: proto`, where nothing tells them apart when it is read",
            configured.id,
            signals.join(" and ")
        );
        let help = "name an exporter with a path of its own for each signal, or use `format: json`";
        self.problems.warning(configured.place, Class::Exporter.section(), message, help);
    }

    fn unused(&mut self) {
        for configured in &self.config.components {
            let class = configured.component.class;
            if class == Class::Extension && !self.graph.extensions.contains_key(&configured.id) {
                let message = format!("the extension `{}` is not started", configured.id);
                let help = "list it in `service.extensions`, or remove it";
                self.problems.warning(configured.place, class.section(), message, help);
            }
            if matches!(class, Class::Connector | Class::Extension) {
                continue;
            }
            let used = Signal::ALL.iter().any(|signal| self.config.uses(class, &configured.id, *signal));
            if !used {
                let message = format!("no pipeline uses the {} `{}`", class.name(), configured.id);
                self.problems.warning(configured.place, class.section(), message, "");
            }
        }
    }
}

#[cfg(test)]
mod tests;
