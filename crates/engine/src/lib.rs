//! A Collector-shaped file made into a running graph.
