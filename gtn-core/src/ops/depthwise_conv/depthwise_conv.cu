// Two pairs of operands at most, whose results are added up; weights lie as (channels, taps).

KERNEL(depthwise_conv)(int n, const Real *x, const Real *w, const Real *x2, const Real *w2, Real *y, int height,
                       int width, int channels, int out_h, int out_w, int kernel_h, int kernel_w, int stride,
                       int pad_h, int pad_w) {
    const int i = thread();
    if (i >= n) return;
    const Place out(i, out_h, out_w, channels);
    const Map map = {height, width, channels};
    const Axis down = {kernel_h, stride, pad_h}, across = {kernel_w, stride, pad_w};
    Real sum = 0;
    for (int ky = down.first(out.y); ky < down.last(out.y, height); ky++)
        for (int kx = across.first(out.x); kx < across.last(out.x, width); kx++) {
            const int from = map.at(out.image, down.pixel(out.y, ky), across.pixel(out.x, kx), out.channel);
            const int tap = (out.channel * kernel_h + ky) * kernel_w + kx;
            sum += x[from] * w[tap];
            if (x2) sum += x2[from] * w2[tap];
        }
    y[i] = sum;
}

KERNEL(depthwise_conv_input)(int n, const Real *gy, const Real *w, const Real *gy2, const Real *w2, Real *gx,
                             int height, int width, int channels, int out_h, int out_w, int kernel_h, int kernel_w,
                             int stride, int pad_h, int pad_w) {
    const int i = thread();
    if (i >= n) return;
    const Place pixel(i, height, width, channels);
    const Map map = {out_h, out_w, channels};
    const Axis down = {kernel_h, stride, pad_h}, across = {kernel_w, stride, pad_w};
    Real sum = 0;
    outputs_that_see(pixel, down, across, out_h, out_w, [&](int y, int x, int ky, int kx) {
        const int from = map.at(pixel.image, y, x, pixel.channel);
        const int tap = (pixel.channel * kernel_h + ky) * kernel_w + kx;
        sum += gy[from] * w[tap];
        if (gy2) sum += gy2[from] * w2[tap];
    });
    gx[i] = sum;
}

// Sums over the outputs for each tap and channel: `partial (parts, taps, channels)`.
KERNEL(depthwise_conv_weight)(int rows, const Real *x, const Real *gy, const Real *x2, const Real *gy2, Real *partial,
                              int parts, int height, int width, int channels, int out_h, int out_w, int kernel_h,
                              int kernel_w, int stride, int pad_h, int pad_w) {
    const int taps = kernel_h * kernel_w, tap = Tile(channels).part % taps;
    const int down = tap / kernel_w - pad_h, across = tap % kernel_w - pad_w;
    const auto add = [=](int i, int, Real (&sums)[1]) {
        const Place out(i, out_h, out_w, channels);
        const Map map = {height, width, channels};
        const int y = out.y * stride + down, x_at = out.x * stride + across;
        if (y < 0 || y >= height || x_at < 0 || x_at >= width) return;
        const int from = map.at(out.image, y, x_at, out.channel);
        sums[0] += x[from] * gy[i];
        if (x2) sums[0] += x2[from] * gy2[i];
    };
    sum_columns<1>(rows, channels, parts, partial, add, 1, taps);
}
