//! What can stand in a configuration, written out: for readers as Markdown, for editors as a JSON Schema.
//!
//! Both are derived from the rows by which files are read, and from nothing else.

mod markdown;
mod schema;

pub use markdown::markdown;
pub use schema::schema;

#[cfg(test)]
mod tests;
