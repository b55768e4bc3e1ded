//! `aldis episodes follow`.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::net::UnixStream,
};

use clap::Args;
use host::{EpisodeId, stream::StreamFolder};
use serde_json::Value;

use super::super::fail;
use crate::{exit::Exit, output};

/// Bytes of a line: those of a frame are below a kibibyte.
const MAX_LINE_BYTES: u64 = 64 << 10;

const EXAMPLES: &str = "\
Examples:
  aldis episodes follow              the one that is streamed
  aldis episodes follow 6f1c2f1e-3b0a-4c55-9d1e-0a1b2c3d4e5f
                                     one of several";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FollowArgs {
    /// Which; may be left out where one alone is streamed.
    #[arg(value_name = "EPISODE")]
    episode: Option<EpisodeId>,
}

/// Writes lines until the last.
pub(super) fn run(args: &FollowArgs) -> Exit {
    let followed = find(args.episode).and_then(|id| follow(id).map_err(|error| (Exit::Unavailable, error)));
    match followed {
        Ok(true) => Exit::Success,
        Ok(false) => fail(false, Exit::Undelivered, "the stream broke off before the episode ended"),
        Err((exit, message)) => fail(false, exit, &message),
    }
}

/// The one that is meant.
fn find(named: Option<EpisodeId>) -> Result<EpisodeId, (Exit, String)> {
    if let Some(id) = named {
        return Ok(id);
    }
    let sockets = StreamFolder::of_this_user().and_then(|folder| folder.sockets());
    let sockets = sockets.map_err(|error| (Exit::Unavailable, error.to_string()))?;
    let live: Vec<EpisodeId> =
        sockets.into_iter().filter(|socket| socket.is_live).map(|socket| socket.id).collect();
    match live[..] {
        [one] => Ok(one),
        [] => Err((Exit::Unavailable, "nothing is streamed: `aldis run --stream` does".to_owned())),
        _ => {
            let all: Vec<String> = live.iter().map(ToString::to_string).collect();
            Err((Exit::Usage, format!("several are streamed; name one of {}", all.join(", "))))
        }
    }
}

/// Whether it came to the episode's end.
fn follow(id: EpisodeId) -> Result<bool, String> {
    let folder = StreamFolder::of_this_user().map_err(|error| error.to_string())?;
    let stream = UnixStream::connect(folder.socket(id))
        .map_err(|error| format!("{}: {error}", folder.socket(id).display()))?;
    let mut stream = BufReader::new(stream);
    let (mut line, mut is_whole) = (Vec::new(), false);
    loop {
        line.clear();
        let read = (&mut stream).take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        let read = read.map_err(|error| format!("{}: {error}", folder.socket(id).display()))?;
        // Whoever reads this may have gone: there is nobody to write for.
        if read == 0 || output::has_no_reader() {
            return Ok(is_whole || output::has_no_reader());
        }
        output::show_bytes(&line);
        let record = serde_json::from_slice::<Value>(&line).ok().map(|line| line["record"].clone());
        is_whole = record.is_some_and(|record| record == "end");
    }
}
