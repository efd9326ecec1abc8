// The largest of each window, and its place there in reading order. The first of equals wins, and so
// does not-a-number.
KERNEL(max_pool)(int n, int lanes, const Real *x, Real *y, unsigned char *winner, int height, int width, int channels,
                 int out_h, int out_w, int kernel, int stride, int before) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place out(i, out_h, out_w, channels);
        const Map map = {height, width, channels};
        const Axis axis = {kernel, stride, before};
        const int first = axis.first(out.x), last = axis.last(out.x, width), top = axis.first(out.y);
        Lanes<W> best;
        Lanes<W, unsigned char> place;
        for (int row = top; row < axis.last(out.y, height); row++)
            for (int column = first; column < last; column++) {
                const Real *from = x + map.at(out.image, axis.pixel(out.y, row), axis.pixel(out.x, column), out.channel);
                const Lanes<W> v = Lanes<W>::at(from);
                const bool begins = row == top && column == first;
                for (int k = 0; k < W; k++)
                    if (begins || v.of[k] > best.of[k] || v.of[k] != v.of[k])
                        best.of[k] = v.of[k], place.of[k] = row * kernel + column;
            }
        best.to(y + i);
        place.to(winner + i);
    });
}

// Takes the elements that won.
KERNEL(max_pool_tangent)(int n, int lanes, const Real *x, const unsigned char *winner, Real *y, int height, int width,
                         int channels, int out_h, int out_w, int kernel, int stride, int before) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place out(i, out_h, out_w, channels);
        const Map map = {height, width, channels};
        const Axis axis = {kernel, stride, before};
        const auto place = Lanes<W, unsigned char>::at(winner + i);
        Lanes<W> taken;
        for (int k = 0; k < W; k++) {
            const int row = axis.pixel(out.y, place.of[k] / kernel), column = axis.pixel(out.x, place.of[k] % kernel);
            taken.of[k] = x[map.at(out.image, row, column, out.channel + k)];
        }
        taken.to(y + i);
    });
}

// The transpose: each pixel gathers from the windows that it won.
KERNEL(max_pool_adjoint)(int n, int lanes, const Real *gy, const unsigned char *winner, Real *gx, int height, int width,
                         int channels, int out_h, int out_w, int kernel, int stride, int before) {
    by_lanes(n, lanes, [=](auto width_of, int i) {
        constexpr int W = decltype(width_of)::W;
        const Place pixel(i, height, width, channels);
        const Map map = {out_h, out_w, channels};
        const Axis axis = {kernel, stride, before};
        Lanes<W> sum = {};
        outputs_that_see(pixel, axis, axis, out_h, out_w, [&](int y, int x, int row, int column) {
            const int from = map.at(pixel.image, y, x, pixel.channel);
            const auto place = Lanes<W, unsigned char>::at(winner + from);
            const Lanes<W> g = Lanes<W>::at(gy + from);
            for (int k = 0; k < W; k++)
                if (place.of[k] == row * kernel + column) sum.of[k] += g.of[k];
        });
        sum.to(gx + i);
    });
}
