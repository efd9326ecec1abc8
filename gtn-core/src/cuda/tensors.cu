// What is asked of tensors everywhere: src/tensors.rs, src/layout.rs.

// y = a·x + b·z; `z` may be absent.
KERNEL(combine)(int n, const Real *x, const Real *z, Real *y, Real a, Real b) {
    const int i = thread();
    if (i < n) y[i] = z ? a * x[i] + b * z[i] : a * x[i];
}

KERNEL(multiples)(int n, const Real *x, Real *y, Real *z, Real a, Real b) {
    const int i = thread();
    if (i < n) y[i] = a * x[i], z[i] = b * x[i];
}

KERNEL(add)(int n, const Real *x, const Real *z, Real *y) {
    const int i = thread();
    if (i < n) y[i] = x[i] + z[i];
}

// A constant for each channel, times a factor, added everywhere.
KERNEL(add_channels)(int n, const Real *x, const Real *v, Real *y, int channels, Real factor) {
    const int i = thread();
    if (i < n) y[i] = at(x, i) + factor * v[residue(i, channels)];
}

// Transposes the matrices (rows, columns) that `x` is a row of. A block turns a square of one of them, so that both
// reading and writing go along rows.
KERNEL(transpose)(int, const Real *x, Real *y, int rows, int columns) {
    __shared__ Real square[TILE][TILE + 1];
    const int across = (columns + TILE - 1) / TILE, down = (rows + TILE - 1) / TILE;
    const size_t matrix = size_t(blockIdx.x / (across * down)) * rows * columns;
    const int top = blockIdx.x / across % down * TILE, left = blockIdx.x % across * TILE;
    const int line = threadIdx.x / TILE, lane = threadIdx.x % TILE;
    for (int row = line; row < TILE; row += LINES)
        if (top + row < rows && left + lane < columns)
            square[row][lane] = x[matrix + (top + row) * columns + left + lane];
    __syncthreads();
    for (int column = line; column < TILE; column += LINES)
        if (left + column < columns && top + lane < rows)
            y[matrix + (left + column) * rows + top + lane] = square[lane][column];
}

// A matrix's columns from `first` on, as many as `y` has, become columns of `y` from `to` on; those
// of no matrix are zeros.
KERNEL(copy_columns)(int n, const Real *x, Real *y, int width, int columns, int first, int all, int to) {
    const int i = thread();
    if (i >= n) return;
    const int row = i / width, column = i % width;
    y[row * all + to + column] = x ? x[row * columns + first + column] : Real(0);
}

// Vectors end to end: the first ends before element `ends[0]`. Of an absent one, zeros. As in tensors.rs.
struct Segments {
    const Real *from[64];
    int ends[64];
};

// b times the vectors; plus a·x, where there is an x.
KERNEL(join)(int n, Segments segments, const Real *x, Real *y, Real a, Real b) {
    const int i = thread();
    if (i >= n) return;
    int s = 0, start = 0;
    while (i >= segments.ends[s]) start = segments.ends[s++];
    const Real v = b * at(segments.from[s], i - start);
    y[i] = x ? a * x[i] + v : v;
}

// Σ x·z over a block's share of the elements, in double.
KERNEL(inner_product)(int n, const Real *x, const Real *z, double *partial, int blocks) {
    __shared__ double shared[BLOCK];
    double sum = 0;
    for (int i = thread(); i < n; i += blocks * BLOCK) sum += double(x[i]) * double(z[i]);
    shared[threadIdx.x] = sum;
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) partial[blockIdx.x] = shared[0];
}

// The sum of each column of `partial (parts, columns)`; where asked for, what is left of `from` without it.
KERNEL(total_columns)(int columns, const Real *partial, Real *y, const Real *from, Real *rest, int parts) {
    total_columns(columns, parts, partial, [=](int c, Real sum) {
        y[c] = sum;
        if (rest) rest[c] = at(from, c) - sum;
    });
}

// The sums by channel of a feature map, times a factor.
KERNEL(channel_sums)(int rows, const Real *x, Real *partial, int columns, int parts, Real scale) {
    sum_columns<1>(rows, columns, parts, partial,
                   [=](int i, int, Real (&sums)[1]) { sums[0] += x[i]; }, scale);
}
