// Patches as rows of a matrix: (pixels, kernel_h, kernel_w, channels).
KERNEL(patches)(int n, int lanes, const Real *x, Real *rows, int height, int width, int channels, int out_h, int out_w,
                int kernel_h, int kernel_w, int stride, int pad_h, int pad_w) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        int rest = i;
        const int channel = divided(rest, channels), across = divided(rest, kernel_w), down = divided(rest, kernel_h);
        const Place out(rest, out_h, out_w, 1);
        const int y = out.y * stride + down - pad_h, column = out.x * stride + across - pad_w;
        const bool inside = y >= 0 && y < height && column >= 0 && column < width;
        const Map map = {height, width, channels};
        Lanes<W> copied = {};
        if (inside) copied = Lanes<W>::at(x + map.at(out.image, y, column, channel));
        copied.to(rows + i);
    });
}

// The transpose: each pixel adds up its places in all patches.
KERNEL(patches_adjoint)(int n, int lanes, const Real *rows, Real *gx, int height, int width, int channels, int out_h,
                        int out_w, int kernel_h, int kernel_w, int stride, int pad_h, int pad_w) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place pixel(i, height, width, channels);
        const Axis down = {kernel_h, stride, pad_h}, across = {kernel_w, stride, pad_w};
        const Map map = {out_h, out_w, kernel_h * kernel_w * channels};
        Lanes<W> sum = {};
        outputs_that_see(pixel, down, across, out_h, out_w, [&](int y, int x, int ky, int kx) {
            const int place = (ky * kernel_w + kx) * channels + pixel.channel;
            sum += Lanes<W>::at(rows + map.at(pixel.image, y, x, place));
        });
        sum.to(gx + i);
    });
}

// Weights (outputs, taps, inputs) as (taps, outputs, inputs), the last tap first; the other way round with outputs for
// taps.
KERNEL(mirror_taps)(int n, const Real *w, Real *mirrored, int outputs, int taps, int inputs, int back) {
    const int i = thread();
    if (i >= n) return;
    const int input = i % inputs, output = i / inputs / taps, tap = taps - 1 - i / inputs % taps;
    const int other = (tap * outputs + output) * inputs + input;
    mirrored[back ? i : other] = w[back ? other : i];
}
