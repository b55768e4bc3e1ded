//! The crate from outside: on files like the kernel's, and on the kernel.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod asking;
mod attached;
mod collecting;
mod episodes;
mod fixtures;
mod kernel;
mod naming;
mod places;
mod processes;
mod review_properties;
mod reviewer;
mod scopes;
mod scratch;
mod starting;
mod streaming;
