//! A running engine seen from outside: its page of metrics, and what two of them say.

mod exposition;
mod picture;

pub(crate) use exposition::{Sample, parse};
pub(crate) use picture::{Pages, Picture, Row};
