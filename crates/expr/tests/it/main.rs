//! What the language promises, held against scripts, against another implementation, and against noise.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test that cannot go on fails")]

mod noise;
mod oracle;
mod page;
mod point;
mod record;
mod script;
