//! A trace, drawn as a tree with a bar for each span.

use operators::summary::{Branch, Tree};

use super::{
    Style,
    line::{Line, Paint},
    text::duration,
};

/// Columns of a duration.
const DURATION: usize = 9;

/// A heading and as many spans as there are lines for.
pub(super) fn lines(tree: &Tree, rows: usize, width: usize, style: Style) -> Vec<String> {
    let mut lines = vec![heading(tree, width, style)];
    let label = (width / 2).clamp(30.min(width), 76);
    let guides = guides(&tree.branches);
    let shown = rows.saturating_sub(1).min(tree.branches.len());
    for (branch, guide) in tree.branches.iter().zip(&guides).take(shown) {
        let mut line = Line::new(width, style);
        let name = format!("{guide}{} {}", branch.service, branch.name);
        let paint = if branch.error { Paint::Bad } else { Paint::Plain };
        line.left(paint, &name, label).right(paint, &duration(branch.duration_ns), DURATION);
        if branch.error {
            line.put(Paint::Bad, " ! ");
        } else {
            line.put(Paint::Plain, "   ");
        }
        bar(&mut line, tree, branch, width.saturating_sub(label + DURATION + 3));
        lines.push(line.finish());
    }
    let rest = tree.branches.len() - shown;
    if rest > 0 && shown > 0 {
        lines.pop();
        let mut line = Line::new(width, style);
        line.put(Paint::Dim, &format!("   and {} more spans", rest + 1));
        lines.push(line.finish());
    }
    lines
}

fn heading(tree: &Tree, width: usize, style: Style) -> String {
    let mut services: Vec<&str> = tree.branches.iter().map(|branch| &*branch.service).collect();
    services.sort_unstable();
    services.dedup();
    let mut line = Line::new(width, style);
    line.put(Paint::Bold, "A TRACE");
    if tree.failed() {
        line.put(Paint::Bad, " · failed");
    }
    let (spans, services) = (tree.branches.len(), services.len());
    let took = duration(tree.duration_ns);
    line.put(Paint::Dim, &format!(" · {took} · {spans} spans of {services} services · █ what it waited for"));
    line.put(Paint::Dim, &format!(" · {}", tree.trace_id));
    line.finish()
}

/// What stands in front of each span's name.
fn guides(branches: &[Branch]) -> Vec<String> {
    let mut is_last = vec![true; branches.len()];
    let mut last_child: Vec<Option<usize>> = vec![None; branches.len()];
    for (i, branch) in branches.iter().enumerate() {
        if let Some(parent) = branch.parent
            && let Some(before) = last_child[parent].replace(i)
        {
            is_last[before] = false;
        }
    }
    // The guides of a span's children begin with what its own leaves behind.
    let mut behind: Vec<String> = Vec::with_capacity(branches.len());
    let mut guides = Vec::with_capacity(branches.len());
    for (i, branch) in branches.iter().enumerate() {
        let Some(parent) = branch.parent else {
            behind.push(String::new());
            guides.push(if branch.is_orphan { "… ".to_owned() } else { String::new() });
            continue;
        };
        let above = behind[parent].clone();
        guides.push(format!("{above}{}", if is_last[i] { "└─ " } else { "├─ " }));
        behind.push(format!("{above}{}", if is_last[i] { "   " } else { "│  " }));
    }
    guides
}

/// When it was, within the trace.
fn bar(line: &mut Line, tree: &Tree, branch: &Branch, width: usize) {
    if width < 4 {
        return;
    }
    let whole = tree.duration_ns.max(1) as f64;
    let column = |ns: u64| ((ns as f64 / whole) * width as f64) as usize;
    let begin = column(branch.offset_ns).min(width - 1);
    let end = column(branch.offset_ns + branch.duration_ns).clamp(begin + 1, width);
    let waited_for = branch.critical_ns > 0;
    let paint = match (branch.error, waited_for) {
        (true, _) => Paint::Bad,
        (false, true) => Paint::Accent,
        (false, false) => Paint::Dim,
    };
    let block = if waited_for { "█" } else { "░" };
    line.put(Paint::Plain, &" ".repeat(begin)).put(paint, &block.repeat(end - begin));
}
