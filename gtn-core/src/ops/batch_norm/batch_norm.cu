// Σ (x − mean)² by channel.
KERNEL(batch_norm_squares)(int rows, const Real *x, const Real *mean, Real *partial, int channels, int parts) {
    sum_columns<1>(rows, channels, parts, partial, [=](int i, int c, Real (&sums)[1]) {
        sums[0] += (x[i] - mean[c]) * (x[i] - mean[c]);
    });
}

KERNEL(batch_norm_sigma)(int channels, const Real *partial, Real *sigma, int parts, int count, Real epsilon) {
    total_columns(channels, parts, partial,
                  [=](int c, Real sum) { sigma[c] = sqrt(sum / count + epsilon); });
}

KERNEL(batch_norm)(int n, const Real *x, const Real *mean, const Real *sigma, const Real *scale, const Real *shift,
                   Real *hat, Real *y, int channels) {
    const int i = thread(), c = residue(i, channels);
    if (i >= n) return;
    const Real h = (x[i] - mean[c]) / sigma[c];
    hat[i] = h;
    y[i] = h * scale[c] + shift[c];
}

// The sums of `v` and of `v` times the normalized input, by channel, times `scale`.
KERNEL(batch_norm_moments)(int rows, const Real *v, const Real *hat, Real *partial, int channels, int parts,
                           Real scale) {
    sum_columns<2>(rows, channels, parts, partial, [=](int i, int, Real (&sums)[2]) {
        sums[0] += v[i];
        sums[1] += v[i] * hat[i];
    }, scale);
}

// `moments (2, channels)` are the means of ȳ and of ȳ·x̂.
KERNEL(batch_norm_adjoint)(int n, const Real *gy, const Real *hat, const Real *sigma, const Real *scale,
                           const Real *moments, Real *gx, Real *gscale, Real *gshift, int channels, int count) {
    const int i = thread(), c = residue(i, channels);
    if (i >= n) return;
    const Real m1 = moments[c], m2 = moments[channels + c];
    gx[i] = scale[c] / sigma[c] * (gy[i] - m1 - hat[i] * m2);
    if (i < channels) gscale[c] = m2 * count, gshift[c] = m1 * count;
}

// The tangent of the normalized input, from the means of ẋ and of ẋ·x̂.
__device__ inline Real hat_tangent(const Real *dx, const Real *means, const Real *hat, const Real *sigma, int i,
                                   int c, int channels) {
    return dx ? (dx[i] - means[c] - hat[i] * means[channels + c]) / sigma[c] : Real(0);
}

KERNEL(batch_norm_tangent)(int n, const Real *dx, const Real *hat, const Real *sigma, const Real *scale,
                           const Real *dscale, const Real *dshift, const Real *means, Real *dy, int channels) {
    const int i = thread(), c = residue(i, channels);
    if (i >= n) return;
    const Real dhat = hat_tangent(dx, means, hat, sigma, i, c, channels);
    dy[i] = at(dscale, c) * hat[i] + scale[c] * dhat + at(dshift, c);
}

// Sums of ȳ, ȳ·x̂, ȳ˙, and ȳ˙·x̂ + ȳ·x̂˙, by channel, times `scale`.
KERNEL(batch_norm_moments_tangent)(int rows, const Real *gy, const Real *dgy, const Real *dx, const Real *hat,
                                   const Real *sigma, const Real *means, Real *partial, int channels, int parts,
                                   Real scale) {
    sum_columns<4>(rows, channels, parts, partial, [=](int i, int c, Real (&sums)[4]) {
        const Real dhat = hat_tangent(dx, means, hat, sigma, i, c, channels);
        sums[0] += gy[i];
        sums[1] += gy[i] * hat[i];
        sums[2] += at(dgy, i);
        sums[3] += at(dgy, i) * hat[i] + gy[i] * dhat;
    }, scale);
}

KERNEL(batch_norm_adjoint_tangent)(int n, const Real *gy, const Real *dgy, const Real *dx, const Real *hat,
                                   const Real *sigma, const Real *scale, const Real *dscale, const Real *means,
                                   const Real *moments, Real *out, Real *gscale, Real *gshift, int channels,
                                   int count) {
    const int i = thread(), c = residue(i, channels);
    if (i >= n) return;
    const Real m1 = moments[c], m2 = moments[channels + c];
    const Real dm1 = moments[2 * channels + c], dm2 = moments[3 * channels + c];
    const Real a = scale[c] / sigma[c];
    const Real dsigma = dx ? means[channels + c] : Real(0);
    const Real da = (at(dscale, c) - a * dsigma) / sigma[c];
    const Real dhat = hat_tangent(dx, means, hat, sigma, i, c, channels);
    out[i] = da * (gy[i] - m1 - hat[i] * m2) + a * (at(dgy, i) - dm1 - dhat * m2 - hat[i] * dm2);
    if (i < channels) gscale[c] = dm2 * count, gshift[c] = dm1 * count;
}
