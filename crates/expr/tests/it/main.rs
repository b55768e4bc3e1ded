//! What the language promises, held against scripts, against another implementation, and against noise.

mod noise;
mod record;
mod script;
