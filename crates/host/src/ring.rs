//! The last frames of an episode.

use crate::frame::TelemetryFrame;

/// A fixed number of frames; a further one takes the place of the oldest, which is counted. Its memory is taken once.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    frames: Vec<TelemetryFrame>,
    capacity: usize,
    /// Where the oldest is, once it is full.
    oldest: usize,
    overwritten: u64,
}

impl Ring {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { frames: Vec::with_capacity(capacity), capacity, oldest: 0, overwritten: 0 }
    }

    pub(crate) fn push(&mut self, frame: TelemetryFrame) {
        if self.frames.len() < self.capacity {
            self.frames.push(frame);
        } else if let Some(place) = self.frames.get_mut(self.oldest) {
            *place = frame;
            self.oldest = (self.oldest + 1) % self.capacity;
            self.overwritten += 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TelemetryFrame> {
        let (newer, older) = self.frames.split_at(self.oldest);
        older.iter().chain(newer)
    }

    pub(crate) fn overwritten(&self) -> u64 {
        self.overwritten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EpisodeId;

    #[test]
    fn the_oldest_goes_and_is_counted() {
        for capacity in 1..6_u64 {
            let mut ring = Ring::with_capacity(capacity as usize);
            let memory = ring.frames.capacity();
            for seq in 0..20 {
                ring.push(TelemetryFrame::builder(EpisodeId::from_u128(1), seq).build());
                let kept: Vec<u64> = ring.iter().map(|frame| frame.seq).collect();
                let expected: Vec<u64> = ((seq + 1).saturating_sub(capacity)..=seq).collect();
                assert_eq!(kept, expected);
                assert_eq!(ring.overwritten() + kept.len() as u64, seq + 1);
            }
            assert_eq!(ring.frames.capacity(), memory);
        }
    }
}
