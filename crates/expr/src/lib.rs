//! Typed expressions in CEL syntax.
