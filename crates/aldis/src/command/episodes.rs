//! `aldis episodes`.

mod follow;

use std::time::SystemTime;

use clap::{Args, Subcommand};
use host::{
    CgroupError, EpisodeEntry, EpisodeId, Owner, list_episodes,
    stream::{StreamFolder, StreamSocket},
};
use serde_json::{Value, json};

use super::fail;
use crate::{exit::Exit, output, terminal::duration};

const EXAMPLES: &str = "\
Examples:
  aldis episodes                     what runs under `aldis run`, and what a killed one has left behind
  aldis episodes follow              the samples of `aldis run --stream`, as they are taken
  aldis episodes clean               end what was left behind, and remove its cgroups
  aldis episodes clean --force 6f1c2f1e-3b0a-4c55-9d1e-0a1b2c3d4e5f
                                     end an episode that runs";

const CLEAN_EXAMPLES: &str = "\
Examples:
  aldis episodes clean               all that were left behind
  aldis episodes clean --force 6f1c2f1e-3b0a-4c55-9d1e-0a1b2c3d4e5f
                                     one that somebody runs";

/// Flags of `aldis episodes`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct EpisodesArgs {
    #[command(subcommand)]
    command: Option<EpisodesCommand>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
struct Format {
    /// Write the result to standard output as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum EpisodesCommand {
    /// End what was left behind, and remove its cgroups.
    Clean(CleanArgs),
    /// Write the samples of an episode that is streamed to standard output, as lines of JSON, until it ends.
    Follow(follow::FollowArgs),
}

#[derive(Debug, Args)]
#[command(after_help = CLEAN_EXAMPLES)]
struct CleanArgs {
    /// These alone; without any, all that were left behind.
    #[arg(value_name = "EPISODE")]
    episodes: Vec<EpisodeId>,
    /// Also those that somebody runs.
    #[arg(long, requires = "episodes")]
    force: bool,
    #[command(flatten)]
    format: Format,
}

impl EpisodesArgs {
    /// What it is counted as.
    pub(crate) fn counted_as(&self) -> &'static str {
        match self.command {
            None => "episodes",
            Some(EpisodesCommand::Clean(_)) => "episodes clean",
            Some(EpisodesCommand::Follow(_)) => "episodes follow",
        }
    }
}

/// Lists episodes, removes or follows them.
pub(crate) fn run(args: &EpisodesArgs) -> Exit {
    let clean = match &args.command {
        Some(EpisodesCommand::Follow(follow)) => return follow::run(follow),
        Some(EpisodesCommand::Clean(clean)) => Some(clean),
        None => None,
    };
    let json = clean.map_or(args.format.json, |clean| clean.format.json);
    let found = match list_episodes() {
        // Without cgroups there are none of them.
        Err(CgroupError::Unavailable) => Vec::new(),
        Err(error) => return fail(json, Exit::Unavailable, &error.to_string()),
        Ok(found) => found,
    };
    // Where there is no folder nothing is streamed.
    let folder = StreamFolder::of_this_user();
    match clean {
        None => {
            let streams = folder.and_then(|folder| folder.sockets()).unwrap_or_default();
            list(&found, &streams, json);
            Exit::Success
        }
        Some(clean) => {
            if clean.episodes.is_empty() {
                let _ = folder.and_then(|folder| folder.remove_stale());
            }
            remove(&found, clean)
        }
    }
}

fn list(found: &[EpisodeEntry], streams: &[StreamSocket], json: bool) {
    let stream = |id: EpisodeId| streams.iter().find(|stream| stream.is_live && stream.id == id);
    // One without a cgroup is known by its stream alone.
    let without =
        streams.iter().filter(|stream| stream.is_live && found.iter().all(|one| one.id() != stream.id));
    if json {
        let of_scope = found.iter().map(|one| as_json(one, stream(one.id())));
        let all: Vec<Value> = of_scope.chain(without.map(streamed_as_json)).collect();
        return output::show_line(format_args!("{:#}", json!({"episodes": all})));
    }
    let without: Vec<&StreamSocket> = without.collect();
    if found.is_empty() && without.is_empty() {
        return output::show_line(format_args!("no episodes"));
    }
    let line = |id: &str, age: &str, processes: &str, owner: &str, stream: &str, cgroup: &str| {
        output::show_line(format_args!(
            "{id:36}  {age:>9}  {processes:>9}  {owner:15}  {stream:6}  {cgroup}"
        ));
    };
    line("EPISODE", "AGE", "PROCESSES", "OWNER", "STREAM", "CGROUP");
    for one in found {
        let age = age_ns(one).map_or("unknown".to_owned(), duration);
        let processes = one.processes().map_or("unknown".to_owned(), |count| count.to_string());
        let streamed = if stream(one.id()).is_some() { "yes" } else { "no" };
        let cgroup = one.path().display().to_string();
        line(&one.id().to_string(), &age, &processes, &owner(one.owner()), streamed, &cgroup);
    }
    for one in without {
        line(&one.id.to_string(), "unknown", "unknown", "somebody", "yes", "none");
    }
}

fn remove(found: &[EpisodeEntry], clean: &CleanArgs) -> Exit {
    let json = clean.format.json;
    if let Some(unknown) = clean.episodes.iter().find(|id| found.iter().all(|one| one.id() != **id)) {
        return fail(
            json,
            Exit::Unavailable,
            &format!("there is no episode {unknown}: `aldis episodes` lists them"),
        );
    }
    let is_meant = |one: &&EpisodeEntry| match clean.episodes.is_empty() {
        true => one.owner() == Owner::Gone,
        false => clean.episodes.contains(&one.id()),
    };
    let (mut told, mut exit) = (Vec::new(), Exit::Success);
    for one in found.iter().filter(is_meant) {
        let removed = match one.remove() {
            Err(CgroupError::Owned { .. }) if clean.force => one.remove_from_its_owner(),
            // It was just being made, or somebody else is at it.
            Err(CgroupError::Owned { .. }) if clean.episodes.is_empty() => continue,
            removed => removed,
        };
        let why = removed.err().map(|error| error.to_string());
        match &why {
            None if !json => output::show_line(format_args!("{} removed", one.id())),
            Some(why) if !json => output::say_line(format_args!("error: {}: {why}", one.id())),
            _ => {}
        }
        if why.is_some() {
            exit = Exit::Unavailable;
        }
        told.push(json!({"id": one.id().to_string(), "removed": why.is_none(), "error": why}));
    }
    if json {
        output::show_line(format_args!("{:#}", json!({"episodes": told})));
    } else if told.is_empty() {
        output::show_line(format_args!("nothing was left behind"));
    }
    exit
}

fn as_json(one: &EpisodeEntry, stream: Option<&StreamSocket>) -> Value {
    let (state, pid) = match one.owner() {
        Owner::Lives { pid } => ("runs", pid),
        Owner::Gone => ("left_behind", None),
        Owner::Unknown => ("unknown", None),
    };
    json!({
        "id": one.id().to_string(),
        "state": state,
        "owner_pid": pid,
        "processes": one.processes(),
        "age_ns": age_ns(one),
        "cgroup": one.path().to_string_lossy(),
        "stream": stream.map(|stream| stream.path.to_string_lossy()),
    })
}

fn streamed_as_json(stream: &StreamSocket) -> Value {
    json!({
        "id": stream.id.to_string(),
        "state": "runs",
        "owner_pid": null,
        "processes": null,
        "age_ns": null,
        "cgroup": null,
        "stream": stream.path.to_string_lossy(),
    })
}

fn owner(owner: Owner) -> String {
    match owner {
        Owner::Lives { pid: Some(pid) } => format!("process {pid}"),
        Owner::Lives { pid: None } => "somebody".to_owned(),
        Owner::Gone => "left behind".to_owned(),
        Owner::Unknown => "unknown".to_owned(),
    }
}

fn age_ns(one: &EpisodeEntry) -> Option<u64> {
    let age = SystemTime::now().duration_since(one.made()?).ok()?;
    u64::try_from(age.as_nanos()).ok()
}
