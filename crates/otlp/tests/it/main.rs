//! What arrives is read as prost reads it.

mod agreement;
mod batches;
mod compare;
mod corpus;
mod cuts;
mod edits;
mod entropy;
mod hipstershop;
mod oracle;
mod points;
mod rewire;
