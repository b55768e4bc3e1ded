//! What arrives is read as prost reads it.

mod agreement;
mod compare;
mod cuts;
mod edits;
mod entropy;
mod hipstershop;
mod oracle;
mod rewire;
