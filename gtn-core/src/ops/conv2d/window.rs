//! Images with a border, so that kernels need not ask where they are.

use crate::cpu::Float;
use std::borrow::Cow;

/// An image `(height, width, channels)` inside a larger one: `top` rows and
/// `left` columns of zeros before it, zeros after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) top: usize,
    pub(super) left: usize,
    /// Rows of the larger image. Rows of the image beyond are left out.
    pub(super) rows: usize,
    /// Columns of the larger image. Columns of the image beyond are left out.
    pub(super) columns: usize,
}

impl Window {
    /// Elements of the larger image.
    pub(super) fn len(&self) -> usize {
        self.rows * self.columns * self.channels
    }

    /// Whether the image is all of the larger one.
    pub(super) fn is_whole(&self) -> bool {
        (self.top, self.left) == (0, 0) && (self.rows, self.columns) == (self.height, self.width)
    }

    /// Where the rows of the image lie in it and in the larger image, and how long they are.
    fn runs(self) -> impl Iterator<Item = (usize, usize, usize)> {
        let columns = self.width.min(self.columns.saturating_sub(self.left));
        let rows = self.height.min(self.rows.saturating_sub(self.top));
        // Wide padding may leave none of the image: its rows would start beyond the larger one.
        (0..if columns == 0 { 0 } else { rows }).map(move |y| {
            let inner = y * self.width * self.channels;
            let outer = ((y + self.top) * self.columns + self.left) * self.channels;
            (inner, outer, columns * self.channels)
        })
    }

    /// The larger image: `image` itself where there is no border, else a copy.
    pub(super) fn framed<T: Float>(self, image: &[T]) -> Cow<'_, [T]> {
        if self.is_whole() {
            return Cow::Borrowed(image);
        }
        let mut larger = Vec::with_capacity(self.len());
        for (inner, outer, len) in self.runs() {
            larger.resize(outer, T::zero());
            larger.extend_from_slice(&image[inner..inner + len]);
        }
        larger.resize(self.len(), T::zero());
        Cow::Owned(larger)
    }

    /// Copies the image out of the larger one into `image`, all zeros; what was left out stays so.
    pub(super) fn unframe<T: Float>(self, larger: &[T], image: &mut [T]) {
        for (inner, outer, len) in self.runs() {
            image[inner..inner + len].copy_from_slice(&larger[outer..outer + len]);
        }
    }
}
