//! On a CPU: a group of channels at a time, for all outputs of an image, which stays in the first-level cache. The
//! adjoint of images goes channel by channel, as rows of pixels.

use super::{PooledConv2d, SIDE, TAPS};
use crate::Result;
use crate::cpu::{Float, parallel, vectorize};
use crate::ops::conv2d::geometry::Geometry;
use crate::ops::conv2d::window::Window;
use crate::ops::max_pool::{GROUP, largest};
use std::ops::Range;

/// As many numbers as a group has channels.
type Group<T> = [T; GROUP];

/// The weights of a group, tap by tap.
type Weights<T> = [Group<T>; TAPS];

/// What an output's window looks at of the map.
struct View {
    /// The places inside the map, in reading order, each with where its patch begins in the framed image.
    inside: Vec<(u8, usize)>,
    /// Where the patch of the first place begins; less than nothing where that is outside.
    corner: usize,
}

/// The sizes of both operations.
pub(super) struct Passes {
    /// Of an image in its frame of zeros.
    frame: Window,
    image: usize,
    batch: usize,
    channels: usize,
    images_per_part: usize,
    /// For each output of an image, in order.
    views: Vec<View>,
    /// From a window's first patch to that of each place.
    places: Vec<usize>,
    /// From a patch's first pixel to each tap's.
    taps: [usize; TAPS],
}

impl Passes {
    pub(super) fn new(op: &PooledConv2d, conv: &Geometry) -> Result<Self> {
        let [top, left] = conv.padding;
        let Geometry { height, width, out_h, out_w, .. } = *conv;
        let (rows, columns, side) = (out_h + 2, out_w + 2, op.pool.kernel);
        let offset = |place: usize, side: usize| place / side * columns + place % side;
        let places: Vec<_> = (0..side * side).map(|place| offset(place, side)).collect();
        let view = |window: Vec<(u8, usize)>| {
            let inside = window.into_iter().map(|(place, pixel)| (place, offset(pixel, out_w)));
            let inside: Vec<_> = inside.collect();
            let (first, patch) = inside[0];
            View { corner: patch.wrapping_sub(places[usize::from(first)]), inside }
        };
        Ok(Self {
            frame: Window { height, width, channels: 1, top, left, rows, columns },
            image: height * width,
            batch: conv.batch,
            channels: conv.out_channels,
            images_per_part: conv.images_per_part(),
            views: op.pool.windows((out_h, out_w))?.into_iter().map(view).collect(),
            places,
            taps: std::array::from_fn(|tap| offset(tap, SIDE)),
        })
    }

    /// Elements of an image's outputs.
    fn pooled(&self) -> usize {
        self.views.len() * self.channels
    }

    /// Image `n` in its frame.
    fn framed<'a, T: Float>(&self, x: &'a [T], n: usize) -> std::borrow::Cow<'a, [T]> {
        self.frame.framed(&x[n * self.image..][..self.image])
    }

    /// The channels of a group in an output's.
    fn range(&self, group: usize) -> Range<usize> {
        group * GROUP..self.channels.min((group + 1) * GROUP)
    }

    /// Weights `(channels, taps)` by groups.
    fn grouped<T: Float>(&self, w: &[T]) -> Vec<Weights<T>> {
        let mut groups = vec![[[T::zero(); GROUP]; TAPS]; self.channels.div_ceil(GROUP)];
        for (channel, taps) in w.as_chunks::<TAPS>().0.iter().enumerate() {
            for (tap, &w) in taps.iter().enumerate() {
                groups[channel / GROUP][tap][channel % GROUP] = w;
            }
        }
        groups
    }

    /// The maxima, and at which place of its window each was found.
    pub(super) fn forward<T: Float>(&self, x: &[T], w: &[T]) -> (Vec<T>, Vec<u8>) {
        let groups = self.grouped(w);
        let pooled = self.pooled();
        let lens = (self.batch * pooled, self.batch * pooled);
        parallel::filled_two(lens, (pooled, pooled), &|n, y: &mut [T], winner: &mut [u8]| {
            let image = self.framed(x, n);
            vectorize(
                #[inline(always)]
                || {
                    for (group, weights) in groups.iter().enumerate() {
                        let range = self.range(group);
                        let outputs = y.chunks_exact_mut(self.channels);
                        let outputs = outputs.zip(winner.chunks_exact_mut(self.channels));
                        for ((y, winner), view) in outputs.zip(&self.views) {
                            let (best, place) = largest(
                                view.inside.iter().copied(),
                                #[inline(always)]
                                |patch| self.convolved(weights, &image[patch..]),
                            );
                            write(&mut y[range.clone()], &best);
                            write(&mut winner[range.clone()], &place);
                        }
                    }
                },
            );
        })
    }

    /// The sum over pairs of images and weights of the convolutions that won.
    pub(super) fn taken<T: Float>(&self, winner: &[u8], terms: &[(&[T], &[T])]) -> Vec<T> {
        let groups: Vec<_> = terms.iter().map(|(_, w)| self.grouped(w)).collect();
        let pooled = self.pooled();
        parallel::filled(self.batch * pooled, pooled, &|n, y| {
            let winner = &winner[n * pooled..][..pooled];
            for ((x, _), groups) in terms.iter().zip(&groups) {
                let image = self.framed(x, n);
                vectorize(
                    #[inline(always)]
                    || {
                        for (group, weights) in groups.iter().enumerate() {
                            let range = self.range(group);
                            let outputs = y.chunks_exact_mut(self.channels);
                            let outputs = outputs.zip(winner.chunks_exact(self.channels));
                            for ((y, winner), view) in outputs.zip(&self.views) {
                                let winner = places(&winner[range.clone()]);
                                let mut taken = [T::zero(); GROUP];
                                for &(place, patch) in &view.inside {
                                    let v = self.convolved(weights, &image[patch..]);
                                    choose(&mut taken, &winner, place, &v);
                                }
                                let y = &mut y[range.clone()];
                                let mut sum = read(y);
                                (0..GROUP).for_each(|k| sum[k] += taken[k]);
                                write(y, &sum);
                            }
                        }
                    },
                );
            }
        })
    }

    /// The adjoint of the weights `(channels, taps)`, over pairs of images and the outputs' adjoint.
    pub(super) fn weight_gradient<T: Float>(
        &self,
        winner: &[u8],
        terms: &[(&[T], &[T])],
    ) -> Vec<T> {
        let pooled = self.pooled();
        let parts = self.batch.div_ceil(self.images_per_part);
        let parts = parallel::map(parts, &|part| {
            let mut sums = self.grouped::<T>(&[]);
            let first = part * self.images_per_part;
            for n in first..self.batch.min(first + self.images_per_part) {
                let winner = &winner[n * pooled..][..pooled];
                for (x, gy) in terms {
                    let gy = &gy[n * pooled..][..pooled];
                    self.add_weights(&self.framed(x, n), winner, gy, &mut sums);
                }
            }
            sums
        });
        let mut out = vec![T::zero(); self.channels * TAPS];
        for groups in parts {
            for (i, out) in out.iter_mut().enumerate() {
                let (channel, tap) = (i / TAPS, i % TAPS);
                *out += groups[channel / GROUP][tap][channel % GROUP];
            }
        }
        out
    }

    /// Adds an image's share to the adjoint of the weights.
    fn add_weights<T: Float>(
        &self,
        image: &[T],
        winner: &[u8],
        gy: &[T],
        groups: &mut [Weights<T>],
    ) {
        vectorize(
            #[inline(always)]
            || {
                for (group, to) in groups.iter_mut().enumerate() {
                    let range = self.range(group);
                    let mut sums = *to;
                    let outputs = gy.chunks_exact(self.channels);
                    let outputs = outputs.zip(winner.chunks_exact(self.channels));
                    for ((gy, winner), view) in outputs.zip(&self.views) {
                        let (gy, winner) =
                            (read(&gy[range.clone()]), places(&winner[range.clone()]));
                        for &(place, patch) in &view.inside {
                            let mut g = [T::zero(); GROUP];
                            choose(&mut g, &winner, place, &gy);
                            for (sum, x) in sums.iter_mut().zip(self.patch(&image[patch..])) {
                                add_multiple(sum, x, &g);
                            }
                        }
                    }
                    *to = sums;
                }
            },
        );
    }

    /// The adjoint of the images, over pairs of the outputs' adjoint and weights.
    pub(super) fn input_gradient<T: Float>(&self, winner: &[u8], terms: &[(&[T], &[T])]) -> Vec<T> {
        let (pooled, len) = (self.pooled(), self.frame.len());
        // A patch's last pixel is so far behind its first.
        let reach = self.taps[TAPS - 1];
        parallel::filled(self.batch * self.image, self.image, &|n, gx| {
            let winner = &winner[n * pooled..][..pooled];
            let (mut framed, mut map) = (vec![T::zero(); len], vec![T::zero(); reach + len]);
            for (gy, w) in terms {
                let gy = &gy[n * pooled..][..pooled];
                for (channel, w) in w.as_chunks::<TAPS>().0.iter().enumerate() {
                    map.fill(T::zero());
                    self.put_back(channel, winner, gy, &mut map[reach..]);
                    let before = self.taps.map(|tap| &map[reach - tap..]);
                    vectorize(
                        #[inline(always)]
                        || add_taps(&mut framed, w, before),
                    );
                }
            }
            self.frame.unframe(&framed, gx);
        })
    }

    /// Adds the adjoints of a channel's outputs where they were won, in the order of patches.
    fn put_back<T: Float>(&self, channel: usize, winner: &[u8], gy: &[T], map: &mut [T]) {
        let outputs = gy.chunks_exact(self.channels).zip(winner.chunks_exact(self.channels));
        for ((gy, winner), view) in outputs.zip(&self.views) {
            map[view.corner.wrapping_add(self.places[usize::from(winner[channel])])] += gy[channel];
        }
    }

    /// The patch that begins at the first of these pixels of a framed image.
    #[inline(always)]
    fn patch<T: Float>(&self, image: &[T]) -> [T; TAPS] {
        let row = |row| image[row * self.frame.columns..].first_chunk::<SIDE>();
        let rows: [_; SIDE] = std::array::from_fn(|i| row(i).expect("a patch is inside the frame"));
        std::array::from_fn(|tap| rows[tap / SIDE][tap % SIDE])
    }

    /// The convolution at that patch.
    #[inline(always)]
    fn convolved<T: Float>(&self, weights: &Weights<T>, image: &[T]) -> Group<T> {
        let mut sum = [T::zero(); GROUP];
        for (w, x) in weights.iter().zip(self.patch(image)) {
            add_multiple(&mut sum, x, w);
        }
        sum
    }
}

/// `sum += x·v`
#[inline(always)]
fn add_multiple<T: Float>(sum: &mut Group<T>, x: T, v: &Group<T>) {
    for k in 0..GROUP {
        sum[k] = v[k].mul_add(x, sum[k]);
    }
}

/// `sums += Σ w·pixels`
#[inline(always)]
fn add_taps<T: Float>(sums: &mut [T], w: &[T; TAPS], pixels: [&[T]; TAPS]) {
    let pixels = pixels.map(|pixels| &pixels[..sums.len()]);
    for (i, sum) in sums.iter_mut().enumerate() {
        for tap in 0..TAPS {
            *sum = w[tap].mul_add(pixels[tap][i], *sum);
        }
    }
}

/// As wide as a float of 32 bits, so that one comparison chooses.
#[inline(always)]
fn places(winner: &[u8]) -> Group<u32> {
    read(winner).map(u32::from)
}

/// Takes the values of the channels that a place won.
#[inline(always)]
fn choose<T: Float>(to: &mut Group<T>, winner: &Group<u32>, place: u8, values: &Group<T>) {
    let place = u32::from(place);
    for k in 0..GROUP {
        to[k] = if winner[k] == place { values[k] } else { to[k] };
    }
}

/// A group's numbers, and zeros where there are fewer.
#[inline(always)]
fn read<T: Copy + Default>(from: &[T]) -> Group<T> {
    from.first_chunk().copied().unwrap_or_else(|| {
        let mut all = [T::default(); GROUP];
        all[..from.len()].copy_from_slice(from);
        all
    })
}

/// The reverse: the first of these numbers, where there are fewer than a group's.
#[inline(always)]
fn write<T: Copy>(to: &mut [T], values: &Group<T>) {
    match to.first_chunk_mut() {
        Some(to) => *to = *values,
        None => to.copy_from_slice(&values[..to.len()]),
    }
}
