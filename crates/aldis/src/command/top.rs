//! `aldis top`.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use clap::Args;

use super::fail;
use crate::{
    exit::Exit,
    output,
    signals::Signals,
    terminal::{Key, Screen, Size, Style, TICK, scrolling, top_lines},
    top::{Pages, Picture, Sample, parse},
};

const EXAMPLES: &str = "\
Examples:
  aldis top                                    the engine at http://127.0.0.1:8888, until q
  aldis top --endpoint http://10.0.0.7:8888    another one
  aldis top --once                             one picture
  aldis top --once --json                      the same for programs";

/// Flags of `aldis top`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopArgs {
    /// Where the engine shows its metrics.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8888")]
    endpoint: String,
    /// Show one picture, of a second, and end.
    #[arg(long)]
    once: bool,
    /// Write pictures to standard output as JSON, an object on each line.
    #[arg(long)]
    json: bool,
}

/// From one picture to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// How long an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes: the longest page that is read.
const MAX_PAGE_BYTES: u64 = 64 << 20;

/// Shows a running engine.
pub(crate) fn run(args: &TopArgs) -> Exit {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return fail(args.json, Exit::Unavailable, &format!("signals cannot be listened for: {error}"));
        }
    };
    let mut before = match look(&args.endpoint) {
        Ok(before) => before,
        Err(error) => return fail(args.json, Exit::Unavailable, &error),
    };
    let screen = if args.once || args.json { None } else { Screen::open() };
    let mut looks = Looks::default();
    loop {
        if waits_until(Instant::now() + PERIOD, args, &signals, screen.as_ref(), &mut looks) {
            return Exit::Success;
        }
        let now = match look(&args.endpoint) {
            Ok(now) => now,
            Err(error) => {
                drop(screen);
                return fail(args.json, Exit::Unavailable, &error);
            }
        };
        let seconds = now.0.duration_since(before.0).as_secs_f64();
        let picture = Pages { before: &before.1, now: &now.1, seconds }.picture();
        if !looks.is_held {
            looks.picture = Some(picture);
            show(args, screen.as_ref(), &looks);
        }
        if args.once || output::has_no_reader() {
            return Exit::Success;
        }
        before = now;
    }
}

/// What whoever looks wants to see, and what there was to see last.
#[derive(Default)]
struct Looks {
    picture: Option<Picture>,
    /// Whether the picture is held still.
    is_held: bool,
    /// Whether what does most is in front.
    is_sorted: bool,
}

/// Waits, and does meanwhile what is typed. Whether it is to end.
fn waits_until(
    end: Instant,
    args: &TopArgs,
    signals: &Signals,
    screen: Option<&Screen>,
    looks: &mut Looks,
) -> bool {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        // Keys are looked for where there are some.
        let tick = if screen.is_some_and(Screen::has_keys) { left.min(TICK) } else { left };
        if signals.wait_for(tick) {
            return true;
        }
        while let Some(key) = screen.and_then(Screen::key) {
            match key {
                Key::Quit => return true,
                Key::Pause => looks.is_held = !looks.is_held,
                Key::Sort => looks.is_sorted = !looks.is_sorted,
                _ => continue,
            }
            show(args, screen, looks);
        }
    }
}

fn show(args: &TopArgs, screen: Option<&Screen>, looks: &Looks) {
    let Some(picture) = &looks.picture else { return };
    match screen {
        Some(screen) => {
            let Size { width, height } = screen.size();
            let keys = screen.has_keys().then(|| keys_line(looks));
            let room = Size {
                width,
                height: height.map(|height| height.saturating_sub(usize::from(keys.is_some()))),
            };
            let sorted = looks.is_sorted.then(|| picture.clone().sorted());
            let picture = sorted.as_ref().unwrap_or(picture);
            let mut lines = top_lines(picture, &args.endpoint, room, screen.style());
            lines.extend(keys.map(|keys| keys.chars().take(width).collect()));
            screen.draw(&lines);
        }
        None if args.json => output::show_line(format_args!("{}", picture.as_json())),
        None => {
            let lines = top_lines(picture, &args.endpoint, scrolling(), Style::of_stdout());
            output::show_line(format_args!("{}{}", lines.join("\n"), if args.once { "" } else { "\n" }));
        }
    }
}

fn keys_line(looks: &Looks) -> String {
    let held = if looks.is_held { "held still; " } else { "" };
    let order = if looks.is_sorted { "by name" } else { "by rate" };
    format!("{held}keys: q ends it, s sorts {order}, space holds it still")
}

/// What an engine says now.
fn look(endpoint: &str) -> Result<(Instant, Vec<Sample>), String> {
    let page = fetch(endpoint)?;
    let at = Instant::now();
    let samples = parse(&page).map_err(|error| format!("{endpoint} does not show metrics: {error}"))?;
    if !samples.iter().any(|sample| sample.name.starts_with("aldis_")) {
        return Err(format!("{endpoint} shows metrics, but not those of Aldis"));
    }
    Ok((at, samples))
}

/// One page over HTTP/1.0: nobody then sends it in pieces.
fn fetch(endpoint: &str) -> Result<String, String> {
    let authority = endpoint.strip_prefix("http://").unwrap_or(endpoint);
    if authority.contains("://") {
        return Err(format!("{endpoint}: write http://HOST:PORT; nothing else is spoken"));
    }
    let authority = authority.trim_end_matches('/').trim_end_matches("/metrics");
    let failed = |error: std::io::Error| {
        format!(
            "nothing answers at {endpoint}: {error}; `aldis serve -c FILE` shows metrics at 127.0.0.1:8888, `--metrics` elsewhere"
        )
    };
    let address = authority.to_socket_addrs().map_err(failed)?.next();
    let address = address.ok_or_else(|| format!("{endpoint} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {authority}\r\nAccept: text/plain\r\n\r\n")
        .map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(MAX_PAGE_BYTES).read_to_end(&mut answer).map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| format!("{endpoint} does not speak HTTP"))?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(format!("{endpoint} answers `{}`", head.lines().next().unwrap_or_default())),
    }
}
