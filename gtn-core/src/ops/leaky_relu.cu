KERNEL(leaky_relu)(int n, const Real *x, Real *y, Real slope) {
    const int i = thread();
    if (i < n) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

// `v` times the slope where the output was `y`.
KERNEL(leaky_relu_slope)(int n, const Real *y, const Real *v, Real *out, Real slope) {
    const int i = thread();
    if (i < n) out[i] = y[i] > 0 ? v[i] : slope * v[i];
}
