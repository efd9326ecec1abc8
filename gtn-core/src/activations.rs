//! Activations that are kept between the sweep forward and the sweep back.

/// What becomes of a step's activations between the sweep forward and the sweep back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// They go, and are computed again: memory grows with the number of
    /// steps only by parameters, optimizer state and batch, and where a step is one of Adam or RMSProp by its gradient.
    Recompute,
    /// They are kept while they fit into so many bytes. The results are the same bits.
    KeepWithin {
        /// The budget for all steps together.
        bytes: usize,
    },
}

impl Default for Activations {
    /// Kept within 896 MiB.
    fn default() -> Self {
        Self::KeepWithin { bytes: 896 << 20 }
    }
}

/// Bytes that are left of the budget of [`Activations`], for the learner and the teacher together.
#[derive(Debug)]
pub struct Room(usize);

impl Room {
    /// For nothing.
    #[must_use]
    pub fn none() -> Self {
        Self(0)
    }

    /// Whether there is any left.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.0 > 0
    }

    /// Takes so many bytes if they are left, and says whether they were. If not, no later step takes any either.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        let left = if self.is_left() { self.0.checked_sub(bytes) } else { None };
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

impl From<Activations> for Room {
    fn from(activations: Activations) -> Self {
        match activations {
            Activations::Recompute => Self::none(),
            Activations::KeepWithin { bytes } => Self(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_ends_it() {
        let mut room = Room::from(Activations::KeepWithin { bytes: 10 });
        assert!(room.take(7) && room.is_left());
        assert!(!room.take(4) && !room.is_left());
        assert!(!room.take(1));
        assert!(!Room::from(Activations::Recompute).take(0));
        assert!(Room::from(Activations::KeepWithin { bytes: 3 }).take(3));
    }
}
