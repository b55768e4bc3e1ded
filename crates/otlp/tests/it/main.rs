//! What arrives is read as prost reads it.

mod agreement;
mod compare;
mod entropy;
mod hipstershop;
mod rewire;
