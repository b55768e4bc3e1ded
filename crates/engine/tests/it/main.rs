//! The engine from outside.

mod configs;
