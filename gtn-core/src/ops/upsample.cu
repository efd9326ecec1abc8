KERNEL(upsample)(int n, const Real *x, Real *y, int height, int width, int channels, int factor) {
    const int i = thread();
    if (i >= n) return;
    const Place out(i, height * factor, width * factor, channels);
    const Map map = {height, width, channels};
    y[i] = x[map.at(out.image, out.y / factor, out.x / factor, out.channel)];
}

KERNEL(upsample_adjoint)(int n, const Real *gy, Real *gx, int height, int width, int channels, int factor) {
    const int i = thread();
    if (i >= n) return;
    const Place pixel(i, height, width, channels);
    const Map map = {height * factor, width * factor, channels};
    Real sum = 0;
    for (int y = 0; y < factor; y++)
        for (int x = 0; x < factor; x++)
            sum += gy[map.at(pixel.image, pixel.y * factor + y, pixel.x * factor + x, pixel.channel)];
    gx[i] = sum;
}
