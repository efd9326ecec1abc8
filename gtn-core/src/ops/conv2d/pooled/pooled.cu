// A convolution of images of one channel with weights (outputs, 3, 3), and the largest of each window of what it gives,
// which is never written. Winners are places in a window, in reading order.

constexpr int TAPS = 9;

// As in cuda.rs: the images; the map that the convolution gives, and what pooling makes of it; the window, and how far
// the first window and the first patch begin before the map and the image.
struct PooledConv {
    int height, width, map_h, map_w, channels, out_h, out_w, kernel, stride, before, pad_h, pad_w;
    __device__ Axis axis() const { return {kernel, stride, before}; }
    // A pixel of an image, or of the zeros around it.
    __device__ Real pixel(const Real *image, int y, int x) const {
        return y >= 0 && y < height && x >= 0 && x < width ? image[y * width + x] : Real(0);
    }
    // Where the patch begins that an output took.
    __device__ int top(int y, int place) const { return axis().pixel(y, row(place)) - pad_h; }
    __device__ int left(int x, int place) const { return axis().pixel(x, place - row(place) * kernel) - pad_w; }
    // Windows have three rows at most, which spares a division.
    __device__ int row(int place) const { return (place >= kernel) + (place >= 2 * kernel); }
};

// A thread's outputs: a few beside each other, of some channels. They share the weights that it has read.
struct Strip {
    static constexpr int OUTPUTS = 7;
    int image, y, first, last, channel;
    __device__ Strip(int i, const PooledConv &g) {
        channel = divided(i, g.channels);
        first = divided(i, (g.out_w + OUTPUTS - 1) / OUTPUTS) * OUTPUTS, last = min(first + OUTPUTS, g.out_w);
        y = divided(i, g.out_h), image = i;
    }
    __device__ int output(const PooledConv &g, int x) const {
        return ((image * g.out_h + y) * g.out_w + x) * g.channels + channel;
    }
};

// The weights of W channels, which lie one after the other.
template <int W> struct Weights {
    Lanes<W> all[TAPS];
    __device__ explicit Weights(const Real *w) {
        for (int i = 0; i < TAPS; i++) all[i] = Lanes<W>::at(w + i * W);
    }
    __device__ Real at(int k, int tap) const { return all[(k * TAPS + tap) / W].of[(k * TAPS + tap) % W]; }
};

template <int KERNEL_SIDE, int W>
__device__ inline void pooled_conv(const Real *x, const Real *w, Real *y, unsigned char *winner, const PooledConv &g,
                                   int i) {
    constexpr int SIDE = KERNEL_SIDE + 2;
    const Strip strip(i, g);
    const Weights<W> weights(w + strip.channel * TAPS);
    const Real *image = x + strip.image * g.height * g.width;
    const Axis axis = g.axis();
    const int top = axis.first(strip.y), bottom = axis.last(strip.y, g.map_h);
    for (int across = strip.first; across < strip.last; across++) {
        // What the convolution sees of a window.
        Real seen[SIDE][SIDE];
#pragma unroll
        for (int row = 0; row < SIDE; row++)
#pragma unroll
            for (int column = 0; column < SIDE; column++)
                seen[row][column] =
                    g.pixel(image, axis.pixel(strip.y, row) - g.pad_h, axis.pixel(across, column) - g.pad_w);
        const int left = axis.first(across), right = axis.last(across, g.map_w);
        Lanes<W> best;
        Lanes<W, unsigned char> place;
        for (int k = 0; k < W; k++) best.of[k] = -Real(INFINITY), place.of[k] = top * KERNEL_SIDE + left;
#pragma unroll
        for (int row = 0; row < KERNEL_SIDE; row++)
#pragma unroll
            for (int column = 0; column < KERNEL_SIDE; column++) {
                if (row < top || row >= bottom || column < left || column >= right) continue;
#pragma unroll
                for (int k = 0; k < W; k++) {
                    Real v = 0;
#pragma unroll
                    for (int tap = 0; tap < TAPS; tap++) v += weights.at(k, tap) * seen[row + tap / 3][column + tap % 3];
                    if (v > best.of[k] || v != v) best.of[k] = v, place.of[k] = row * KERNEL_SIDE + column;
                }
            }
        const int to = strip.output(g, across);
        best.to(y + to);
        place.to(winner + to);
    }
}

KERNEL(pooled_conv)(int n, int lanes, const Real *x, const Real *w, Real *y, unsigned char *winner, PooledConv g) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        g.kernel == 3 ? pooled_conv<3, W>(x, w, y, winner, g, i) : pooled_conv<2, W>(x, w, y, winner, g, i);
    });
}

// Another convolution, where pooling took the output of the first.
KERNEL(pooled_conv_taken)(int n, int lanes, const Real *x, const Real *w, const unsigned char *winner, Real *y,
                          PooledConv g) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Strip strip(i, g);
        const Weights<W> weights(w + strip.channel * TAPS);
        const Real *image = x + strip.image * g.height * g.width;
        for (int across = strip.first; across < strip.last; across++) {
            const int to = strip.output(g, across);
            const auto place = Lanes<W, unsigned char>::at(winner + to);
            Lanes<W> taken = {};
#pragma unroll
            for (int k = 0; k < W; k++) {
                const int top = g.top(strip.y, place.of[k]), left = g.left(across, place.of[k]);
#pragma unroll
                for (int tap = 0; tap < TAPS; tap++)
                    taken.of[k] += weights.at(k, tap) * g.pixel(image, top + tap / 3, left + tap % 3);
            }
            taken.to(y + to);
        }
    });
}

// The adjoint of the weights, each part's share: (parts, taps, channels).
KERNEL(pooled_conv_weights)(int rows, const Real *x, const Real *gy, const unsigned char *winner, Real *partial, int parts,
                            PooledConv g) {
    sum_columns<TAPS>(rows, g.channels, parts, partial, [=](int i, int, Real (&sums)[TAPS]) {
        const Place out(i, g.out_h, g.out_w, g.channels);
        const Real *image = x + out.image * g.height * g.width;
        const int top = g.top(out.y, winner[i]), left = g.left(out.x, winner[i]);
#pragma unroll
        for (int tap = 0; tap < TAPS; tap++) sums[tap] += gy[i] * g.pixel(image, top + tap / 3, left + tap % 3);
    });
}

// The parts added up, as weights (channels, taps).
KERNEL(pooled_conv_weights_total)(int columns, const Real *partial, Real *w, int parts, int channels) {
    total_columns(columns, parts, partial,
                  [=](int i, Real sum) { w[i % channels * TAPS + i / channels] = sum; });
}

// The adjoints of patches of one channel (pixels of the map, taps), over one pair or two of the outputs' adjoint and
// weights (taps, channels). Threads share a pixel: each takes some of its channels.
constexpr int SHARERS = 16, PIXELS = BLOCK / SHARERS;

template <int W>
__device__ inline void add_taps(const Place &pixel, int sharer, const Real *gy, const Real *w, const Real *second,
                                const Real *second_w, const unsigned char *winner, const PooledConv &g,
                                Real (&sums)[TAPS]) {
    const Axis axis = g.axis();
    const Map map = {g.out_h, g.out_w, g.channels};
    for (int channel = sharer * W; channel < g.channels; channel += SHARERS * W) {
        Lanes<W> a = {}, b = {};
        outputs_that_see(pixel, axis, axis, g.out_h, g.out_w, [&](int y, int x, int row, int column) {
            const int from = map.at(pixel.image, y, x, channel);
            const auto place = Lanes<W, unsigned char>::at(winner + from);
            const Lanes<W> one = Lanes<W>::at(gy + from), two = second ? Lanes<W>::at(second + from) : Lanes<W>{};
            for (int k = 0; k < W; k++)
                if (place.of[k] == row * g.kernel + column) a.of[k] += one.of[k], b.of[k] += two.of[k];
        });
#pragma unroll
        for (int tap = 0; tap < TAPS; tap++) {
            const int from = tap * g.channels + channel;
            const Lanes<W> one = Lanes<W>::at(w + from), two = second ? Lanes<W>::at(second_w + from) : Lanes<W>{};
            for (int k = 0; k < W; k++) sums[tap] += one.of[k] * a.of[k] + two.of[k] * b.of[k];
        }
    }
}

KERNEL(pooled_conv_patches)(int n, int lanes, const Real *gy, const Real *w, const Real *second, const Real *second_w,
                            const unsigned char *winner, Real *rows, PooledConv g) {
    __shared__ Real shared[BLOCK / SHARERS * TAPS][SHARERS + 1];
    const int sharer = threadIdx.x % SHARERS, number = threadIdx.x / SHARERS, at = blockIdx.x * PIXELS + number;
    Real sums[TAPS] = {};
    if (at * TAPS < n) {
        const Place pixel(at, g.map_h, g.map_w, 1);
        lanes == 4 ? add_taps<4>(pixel, sharer, gy, w, second, second_w, winner, g, sums)
                   : add_taps<1>(pixel, sharer, gy, w, second, second_w, winner, g, sums);
    }
    for (int tap = 0; tap < TAPS; tap++) shared[number * TAPS + tap][sharer] = sums[tap];
    __syncthreads();
    const int i = threadIdx.x, to = blockIdx.x * PIXELS * TAPS + i;
    if (i >= PIXELS * TAPS || to >= n) return;
    Real sum = 0;
    for (int k = 0; k < SHARERS; k++) sum += shared[i][k];
    rows[to] = sum;
}
