KERNEL(avg_pool)(int n, const Real *x, Real *y, int height, int width, int channels, int out_h, int out_w, int kernel,
                 int stride, int before) {
    const int i = thread();
    if (i >= n) return;
    const Place out(i, out_h, out_w, channels);
    const Map map = {height, width, channels};
    const Axis axis = {kernel, stride, before};
    const int top = axis.first(out.y), bottom = axis.last(out.y, height);
    const int left = axis.first(out.x), right = axis.last(out.x, width);
    Real sum = 0;
    for (int row = top; row < bottom; row++)
        for (int column = left; column < right; column++)
            sum += x[map.at(out.image, axis.pixel(out.y, row), axis.pixel(out.x, column), out.channel)];
    y[i] = sum * (Real(1) / ((bottom - top) * (right - left)));
}

KERNEL(avg_pool_adjoint)(int n, const Real *gy, Real *gx, int height, int width, int channels, int out_h, int out_w,
                         int kernel, int stride, int before) {
    const int i = thread();
    if (i >= n) return;
    const Place pixel(i, height, width, channels);
    const Map map = {out_h, out_w, channels};
    const Axis axis = {kernel, stride, before};
    Real sum = 0;
    outputs_that_see(pixel, axis, axis, out_h, out_w, [&](int y, int x, int, int) {
        const int pixels = (axis.last(y, height) - axis.first(y)) * (axis.last(x, width) - axis.first(x));
        sum += gy[map.at(pixel.image, y, x, pixel.channel)] * (Real(1) / pixels);
    });
    gx[i] = sum;
}
