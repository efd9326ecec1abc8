// Each thread works on a row: there are few classes.

KERNEL(log_softmax)(int rows, const Real *x, Real *y, int classes) {
    const int row = thread();
    if (row >= rows) return;
    x += row * classes, y += row * classes;
    Real most = x[0], sum = 0;
    for (int i = 1; i < classes; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < classes; i++) sum += exp(x[i] - most);
    const Real total = most + log(sum);
    for (int i = 0; i < classes; i++) y[i] = x[i] - total;
}

KERNEL(log_softmax_adjoint)(int rows, const Real *y, const Real *gy, Real *gx, int classes) {
    const int row = thread();
    if (row >= rows) return;
    y += row * classes, gy += row * classes, gx += row * classes;
    Real sum = 0;
    for (int i = 0; i < classes; i++) sum += gy[i];
    for (int i = 0; i < classes; i++) gx[i] = gy[i] - exp(y[i]) * sum;
}

// ⟨exp y, v⟩; zero of an absent `v`.
__device__ inline Real expectation(const Real *y, const Real *v, int classes) {
    Real sum = 0;
    for (int i = 0; i < classes; i++) sum += exp(y[i]) * at(v, i);
    return sum;
}

KERNEL(log_softmax_tangent)(int rows, const Real *y, const Real *dx, Real *dy, int classes) {
    const int row = thread();
    if (row >= rows) return;
    y += row * classes, dx += row * classes, dy += row * classes;
    const Real mean = expectation(y, dx, classes);
    for (int i = 0; i < classes; i++) dy[i] = dx[i] - mean;
}

KERNEL(log_softmax_adjoint_tangent)(int rows, const Real *y, const Real *dx, const Real *gy, const Real *dgy,
                                    Real *out, int classes) {
    const int row = thread();
    if (row >= rows) return;
    const int start = row * classes;
    y += start, gy += start, out += start;
    dx = dx ? dx + start : dx;
    dgy = dgy ? dgy + start : dgy;
    const Real mean = expectation(y, dx, classes);
    Real sum = 0, dsum = 0;
    for (int i = 0; i < classes; i++) sum += gy[i], dsum += at(dgy, i);
    for (int i = 0; i < classes; i++)
        out[i] = at(dgy, i) - exp(y[i]) * (dsum + (at(dx, i) - mean) * sum);
}
