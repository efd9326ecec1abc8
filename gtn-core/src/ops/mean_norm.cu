__device__ inline Real rectified(Real slope, Real z, Real v) { return z > 0 ? v : slope * v; }

KERNEL(mean_norm)(int n, const Real *x, const Real *mean, const Real *bias, Real *y, int channels, Real slope) {
    const int i = thread();
    if (i >= n) return;
    const int c = residue(i, channels);
    const Real z = x[i] + (bias[c] - mean[c]);
    y[i] = rectified(slope, z, z);
}

KERNEL(mean_norm_tangent)(int n, const Real *y, const Real *dx, const Real *dmean, const Real *dbias, Real *dy,
                          int channels, Real slope) {
    const int i = thread(), c = residue(i, channels);
    if (i < n) dy[i] = rectified(slope, y[i], at(dx, i) + (at(dbias, c) - at(dmean, c)));
}

// The adjoint of what goes into the rectifier, and its sums by channel; of a single part also what is left of `from`
// without a sum.
KERNEL(mean_norm_adjoint)(int rows, const Real *__restrict__ y, const Real *__restrict__ gy, Real *__restrict__ gz,
                          Real *partial, const Real *from, Real *rest, int channels, int parts, Real slope) {
    sum_columns<1>(rows, channels, parts, partial, [=](int i, int, Real (&sums)[1]) {
        const Real g = rectified(slope, y[i], gy[i]);
        gz[i] = g;
        sums[0] += g;
    });
    // The thread that wrote the sum reads it.
    const Tile tile(channels);
    if (rest && tile.line == 0 && tile.column < channels) rest[tile.column] = at(from, tile.column) - partial[tile.column];
}
