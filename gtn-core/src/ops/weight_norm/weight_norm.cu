// All parameters of a network at once: a block works on a row of one of them, which may be a normalized weight.
// Directions lie as (rows, inputs, taps), weights as (rows, taps, inputs), in which convolutions read them.

// As in cuda.rs: where a parameter's elements begin among those of all, and its lengths (below 0: it has none), and the
// weight; its last block, the elements of a row, and their inputs and taps. Adjoints may be absent.
struct Parameter {
    const Real *gw, *dgw;
    int v, g, w, end, row, inputs, taps;
};

struct Parameters {
    Parameter of[64];
};

// A block's row of a parameter: its number, where its directions and its weights begin.
struct Row {
    int parameter, number, v, w;
    __device__ Row(const Parameters &all) {
        int first = 0;
        for (parameter = 0; int(blockIdx.x) >= all.of[parameter].end; parameter++) first = all.of[parameter].end;
        const Parameter &p = all.of[parameter];
        number = blockIdx.x - first;
        v = p.v + number * p.row;
        w = p.w + number * p.row;
    }
};

// A weight's place in its row, from that of its direction.
__device__ inline int weight(const Parameter &p, int j) {
    return p.taps == 1 ? j : j % p.taps * p.inputs + j / p.taps;
}

KERNEL(weight_norm)(int, Parameters all, const Real *params, Real *weights) {
    const Row row(all);
    const Parameter &p = all.of[row.parameter];
    const Real *v = params + row.v;
    Real sums[1] = {0};
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK) sums[0] += v[j] * v[j];
    add_up(sums);
    const Real a = params[p.g + row.number] / sqrt(sums[0]);
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK) weights[row.w + weight(p, j)] = a * v[j];
}

KERNEL(weight_norm_tangent)(int, Parameters all, const Real *params, const Real *direction, Real *weights) {
    const Row row(all);
    const Parameter &p = all.of[row.parameter];
    const Real *v = params + row.v, *dv = direction + row.v;
    Real sums[2] = {0, 0};
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK) {
        sums[0] += v[j] * v[j];
        sums[1] += v[j] * dv[j];
    }
    add_up(sums);
    const int g = p.g + row.number;
    const Real n = sqrt(sums[0]), dn = sums[1] / n;
    const Real a = params[g] / n, da = direction[g] / n - params[g] * dn / sums[0];
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK) weights[row.w + weight(p, j)] = da * v[j] + a * dv[j];
}

// The gradient by a parameter that is no normalized weight is its adjoint, of which `w` holds a row.
__device__ inline void copy_row(const Parameter &p, const Row &row, const Real *w, const Real *onto, Real *gradient) {
    const int first = row.number * p.row;
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK)
        gradient[row.v + j] = at(onto, row.v + j) + at(w, first + weight(p, j));
}

KERNEL(weight_norm_adjoint)(int, Parameters all, const Real *params, const Real *onto, Real *gradient) {
    const Row row(all);
    const Parameter &p = all.of[row.parameter];
    if (p.g < 0) return copy_row(p, row, p.gw, onto, gradient);
    const Real *v = params + row.v;
    const int first = row.number * p.row;
    Real sums[2] = {0, 0};
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK) {
        sums[0] += v[j] * v[j];
        sums[1] += at(p.gw, first + weight(p, j)) * v[j];
    }
    add_up(sums);
    const int g = p.g + row.number;
    const Real n = sqrt(sums[0]), a = params[g] / n, c = sums[1] / sums[0];
    if (threadIdx.x == 0) gradient[g] = at(onto, g) + sums[1] / n;
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK)
        gradient[row.v + j] = at(onto, row.v + j) + a * (at(p.gw, first + weight(p, j)) - c * v[j]);
}

KERNEL(weight_norm_adjoint_tangent)(int, Parameters all, const Real *params, const Real *direction, const Real *onto,
                                    Real *gradient) {
    const Row row(all);
    const Parameter &p = all.of[row.parameter];
    if (p.g < 0) return copy_row(p, row, p.dgw, onto, gradient);
    const Real *v = params + row.v, *dv = direction + row.v;
    const int first = row.number * p.row;
    Real sums[4] = {0, 0, 0, 0};
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK) {
        const int k = first + weight(p, j);
        sums[0] += v[j] * v[j];
        sums[1] += v[j] * dv[j];
        sums[2] += at(p.gw, k) * v[j];
        sums[3] += at(p.dgw, k) * v[j] + at(p.gw, k) * dv[j];
    }
    add_up(sums);
    const Real n2 = sums[0], n = sqrt(n2), dn = sums[1] / n, s = sums[2], ds = sums[3];
    const int g = p.g + row.number;
    const Real length = params[g], dlength = direction[g];
    if (threadIdx.x == 0) gradient[g] = at(onto, g) + ds / n - s * dn / n2;
    const Real a = length / n, da = dlength / n - length * dn / n2;
    const Real c = s / n2, dc = ds / n2 - Real(2) * s * dn / (n2 * n);
#pragma unroll 4
    for (int j = threadIdx.x; j < p.row; j += BLOCK) {
        const int k = first + weight(p, j);
        gradient[row.v + j] = at(onto, row.v + j) + da * (at(p.gw, k) - c * v[j]) +
                              a * (at(p.dgw, k) - dc * v[j] - c * dv[j]);
    }
}
