KERNEL(upsample)(int n, int lanes, const Real *x, Real *y, int height, int width, int channels, int factor) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place out(i, height * factor, width * factor, channels);
        const Map map = {height, width, channels};
        Lanes<W>::at(x + map.at(out.image, out.y / factor, out.x / factor, out.channel)).to(y + i);
    });
}

KERNEL(upsample_adjoint)(int n, int lanes, const Real *gy, Real *gx, int height, int width, int channels, int factor) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place pixel(i, height, width, channels);
        const Map map = {height * factor, width * factor, channels};
        const int top = pixel.y * factor, left = pixel.x * factor;
        Lanes<W> sum = {};
        for (int y = 0; y < factor; y++)
            for (int x = 0; x < factor; x++) {
                sum += Lanes<W>::at(gy + map.at(pixel.image, top + y, left + x, pixel.channel));
            }
        sum.to(gx + i);
    });
}
