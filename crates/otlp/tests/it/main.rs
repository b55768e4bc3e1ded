//! What arrives is read as prost reads it.

mod compare;
mod hipstershop;
