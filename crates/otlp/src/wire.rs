//! Varints, tags and fields.
