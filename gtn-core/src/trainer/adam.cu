KERNEL(outer_adam)(int n, const Real *p, const Real *means, const Real *squares, const Real *g, Real *p_out,
                   Real *means_out, Real *squares_out, Real b1, Real new1, Real b2, Real new2, Real size,
                   Real correction, Real scale, Real epsilon) {
    const int i = thread();
    if (i >= n) return;
    const Real scaled = scale * g[i];
    const Real m = b1 * means[i] + new1 * scaled;
    const Real s = b2 * squares[i] + new2 * scaled * scaled;
    means_out[i] = m;
    squares_out[i] = s;
    p_out[i] = p[i] - size * m / (sqrt(s * correction) + epsilon);
}
