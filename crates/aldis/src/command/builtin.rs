//! The configuration that needs no file.

use engine::{Checked, Graph};

const TEXT: &str = include_str!("../builtin.yaml");

/// Its graph, listening on these addresses.
pub(super) fn graph(grpc: &str, http: &str) -> Graph {
    checked(grpc, http).graph
}

fn checked(grpc: &str, http: &str) -> Checked {
    engine::check(TEXT, &|name| match name {
        "GRPC" => Some(grpc.to_owned()),
        "HTTP" => Some(http.to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn there_is_nothing_wrong_with_it() {
        let checked = checked("127.0.0.1:4317", "[::1]:0");
        let problems: Vec<&str> = checked.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!((problems, checked.graph.pipelines.len()), (vec![], 4));
    }
}
