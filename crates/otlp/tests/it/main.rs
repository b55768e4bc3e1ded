//! What arrives is read as prost reads it.

mod agreement;
mod batches;
mod compare;
mod corpus;
mod cuts;
mod descriptors;
mod edits;
mod entropy;
mod hipstershop;
mod json;
mod oracle;
mod points;
mod rewire;
mod room;
