// What kernels share. Feature maps have their channels last, sizes are ints, and no sum depends on
// which thread is first: the same input gives the same bits.

// This thread's number among those of all blocks.
__device__ inline int thread() { return blockIdx.x * BLOCK + threadIdx.x; }

// `v[i]`, or zero where there is no `v`.
__device__ inline Real at(const Real *v, int i) { return v ? v[i] : Real(0); }

// Adds up K values over the threads of a block: every thread gets the sums.
template <int K> __device__ void add_up(Real (&values)[K]) {
    __shared__ Real shared[K][BLOCK];
    for (int k = 0; k < K; k++) shared[k][threadIdx.x] = values[k];
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            for (int k = 0; k < K; k++) shared[k][threadIdx.x] += shared[k][threadIdx.x + half];
        __syncthreads();
    }
    for (int k = 0; k < K; k++) values[k] = shared[k][0];
    __syncthreads();
}

// Sums over the rows of matrices go by tiles of so many columns, with so many rows at a time.
constexpr int TILE = 32;
constexpr int LINES = BLOCK / TILE;

// What a block of column sums works on: blocks are numbered by part (and group), then by tile.
struct Tile {
    int part, column, line;
    __device__ Tile(int columns) {
        const int tiles = (columns + TILE - 1) / TILE;
        part = blockIdx.x / tiles;
        column = blockIdx.x % tiles * TILE + threadIdx.x % TILE;
        line = threadIdx.x / TILE;
    }
};

// K sums over one part of the rows of each column: `add(element, column, sums)` adds an element's
// share. The parts' sums, times `scale`, go to `partial (parts, K, columns)`. With several groups, each part is gone
// over once for each: the sums of `partial (parts, groups, K, columns)`.
template <int K, typename F>
__device__ void sum_columns(int rows, int columns, int parts, Real *partial, F add, Real scale = 1, int groups = 1) {
    __shared__ Real shared[K][LINES][TILE];
    const Tile at(columns);
    Real sums[K];
    for (int k = 0; k < K; k++) sums[k] = 0;
    if (at.column < columns)
        for (int row = at.part / groups * LINES + at.line; row < rows; row += parts * LINES)
            add(row * columns + at.column, at.column, sums);
    for (int k = 0; k < K; k++) shared[k][at.line][threadIdx.x % TILE] = sums[k];
    __syncthreads();
    if (at.line > 0 || at.column >= columns) return;
    for (int k = 0; k < K; k++) {
        Real sum = 0;
        for (int line = 0; line < LINES; line++) sum += shared[k][line][threadIdx.x % TILE];
        partial[(at.part * K + k) * columns + at.column] = scale * sum;
    }
}

// The sum of each column of `partial (parts, columns)`: `done(column, sum)` takes it.
template <typename F> __device__ void total_columns(int columns, int parts, const Real *partial, F done) {
    __shared__ Real shared[LINES][TILE];
    const Tile at(columns);
    Real sum = 0;
    if (at.column < columns)
        for (int part = at.line; part < parts; part += LINES) sum += partial[part * columns + at.column];
    shared[at.line][threadIdx.x % TILE] = sum;
    __syncthreads();
    if (at.line > 0 || at.column >= columns) return;
    sum = 0;
    for (int line = 0; line < LINES; line++) sum += shared[line][threadIdx.x % TILE];
    done(at.column, sum);
}

// So many channels of a pixel, read and written at once.
template <int W, typename T = Real> struct alignas(W * sizeof(T)) Lanes {
    T of[W];
    static __device__ const Lanes &at(const T *from) { return *reinterpret_cast<const Lanes *>(from); }
    __device__ void to(T *where) const { *reinterpret_cast<Lanes *>(where) = *this; }
    __device__ void operator+=(const Lanes &other) {
        for (int k = 0; k < W; k++) of[k] += other.of[k];
    }
};

// A number of lanes as a type.
template <int N> struct Width {
    static constexpr int W = N;
};

template <int W, typename F> __device__ inline void group(int n, F f) {
    const int i = thread() * W;
    if (i < n) f(Width<W>(), i);
}

// Calls `f` with the width that the host chose (4, or 1 where channels or memory do not allow that), and with the first
// of as many elements, of n, as are this thread's.
template <typename F> __device__ inline void by_lanes(int n, int lanes, F f) {
    lanes == 4 ? group<4>(n, f) : group<1>(n, f);
}

// `a / b` and what is left, neither negative. Numbers of channels and strides are mostly powers of two, which spares
// the division.
__device__ inline int quotient(int a, int b) { return (b & (b - 1)) == 0 ? a >> (31 - __clz(b)) : a / b; }

__device__ inline int residue(int a, int b) { return (b & (b - 1)) == 0 ? a & (b - 1) : a % b; }

// Leaves the quotient in `a`; returns the remainder.
__device__ inline int divided(int &a, int b) {
    const int all = a;
    a = quotient(a, b);
    return all - a * b;
}

// A pixel of a feature map and a channel, from the number of an element.
struct Place {
    int image, y, x, channel;
    __device__ Place(int i, int height, int width, int channels) {
        channel = divided(i, channels);
        x = divided(i, width);
        y = divided(i, height), image = i;
    }
};

// A feature map's sizes: where an element of it lies.
struct Map {
    int height, width, channels;
    __device__ int at(int image, int y, int x, int channel) const {
        return ((image * height + y) * width + x) * channels + channel;
    }
};

// A window that slides along an axis: its outputs lie `stride` apart, the first `before` the image.
struct Axis {
    int kernel, stride, before;
    // The pixel at a place of an output's window.
    __device__ int pixel(int output, int place) const { return output * stride + place - before; }
    // The first place of an output's window that is inside the image, and the one past the last.
    __device__ int first(int output) const { return max(0, -pixel(output, 0)); }
    __device__ int last(int output, int size) const { return min(kernel, size - pixel(output, 0)); }
    // The first output that sees a pixel, and the last.
    __device__ int oldest(int pixel) const {
        const int from = pixel + before - kernel + 1;
        return from > 0 ? quotient(from + stride - 1, stride) : 0;
    }
    __device__ int newest(int pixel, int outputs) const { return min(quotient(pixel + before, stride), outputs - 1); }
    // At which place of its window an output sees a pixel.
    __device__ int place(int pixel, int output) const { return pixel + before - output * stride; }
};

// Calls `f(y, x, row, column)` for every output `(y, x)` whose window sees a pixel at its place
// `(row, column)`, in the order of places.
template <typename F>
__device__ void outputs_that_see(const Place &pixel, Axis down, Axis across, int out_h, int out_w, F f) {
    const int top = down.oldest(pixel.y), left = across.oldest(pixel.x), right = across.newest(pixel.x, out_w);
    for (int y = down.newest(pixel.y, out_h); y >= top; y--)
        for (int x = right; x >= left; x--) f(y, x, down.place(pixel.y, y), across.place(pixel.x, x));
}
