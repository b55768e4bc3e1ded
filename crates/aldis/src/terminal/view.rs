//! How a summary is shown: in place, line after line, or for programs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    Part, Scene, Screen, Style,
    keys::{HELP, Key},
    lines, scrolling,
};
use crate::{output, report};

/// From one picture to the next on a terminal.
const PERIOD: Duration = Duration::from_millis(250);

/// How soon a key is answered.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// From one summary to the next where there is no terminal.
const SCROLLING_PERIOD: Duration = Duration::from_secs(5);

/// Where a summary is shown.
pub(crate) enum View {
    /// On a terminal, in place.
    Live(Box<Live>),
    /// On standard output, again and again.
    Scrolling(Instant),
    /// The same as JSON, an object on each line.
    Json(Instant),
}

/// A summary on a terminal, and what whoever looks wants of it.
pub(crate) struct Live {
    screen: Screen,
    /// When to draw again.
    next: Instant,
    looks: Looks,
    /// The picture that is held still.
    held: Option<Scene>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Looks {
    /// The part that has all the room; `None`: each has its share.
    part: Option<Part>,
    is_held: bool,
    is_help: bool,
    /// Whether it is to end.
    is_over: bool,
}

impl Looks {
    fn after(self, key: Key) -> Looks {
        let parts = Part::ALL;
        let at = self.part.map_or(0, |part| part as usize + 1);
        let turned = |by: usize| (at + by) % (parts.len() + 1);
        let part = |at: usize| at.checked_sub(1).map(|at| parts[at]);
        match key {
            Key::Quit => Looks { is_over: true, ..self },
            Key::Help => Looks { is_help: !self.is_help, ..self },
            Key::Pause => Looks { is_held: !self.is_held, ..self },
            Key::Next => Looks { part: part(turned(1)), is_help: false, ..self },
            Key::Previous => Looks { part: part(turned(parts.len())), is_help: false, ..self },
            Key::Everything => Looks { part: None, is_help: false, ..self },
            // Its parts are sorted.
            Key::Sort => self,
        }
    }
}

impl View {
    /// What suits standard output.
    pub(crate) fn open(json: bool) -> View {
        let now = Instant::now();
        let next = now + SCROLLING_PERIOD;
        match json {
            true => View::Json(next),
            false => Screen::open().map_or(View::Scrolling(next), |screen| {
                View::Live(Box::new(Live { screen, next: now, looks: Looks::default(), held: None }))
            }),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self, View::Live(_))
    }

    /// Shows it, if it is time to. Called every [`TICK`]. Whether whoever looks wants it to end.
    pub(crate) fn show(&mut self, scene: impl FnOnce() -> Scene) -> bool {
        match self {
            View::Live(live) => return live.show(scene),
            View::Scrolling(next) if *next <= Instant::now() => {
                *next += SCROLLING_PERIOD;
                print(&scene());
            }
            View::Json(next) if *next <= Instant::now() => {
                *next += SCROLLING_PERIOD;
                let scene = scene();
                let summary = report::summary_as_json(&scene.seen);
                output::show_line(format_args!(
                    "{}",
                    json!({"event": "summary", "news": scene.news, "summary": summary})
                ));
            }
            View::Scrolling(_) | View::Json(_) => {}
        }
        output::has_no_reader()
    }
}

impl Live {
    fn show(&mut self, scene: impl FnOnce() -> Scene) -> bool {
        let before = self.looks;
        while let Some(key) = self.screen.key() {
            self.looks = self.looks.after(key);
        }
        let now = Instant::now();
        if self.looks != before || self.next <= now {
            self.next = now + PERIOD;
            self.draw(scene);
        }
        self.looks.is_over
    }

    fn draw(&mut self, scene: impl FnOnce() -> Scene) {
        let scene = match self.held.take().filter(|_| self.looks.is_held) {
            Some(held) => held,
            None => scene(),
        };
        let mut shown = scene.clone();
        shown.part = self.looks.part;
        if self.looks.is_held {
            shown.news.insert(0, "held still: space goes on".to_owned());
            self.held = Some(scene);
        }
        if self.looks.is_help {
            shown.help = HELP.iter().map(|(keys, what)| format!("{keys:12} {what}")).collect();
        }
        if self.screen.has_keys() {
            shown
                .hints
                .push("keys: q ends it, tab turns to one part, space holds it still, ? says more".to_owned());
        }
        self.screen.draw(&lines(&shown, self.screen.size(), self.screen.style()));
    }
}

/// Writes a picture to standard output, as long as it is.
pub(crate) fn print(scene: &Scene) {
    output::show_line(format_args!("{}\n", lines(scene, scrolling(), Style::of_stdout()).join("\n")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_turn_from_part_to_part_and_back() {
        let turned = |keys: &[Key]| keys.iter().fold(Looks::default(), |looks, key| looks.after(*key));
        assert_eq!(turned(&[Key::Next]).part, Some(Part::Services));
        assert_eq!(turned(&[Key::Next; 4]).part, Some(Part::Trace));
        assert_eq!(turned(&[Key::Next; 5]).part, None);
        assert_eq!(turned(&[Key::Previous]).part, Some(Part::Trace));
        assert_eq!(turned(&[Key::Next, Key::Previous]).part, None);
        assert_eq!(turned(&[Key::Next, Key::Everything]).part, None);
        assert!(turned(&[Key::Pause]).is_held && !turned(&[Key::Pause, Key::Pause]).is_held);
        assert!(turned(&[Key::Help]).is_help && !turned(&[Key::Help, Key::Next]).is_help);
        assert!(turned(&[Key::Quit]).is_over);
    }
}
