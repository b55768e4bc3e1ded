//! A thin facade over the libraries of Aldis.
