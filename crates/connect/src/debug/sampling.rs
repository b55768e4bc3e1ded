//! Which batches are shown.

/// So many batches of each second are shown, and of those that follow in it every so-manieth.
#[derive(Debug)]
pub(super) struct Sampling {
    initial: u64,
    thereafter: u64,
    second: u64,
    seen: u64,
}

impl Sampling {
    pub(super) fn new(initial: u64, thereafter: u64) -> Self {
        Self { initial, thereafter, second: 0, seen: 0 }
    }

    /// Whether the batch that comes now is shown.
    pub(super) fn shows(&mut self, now_ns: u64) -> bool {
        let second = now_ns / 1_000_000_000;
        if second != self.second {
            (self.second, self.seen) = (second, 0);
        }
        self.seen += 1;
        match self.seen.checked_sub(self.initial) {
            None | Some(0) => true,
            Some(further) => self.thereafter > 0 && further.is_multiple_of(self.thereafter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sampling;

    #[test]
    fn the_first_of_a_second_are_shown_and_then_some() {
        let shown = |initial, thereafter| {
            let mut sampling = Sampling::new(initial, thereafter);
            let at = |i: u64| i / 10 * 1_000_000_000 + i;
            (0..20).filter(|i| sampling.shows(at(*i))).collect::<Vec<_>>()
        };
        assert_eq!(shown(2, 1), (0..20).collect::<Vec<_>>());
        assert_eq!(shown(2, 3), [0, 1, 4, 7, 10, 11, 14, 17]);
        assert_eq!(shown(1, 0), [0, 10]);
        assert_eq!(shown(0, 5), [4, 9, 14, 19]);
    }
}
