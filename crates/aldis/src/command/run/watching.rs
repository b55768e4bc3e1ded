//! An episode that is watched, and whoever is told of it: a file, a recorder, an endpoint, a terminal.

use std::{ffi::OsString, io, path::Path, sync::Arc};

use host::{
    ChildrenUsage, EndReason, EpisodeId, PromoteTriggers, Recorder, Sampler, SharedCollector,
    TelemetryHandle, TelemetryPolicy, Watch, monotonic_ns, new_shared_collector,
    stream::{StreamFolder, StreamTelemetry},
};

use super::{
    RunArgs,
    export::{Ended, Export},
    job::Meanwhile,
    live::Live,
    said,
    story::Story,
    summary::{Ending, Summary},
};
use crate::{
    exit::{EXIT_BUDGET, Exit},
    output,
};

pub(super) struct Watching<'a> {
    args: &'a RunArgs,
    command: &'a [OsString],
    collector: SharedCollector,
    recorder: Option<Recorder>,
    story: Story,
    export: Option<Export>,
    live: Option<Live>,
    folder: Option<StreamFolder>,
    running: Option<Running>,
}

struct Running {
    handle: TelemetryHandle,
    sampler: Option<Sampler>,
    stream: Option<StreamTelemetry>,
    begun_ns: u64,
    wall_ns: Option<u64>,
}

impl<'a> Watching<'a> {
    /// Opens whatever is written to, before anything is run.
    pub(super) fn prepare(args: &'a RunArgs, id: EpisodeId, command: &'a [OsString]) -> Result<Self, String> {
        let policy = TelemetryPolicy::builder()
            .sample_period_ms(u64::try_from(args.every.as_millis()).unwrap_or(u64::MAX))
            .promote_triggers(PromoteTriggers {
                abnormal_end: args.record.is_some(),
                ..PromoteTriggers::default()
            })
            .build()
            .map_err(|error| format!("--every: {error}"))?;
        let recorder = args.record.as_deref().map(|path| opened(path, Recorder::append)).transpose()?;
        let story = Story::of(args.json.as_deref())?;
        let collector = new_shared_collector(policy).map_err(said)?;
        let export = Export::open(&args.export, command, id)?;
        let live = match args.live.then(Live::open).transpose() {
            Ok(live) => live,
            Err(why) => {
                output::say_line(format_args!("aldis run: warning: {why}"));
                None
            }
        };
        let folder = args.stream.then(StreamFolder::of_this_user).transpose();
        let folder = folder.map_err(|error| format!("--stream: {error}"))?;
        Ok(Self { args, command, collector, recorder, story, export, live, folder, running: None })
    }

    /// Variables that the command is given, or that are taken from it.
    pub(super) fn variables(&self) -> Vec<(&'static str, Option<String>)> {
        self.export.as_ref().map(Export::variables).unwrap_or_default()
    }

    /// Begins to look.
    pub(super) fn begin(&mut self, watch: Watch, pid: u32, begun_ns: u64) -> Result<(), String> {
        let mut watch = watch.budget(self.args.allowance.budget());
        if let Some(recorder) = self.recorder.take() {
            watch = watch.recorder(recorder);
        }
        if let Some(export) = &mut self.export {
            export.begin(begun_ns, pid);
        }
        let handle = self.collector.start(watch, begun_ns).map_err(said)?;
        let stream = self.folder.as_ref().map(|folder| StreamTelemetry::serve(&handle, folder)).transpose();
        let stream = stream.unwrap_or_else(|error| {
            // Others would look at it; that it is looked at is no less so.
            output::say_line(format_args!("aldis run: warning: --stream: {error}"));
            None
        });
        if let Some(stream) = stream.as_ref().filter(|_| !self.args.quiet) {
            output::say_line(format_args!("aldis run: streamed at {}", stream.path().display()));
        }
        let sampler = Some(Sampler::spawn(Arc::clone(&self.collector)).map_err(said)?);
        self.running = Some(Running { handle, sampler, stream, begun_ns, wall_ns: None });
        Ok(())
    }

    /// Takes over what is new, many times a second.
    pub(super) fn look(&mut self) -> Meanwhile {
        let Some(running) = &self.running else { return Meanwhile::Goes };
        let snapshot = running.handle.snapshot();
        let export = self.export.as_ref();
        self.story.follow(&running.handle, |frame| {
            if let Some(export) = export {
                export.frame(frame, &snapshot.stats);
            }
        });
        if let Some(live) = &mut self.live {
            live.draw(&snapshot, monotonic_ns() - running.begun_ns);
        }
        match snapshot.ended {
            Some(EndReason::BudgetExhausted(exhausted)) if !exhausted.kind.is_of_sampler() => {
                Meanwhile::Stopped
            }
            _ => Meanwhile::Goes,
        }
    }

    /// Looks a last time.
    pub(super) fn finish(&mut self, reason: EndReason, used: Option<ChildrenUsage>) {
        let Some(running) = &mut self.running else { return };
        self.collector.finish(&running.handle, reason, used, monotonic_ns());
        running.sampler = None;
        running.wall_ns = Some(monotonic_ns() - running.begun_ns);
        self.live = None;
        self.look();
    }

    /// Tells how it was, and says with what to exit: with `code`, if no budget was used up.
    pub(super) fn told(self, ending: &Ending, code: u8, is_called_back: &dyn Fn() -> bool) -> Exit {
        let Some(mut running) = self.running else { return Exit::Command(code) };
        let stream = running.stream.take().map(StreamTelemetry::close);
        let snapshot = running.handle.snapshot();
        let exit = match snapshot.ended {
            Some(EndReason::BudgetExhausted(exhausted)) if !exhausted.kind.is_of_sampler() => EXIT_BUDGET,
            _ => code,
        };
        let wall_ns = running.wall_ns.unwrap_or_else(|| monotonic_ns() - running.begun_ns);
        let context = self.export.as_ref().map(|export| *export.context());
        let summary = Summary {
            command: self.command,
            snapshot: &snapshot,
            wall_ns,
            story: &self.story,
            ending,
            context,
            stream,
        };
        if !self.args.quiet {
            output::say(format_args!("{}", summary.as_text()));
        }
        let line = summary.as_json(exit);
        let warn = |what: &str| output::say_line(format_args!("aldis run: warning: {what}"));
        if snapshot.recorder_failures > 0 {
            warn("not everything could be recorded");
        }
        let status = ending.status;
        let ended = Ended { snapshot: &snapshot, status, wall_ns, processes: self.story.processes };
        if let Err(error) = self.story.end(&line) {
            warn(&error);
        }
        // Last, as it may take its time.
        if let Some(lost) = self.export.and_then(|export| export.end(&ended, is_called_back)) {
            warn(&lost);
        }
        Exit::Command(exit)
    }
}

fn opened<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, String> {
    open(path).map_err(|error| format!("{}: {error}", path.display()))
}
