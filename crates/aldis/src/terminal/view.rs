//! How a summary is shown: in place, line after line, or for programs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Scene, Screen, Style, lines, scrolling};
use crate::report;

/// From one picture to the next on a terminal.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);

/// From one summary to the next where there is no terminal.
const SCROLLING_PERIOD: Duration = Duration::from_secs(5);

/// Where a summary is shown.
pub(crate) enum View {
    /// On a terminal, in place.
    Live(Screen),
    /// On standard output, again and again.
    Scrolling(Instant),
    /// The same as JSON, an object on each line.
    Json(Instant),
}

impl View {
    /// What suits standard output.
    pub(crate) fn open(json: bool) -> View {
        let next = Instant::now() + SCROLLING_PERIOD;
        match json {
            true => View::Json(next),
            false => Screen::open().map_or(View::Scrolling(next), View::Live),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self, View::Live(_))
    }

    /// Shows it, if it is time to. Called every [`PERIOD`].
    pub(crate) fn show(&mut self, scene: impl FnOnce() -> Scene) {
        match self {
            View::Live(screen) => screen.draw(&lines(&scene(), screen.size(), screen.style())),
            View::Scrolling(next) if *next <= Instant::now() => {
                *next += SCROLLING_PERIOD;
                print(&scene());
            }
            View::Json(next) if *next <= Instant::now() => {
                *next += SCROLLING_PERIOD;
                let scene = scene();
                let summary = report::summary_as_json(&scene.seen);
                println!("{}", json!({"event": "summary", "news": scene.news, "summary": summary}));
            }
            View::Scrolling(_) | View::Json(_) => {}
        }
    }
}

/// Writes a picture to standard output, as long as it is.
pub(crate) fn print(scene: &Scene) {
    println!("{}\n", lines(scene, scrolling(), Style::of_stdout()).join("\n"));
}
