// Each block works on a row. Directions lie as (rows, inputs, taps), weights as (rows, taps, inputs),
// in which convolutions read them: a weight's place in its row, from that of its direction.
__device__ inline int weight(int j, int inputs, int taps) { return j % taps * inputs + j / taps; }

KERNEL(weight_norm)(int row, const Real *v, const Real *g, Real *w, int inputs, int taps) {
    v += blockIdx.x * row, w += blockIdx.x * row;
    Real sums[1] = {0};
    for (int j = threadIdx.x; j < row; j += BLOCK) sums[0] += v[j] * v[j];
    add_up(sums);
    const Real a = g[blockIdx.x] / sqrt(sums[0]);
    for (int j = threadIdx.x; j < row; j += BLOCK) w[weight(j, inputs, taps)] = a * v[j];
}

KERNEL(weight_norm_adjoint)(int row, const Real *v, const Real *g, const Real *gw, Real *gv, Real *gg, int inputs,
                            int taps) {
    v += blockIdx.x * row, gw += blockIdx.x * row, gv += blockIdx.x * row;
    Real sums[2] = {0, 0};
    for (int j = threadIdx.x; j < row; j += BLOCK) {
        sums[0] += v[j] * v[j];
        sums[1] += gw[weight(j, inputs, taps)] * v[j];
    }
    add_up(sums);
    const Real n = sqrt(sums[0]), a = g[blockIdx.x] / n, c = sums[1] / sums[0];
    if (threadIdx.x == 0) gg[blockIdx.x] = sums[1] / n;
    for (int j = threadIdx.x; j < row; j += BLOCK) gv[j] = a * (gw[weight(j, inputs, taps)] - c * v[j]);
}

KERNEL(weight_norm_tangent)(int row, const Real *v, const Real *g, const Real *dv, const Real *dg, Real *dw,
                            int inputs, int taps) {
    const int start = blockIdx.x * row;
    Real sums[2] = {0, 0};
    for (int j = threadIdx.x; j < row; j += BLOCK) {
        sums[0] += v[start + j] * v[start + j];
        sums[1] += v[start + j] * at(dv, start + j);
    }
    add_up(sums);
    const Real n = sqrt(sums[0]), dn = sums[1] / n, length = g[blockIdx.x];
    const Real a = length / n, da = at(dg, blockIdx.x) / n - length * dn / sums[0];
    for (int j = threadIdx.x; j < row; j += BLOCK)
        dw[start + weight(j, inputs, taps)] = da * v[start + j] + a * at(dv, start + j);
}

KERNEL(weight_norm_adjoint_tangent)(int row, const Real *v, const Real *g, const Real *dv, const Real *dg,
                                    const Real *gw, const Real *dgw, Real *dgv, Real *dgg, int inputs, int taps) {
    const int start = blockIdx.x * row;
    Real sums[4] = {0, 0, 0, 0};
    for (int j = threadIdx.x; j < row; j += BLOCK) {
        const int i = start + j, k = start + weight(j, inputs, taps);
        sums[0] += v[i] * v[i];
        sums[1] += v[i] * at(dv, i);
        sums[2] += gw[k] * v[i];
        sums[3] += at(dgw, k) * v[i] + gw[k] * at(dv, i);
    }
    add_up(sums);
    const Real n2 = sums[0], n = sqrt(n2), dn = sums[1] / n, s = sums[2], ds = sums[3];
    const Real length = g[blockIdx.x], dlength = at(dg, blockIdx.x);
    if (threadIdx.x == 0) dgg[blockIdx.x] = ds / n - s * dn / n2;
    const Real a = length / n, da = dlength / n - length * dn / n2;
    const Real c = s / n2, dc = ds / n2 - Real(2) * s * dn / (n2 * n);
    for (int j = threadIdx.x; j < row; j += BLOCK) {
        const int i = start + j, k = start + weight(j, inputs, taps);
        dgv[i] = da * (gw[k] - c * v[i]) + a * (at(dgw, k) - dc * v[i] - c * at(dv, i));
    }
}
