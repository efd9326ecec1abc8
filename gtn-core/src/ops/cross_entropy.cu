// −(Σ a·b + Σ c·d)/batch, by one block; `c` and `d` may be absent.
KERNEL(cross_entropy)(int n, const Real *a, const Real *b, const Real *c, const Real *d, Real *y, int batch) {
    Real sums[1] = {0};
    for (int i = threadIdx.x; i < n; i += BLOCK) {
        sums[0] += a[i] * b[i];
        if (c) sums[0] += c[i] * d[i];
    }
    add_up(sums);
    if (threadIdx.x == 0) y[0] = -sums[0] / batch;
}

// −(s·x + t·z)/batch for scalars `s` and `t`; either product may be absent.
KERNEL(cross_entropy_adjoint)(int n, const Real *x, const Real *s, const Real *z, const Real *t, Real *y,
                              int batch) {
    const int i = thread();
    if (i >= n) return;
    Real sum = 0;
    if (s) sum += s[0] * x[i];
    if (z) sum += t[0] * z[i];
    y[i] = -sum / batch;
}
