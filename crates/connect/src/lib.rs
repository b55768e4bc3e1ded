//! Protocols in and out.
