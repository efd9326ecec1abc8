// Winograd's convolution, stage by stage: mod.rs says what is computed, transform.rs how. Transformed tiles lie as
// (place, tile, channel), weights as (place, output, input); those of two terms beside or below each other.

constexpr double POINT_A = 5.0 / 8.0, POINT_B = 3.0 / 2.0;
constexpr Real A = POINT_A, B = POINT_B, A2 = POINT_A * POINT_A, B2 = POINT_B * POINT_B;
constexpr Real AT_ZERO = POINT_A * POINT_A * POINT_B * POINT_B;
constexpr Real AT_A = 2 * POINT_A * POINT_A * (POINT_A * POINT_A - POINT_B * POINT_B);
constexpr Real AT_B = 2 * POINT_B * POINT_B * (POINT_B * POINT_B - POINT_A * POINT_A);

// Transforms along an axis, of N values into M.
struct LiftInput {
    static constexpr int N = 6, M = 6;
    static __device__ void apply(const Real (&d)[N], Real (&v)[M]) {
        const Real even_a = d[4] - B2 * d[2], odd_a = A * d[3] - A * B2 * d[1];
        const Real even_b = d[4] - A2 * d[2], odd_b = B * d[3] - B * A2 * d[1];
        v[0] = d[4] - (A2 + B2) * d[2] + A2 * B2 * d[0];
        v[1] = even_a + odd_a, v[2] = even_a - odd_a;
        v[3] = even_b + odd_b, v[4] = even_b - odd_b;
        v[5] = d[5] - (A2 + B2) * d[3] + A2 * B2 * d[1];
    }
};

struct LiftOutput {
    static constexpr int N = 4, M = 6;
    static __device__ void apply(const Real (&y)[N], Real (&v)[M]) {
        const Real even_a = y[0] + A2 * y[2], odd_a = A * y[1] + A * A2 * y[3];
        const Real even_b = y[0] + B2 * y[2], odd_b = B * y[1] + B * B2 * y[3];
        v[0] = y[0], v[5] = y[3];
        v[1] = even_a + odd_a, v[2] = even_a - odd_a;
        v[3] = even_b + odd_b, v[4] = even_b - odd_b;
    }
};

struct LowerOutput {
    static constexpr int N = 6, M = 4;
    static __device__ void apply(const Real (&m)[N], Real (&y)[M]) {
        const Real sum_a = m[1] + m[2], odd_a = m[1] - m[2], sum_b = m[3] + m[4], odd_b = m[3] - m[4];
        y[0] = m[0] + (sum_a + sum_b);
        y[1] = A * odd_a + B * odd_b;
        y[2] = A2 * sum_a + B2 * sum_b;
        y[3] = m[5] + A * A2 * odd_a + B * B2 * odd_b;
    }
};

struct LiftKernel {
    static constexpr int N = 3, M = 6;
    static __device__ void apply(const Real (&w)[N], Real (&u)[M]) {
        const Real even_a = w[0] / AT_A + A2 / AT_A * w[2], odd_a = A / AT_A * w[1];
        const Real even_b = w[0] / AT_B + B2 / AT_B * w[2], odd_b = B / AT_B * w[1];
        u[0] = w[0] / AT_ZERO, u[5] = w[2];
        u[1] = even_a + odd_a, u[2] = even_a - odd_a;
        u[3] = even_b + odd_b, u[4] = even_b - odd_b;
    }
};

struct LowerKernel {
    static constexpr int N = 6, M = 3;
    static __device__ void apply(const Real (&u)[N], Real (&w)[M]) {
        const Real sum_a = u[1] + u[2], odd_a = u[1] - u[2], sum_b = u[3] + u[4], odd_b = u[3] - u[4];
        w[0] = u[0] / AT_ZERO + sum_a / AT_A + sum_b / AT_B;
        w[1] = A / AT_A * odd_a + B / AT_B * odd_b;
        w[2] = u[5] + A2 / AT_A * sum_a + B2 / AT_B * sum_b;
    }
};

// Reads a square of `read(row, column)`, transforms it along both axes, and hands on each `write(row, column, value)`.
template <typename T, typename Read, typename Write> __device__ inline void transformed(Read read, Write write) {
    Real half[T::N][T::M];
#pragma unroll
    for (int row = 0; row < T::N; row++) {
        Real values[T::N];
#pragma unroll
        for (int column = 0; column < T::N; column++) values[column] = read(row, column);
        T::apply(values, half[row]);
    }
#pragma unroll
    for (int column = 0; column < T::M; column++) {
        Real values[T::N], out[T::M];
#pragma unroll
        for (int row = 0; row < T::N; row++) values[row] = half[row][column];
        T::apply(values, out);
#pragma unroll
        for (int row = 0; row < T::M; row++) write(row, column, out[row]);
    }
}

// Where matrix `term` of `terms` matrices (rows, columns) has an element: beside or below the one before.
__device__ inline int joined(int row, int column, int rows, int columns, int term, int terms, bool below) {
    return (below ? term * rows + row : row * terms + term) * columns + column;
}

// Tiles of one feature map or two; the first tile lies `pad_h` above and `pad_w` left of the map.
template <typename T>
__device__ inline void lift_tiles(int n, const Real *x, const Real *second, Real *tiles, int height, int width,
                                  int channels, int down, int across, int pad_h, int pad_w, int terms, int below) {
    const int i = thread();
    if (i >= n) return;
    const int each = n / terms, term = i / each, count = each / channels;
    const Place tile(i % each, down, across, channels);
    const Map map = {height, width, channels};
    const Real *from = term ? second : x;
    const int top = 4 * tile.y - pad_h, left = 4 * tile.x - pad_w;
    const int to = joined(i % each / channels, tile.channel, count, channels, term, terms, below);
    transformed<T>(
        [=](int row, int column) {
            const int y = top + row, x = left + column;
            const bool inside = y >= 0 && y < height && x >= 0 && x < width;
            return inside ? from[map.at(tile.image, y, x, tile.channel)] : Real(0);
        },
        [=](int row, int column, Real v) { tiles[size_t(row * 6 + column) * n + to] = v; });
}

KERNEL(winograd_lift_input)(int n, const Real *x, const Real *second, Real *tiles, int height, int width, int channels,
                            int down, int across, int pad_h, int pad_w, int terms, int below) {
    lift_tiles<LiftInput>(n, x, second, tiles, height, width, channels, down, across, pad_h, pad_w, terms, below);
}

KERNEL(winograd_lift_output)(int n, const Real *gy, const Real *second, Real *tiles, int height, int width,
                             int channels, int down, int across, int pad_h, int pad_w, int terms, int below) {
    lift_tiles<LiftOutput>(n, gy, second, tiles, height, width, channels, down, across, pad_h, pad_w, terms, below);
}

KERNEL(winograd_lower_output)(int n, const Real *tiles, Real *y, int height, int width, int channels, int down,
                              int across) {
    const int i = thread();
    if (i >= n) return;
    const Place tile(i, down, across, channels);
    const Map map = {height, width, channels};
    transformed<LowerOutput>([=](int row, int column) { return tiles[size_t(row * 6 + column) * n + i]; },
                             [=](int row, int column, Real v) {
                                 const int at_y = 4 * tile.y + row, at_x = 4 * tile.x + column;
                                 if (at_y < height && at_x < width) y[map.at(tile.image, at_y, at_x, tile.channel)] = v;
                             });
}

// Weights (outputs, 3, 3, inputs), one or two; mirrored for the adjoint of images.
KERNEL(winograd_lift_kernel)(int n, const Real *w, const Real *second, Real *lifted, int inputs, int mirrored, int terms,
                             int below) {
    const int i = thread();
    if (i >= n) return;
    const int each = n / terms, term = i / each, input = i % inputs, output = i % each / inputs;
    const Real *from = (term ? second : w) + output * 9 * inputs + input;
    const int to = joined(output, input, each / inputs, inputs, term, terms, below);
    transformed<LiftKernel>(
        [=](int row, int column) {
            const int tap = row * 3 + column;
            return from[(mirrored ? 8 - tap : tap) * inputs];
        },
        [=](int row, int column, Real v) { lifted[size_t(row * 6 + column) * n + to] = v; });
}

// Of each place, the sum of `parts`. A block works on a few weights, as column sums do on columns: each of its lines
// transforms some of the parts, which are added up afterwards.
KERNEL(winograd_lower_kernel)(int n, const Real *lifted, Real *w, int inputs, int parts) {
    constexpr int TAPS = 9;
    __shared__ Real shared[LINES][TAPS][TILE];
    const int line = threadIdx.x / TILE, column = threadIdx.x % TILE, i = blockIdx.x * TILE + column;
    Real sums[TAPS] = {};
    for (int part = line; part < parts && i < n; part += LINES)
        transformed<LowerKernel>(
            [=](int row, int column) { return lifted[size_t((row * 6 + column) * parts + part) * n + i]; },
            [&](int row, int column, Real v) { sums[row * 3 + column] += v; });
    for (int tap = 0; tap < TAPS; tap++) shared[line][tap][column] = sums[tap];
    __syncthreads();
    for (int tap = line; tap < TAPS && i < n; tap += LINES) {
        Real sum = 0;
        for (int line = 0; line < LINES; line++) sum += shared[line][tap][column];
        w[(i / inputs * TAPS + tap) * inputs + i % inputs] = sum;
    }
}
