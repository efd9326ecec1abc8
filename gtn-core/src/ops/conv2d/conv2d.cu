// Patches as rows of a matrix: (pixels, kernel_h, kernel_w, channels).
KERNEL(patches)(int n, const Real *x, Real *rows, int height, int width, int channels, int out_h, int out_w,
                int kernel_h, int kernel_w, int stride, int pad_h, int pad_w) {
    const int i = thread();
    if (i >= n) return;
    const int patch = kernel_h * kernel_w * channels;
    const int channel = i % channels, tap = i % patch / channels;
    const Place out(i / patch, out_h, out_w, 1);
    const int y = out.y * stride + tap / kernel_w - pad_h, column = out.x * stride + tap % kernel_w - pad_w;
    const bool inside = y >= 0 && y < height && column >= 0 && column < width;
    const Map map = {height, width, channels};
    rows[i] = inside ? x[map.at(out.image, y, column, channel)] : Real(0);
}

// The transpose: each pixel adds up its places in all patches.
KERNEL(patches_adjoint)(int n, const Real *rows, Real *gx, int height, int width, int channels, int out_h, int out_w,
                        int kernel_h, int kernel_w, int stride, int pad_h, int pad_w) {
    const int i = thread();
    if (i >= n) return;
    const Place pixel(i, height, width, channels);
    const Axis down = {kernel_h, stride, pad_h}, across = {kernel_w, stride, pad_w};
    const Map map = {out_h, out_w, kernel_h * kernel_w * channels};
    Real sum = 0;
    outputs_that_see(pixel, down, across, out_h, out_w, [&](int y, int x, int ky, int kx) {
        const int place = (ky * kernel_w + kx) * channels + pixel.channel;
        sum += rows[map.at(pixel.image, y, x, place)];
    });
    gx[i] = sum;
}
