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
    for (int ky = 0; ky < kernel_h; ky++) {
        const int y = down.output(pixel.y, ky, out_h);
        for (int kx = 0; y >= 0 && kx < kernel_w; kx++) {
            const int x = across.output(pixel.x, kx, out_w);
            const int place = (ky * kernel_w + kx) * channels + pixel.channel;
            if (x >= 0) sum += rows[map.at(pixel.image, y, x, place)];
        }
    }
    gx[i] = sum;
}
