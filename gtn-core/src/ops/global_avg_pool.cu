KERNEL(global_avg_pool)(int n, const Real *x, Real *y, int area, int channels) {
    const int i = thread();
    if (i >= n) return;
    x += i / channels * area * channels + i % channels;
    Real sum = 0;
    for (int pixel = 0; pixel < area; pixel++) sum += x[pixel * channels];
    y[i] = sum * (Real(1) / area);
}

KERNEL(global_avg_pool_adjoint)(int n, const Real *gy, Real *gx, int area, int channels) {
    const int i = thread();
    if (i < n) gx[i] = gy[i / (area * channels) * channels + i % channels] * (Real(1) / area);
}
