// The largest of each window, and its place there in reading order. The first of equals wins, and so
// does not-a-number.
KERNEL(max_pool)(int n, const Real *x, Real *y, unsigned char *winner, int height, int width, int channels, int out_h,
                 int out_w, int kernel, int stride, int before) {
    const int i = thread();
    if (i >= n) return;
    const Place out(i, out_h, out_w, channels);
    const Map map = {height, width, channels};
    const Axis axis = {kernel, stride, before};
    const int first = axis.first(out.x), last = axis.last(out.x, width);
    int place = -1;
    Real best = 0;
    for (int row = axis.first(out.y); row < axis.last(out.y, height); row++)
        for (int column = first; column < last; column++) {
            const Real v = x[map.at(out.image, axis.pixel(out.y, row), axis.pixel(out.x, column), out.channel)];
            if (place < 0 || v > best || v != v) best = v, place = row * kernel + column;
        }
    y[i] = best;
    winner[i] = place;
}

// Takes the elements that won.
KERNEL(max_pool_tangent)(int n, const Real *x, const unsigned char *winner, Real *y, int height, int width,
                         int channels, int out_h, int out_w, int kernel, int stride, int before) {
    const int i = thread();
    if (i >= n) return;
    const Place out(i, out_h, out_w, channels);
    const Map map = {height, width, channels};
    const Axis axis = {kernel, stride, before};
    const int row = axis.pixel(out.y, winner[i] / kernel), column = axis.pixel(out.x, winner[i] % kernel);
    y[i] = x[map.at(out.image, row, column, out.channel)];
}

// The transpose: each pixel gathers from the windows that it won.
KERNEL(max_pool_adjoint)(int n, const Real *gy, const unsigned char *winner, Real *gx, int height, int width,
                         int channels, int out_h, int out_w, int kernel, int stride, int before) {
    const int i = thread();
    if (i >= n) return;
    const Place pixel(i, height, width, channels);
    const Map map = {out_h, out_w, channels};
    const Axis axis = {kernel, stride, before};
    Real sum = 0;
    outputs_that_see(pixel, axis, axis, out_h, out_w, [&](int y, int x, int row, int column) {
        const int from = map.at(pixel.image, y, x, pixel.channel);
        if (winner[from] == row * kernel + column) sum += gy[from];
    });
    gx[i] = sum;
}
