//! Changes to attributes, fused into one forward copy.
