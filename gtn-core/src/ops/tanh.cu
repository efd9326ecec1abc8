KERNEL(tanh)(int n, const Real *x, Real *y, Real scale) {
    const int i = thread();
    if (i < n) y[i] = scale * ::tanh(x[i]);
}

// `v` times the slope where the output was `y`.
KERNEL(tanh_slope)(int n, const Real *y, const Real *v, Real *out, Real scale) {
    const int i = thread();
    if (i < n) out[i] = (scale - y[i] * y[i] / scale) * v[i];
}

// The tangent of the adjoint: what the output's adjoint moves, and what the slope does.
KERNEL(tanh_adjoint_tangent)(int n, const Real *y, const Real *dx, const Real *gy, const Real *dgy, Real *out,
                             Real scale) {
    const int i = thread();
    if (i >= n) return;
    const Real slope = scale - y[i] * y[i] / scale;
    const Real bend = -Real(2) / scale * y[i] * slope * at(dx, i);
    out[i] = slope * at(dgy, i) + bend * gy[i];
}
