//! The collector from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod counts;
mod filing;
mod flushing;
mod forking;
mod logging;
mod naming;
mod patterns;
mod reducing;
mod scenes;
mod storm;
mod subscribing;
