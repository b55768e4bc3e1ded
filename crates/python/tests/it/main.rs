//! The scenarios of `tests/parity`, which the tests of the Python package execute, too.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod archives;
mod collecting;
mod parity;
mod scripted;
