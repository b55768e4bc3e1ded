//! A real tool (`examples/tool.rs`), run as its users run it.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod consent;
mod decisions;
mod detached;
mod networks;
mod own;
mod own_network;
mod pinned;
mod places;
mod privacy;
mod receiver;
mod tool;
