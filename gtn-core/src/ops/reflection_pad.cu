// The pixel that a padded pixel shows, along an axis.
__device__ inline int reflected(int i, int padding, int size) {
    i = i < padding ? padding - i : i - padding;
    return i < size ? i : 2 * (size - 1) - i;
}

KERNEL(reflection_pad)(int n, int lanes, const Real *x, Real *y, int height, int width, int channels, int padding) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place out(i, height + 2 * padding, width + 2 * padding, channels);
        const Map map = {height, width, channels};
        const int row = reflected(out.y, padding, height), column = reflected(out.x, padding, width);
        Lanes<W>::at(x + map.at(out.image, row, column, out.channel)).to(y + i);
    });
}

// The padded pixels that show pixel `i`: itself, its reflection at the start, and that at the end.
__device__ inline int shows(int which, int i, int padding, int size) {
    if (which == 0) return i + padding;
    if (which == 1) return i > 0 && i <= padding ? padding - i : -1;
    const int beyond = 2 * (size - 1) - i;
    return beyond >= size && beyond < size + padding ? beyond + padding : -1;
}

KERNEL(reflection_pad_adjoint)(int n, int lanes, const Real *gy, Real *gx, int height, int width, int channels,
                               int padding) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place pixel(i, height, width, channels);
        const Map map = {height + 2 * padding, width + 2 * padding, channels};
        Lanes<W> sum = {};
        for (int down = 0; down < 3; down++) {
            const int y = shows(down, pixel.y, padding, height);
            for (int across = 0; y >= 0 && across < 3; across++) {
                const int x = shows(across, pixel.x, padding, width);
                if (x < 0) continue;
                sum += Lanes<W>::at(gy + map.at(pixel.image, y, x, pixel.channel));
            }
        }
        sum.to(gx + i);
    });
}
