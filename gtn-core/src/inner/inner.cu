// Steps of the inner optimizers, and their derivatives: the formulas are those of sgd.rs, rmsprop.rs and adam.rs.

// Two sums of doubles over a block's share.
__device__ inline void store_sums(double a, double b, double *partial) {
    __shared__ double shared[2][BLOCK];
    const int t = threadIdx.x;
    shared[0][t] = a, shared[1][t] = b;
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (t < half) shared[0][t] += shared[0][t + half], shared[1][t] += shared[1][t + half];
        __syncthreads();
    }
    if (t < 2) partial[2 * blockIdx.x + t] = shared[t][0];
}

KERNEL(sgd_step)(int n, const Real *p, const Real *v, const Real *g, Real *p_out, Real *v_out, Real a, Real m) {
    const int i = thread();
    if (i >= n) return;
    const Real moved = m * v[i] + g[i];
    v_out[i] = moved;
    p_out[i] = p[i] - a * moved;
}

// Sums to `partial (blocks, 2)`: what the adjoints of the learning rate and of the momentum are made of.
KERNEL(sgd_adjoint)(int n, const Real *__restrict__ v_bar, const Real *__restrict__ p_bar,
                    const Real *__restrict__ before, const Real *__restrict__ after, Real *__restrict__ gradient,
                    Real *__restrict__ v_before, double *partial, int blocks, Real a, Real m) {
    double by_lr = 0, by_momentum = 0;
    // Nothing written is read, so that several elements can be on their way.
#pragma unroll 4
    for (int i = thread(); i < n; i += blocks * BLOCK) {
        const Real v = v_bar[i] - a * p_bar[i];
        gradient[i] = v;
        v_before[i] = m * v;
        by_lr -= double(p_bar[i]) * double(after[i]);
        by_momentum += double(v) * double(before[i]);
    }
    store_sums(by_lr, by_momentum, partial);
}

KERNEL(rmsprop_step)(int n, const Real *p, const Real *squares, const Real *v, const Real *g, Real *p_out,
                     Real *squares_out, Real *v_out, Real a, Real m, Real decay, Real fresh, Real epsilon) {
    const int i = thread();
    if (i >= n) return;
    const Real s = decay * squares[i] + fresh * g[i] * g[i];
    const Real moved = m * v[i] + g[i] / sqrt(s + epsilon);
    squares_out[i] = s;
    v_out[i] = moved;
    p_out[i] = p[i] - a * moved;
}

KERNEL(rmsprop_adjoint)(int n, const Real *p_bar, const Real *s_bar, const Real *v_bar, const Real *g,
                        const Real *squares, const Real *v_before, const Real *v_after, Real *gradient,
                        Real *s_out, Real *v_out, double *partial, int blocks, Real a, Real m, Real decay,
                        Real fresh, Real epsilon) {
    double by_lr = 0, by_momentum = 0;
    for (int i = thread(); i < n; i += blocks * BLOCK) {
        const Real v = v_bar[i] - a * p_bar[i];
        const Real root = Real(1) / sqrt(squares[i] + epsilon);
        const Real s = s_bar[i] - Real(0.5) * v * g[i] * root * root * root;
        gradient[i] = v * root + Real(2) * fresh * s * g[i];
        s_out[i] = decay * s;
        v_out[i] = m * v;
        by_lr -= double(p_bar[i]) * double(v_after[i]);
        by_momentum += double(v) * double(v_before[i]);
    }
    store_sums(by_lr, by_momentum, partial);
}

KERNEL(adam_step)(int n, const Real *p, const Real *means, const Real *squares, const Real *g, Real *p_out,
                  Real *means_out, Real *squares_out, Real size, Real m, Real one_less_m, Real decay, Real fresh,
                  Real epsilon) {
    const int i = thread();
    if (i >= n) return;
    const Real mean = m * means[i] + one_less_m * g[i];
    const Real s = decay * squares[i] + fresh * g[i] * g[i];
    means_out[i] = mean;
    squares_out[i] = s;
    p_out[i] = p[i] - size * mean / (sqrt(s + epsilon) + epsilon);
}

// The first sum is what the step's factor is multiplied with, the second the momentum, apart from that.
KERNEL(adam_adjoint)(int n, const Real *p_bar, const Real *m_bar, const Real *s_bar, const Real *g,
                     const Real *old_means, const Real *means, const Real *squares, Real *gradient, Real *m_out,
                     Real *s_out, double *partial, int blocks, Real size, Real m, Real one_less_m,
                     Real decay, Real fresh, Real epsilon) {
    double by_size = 0, by_momentum = 0;
    for (int i = thread(); i < n; i += blocks * BLOCK) {
        const Real root = sqrt(squares[i] + epsilon), inverse = Real(1) / (root + epsilon);
        const Real by = -p_bar[i] * means[i] * inverse;
        const Real mean = m_bar[i] - size * p_bar[i] * inverse;
        const Real s = s_bar[i] - size * by * inverse / (Real(2) * root);
        gradient[i] = one_less_m * mean + Real(2) * fresh * s * g[i];
        m_out[i] = m * mean;
        s_out[i] = decay * s;
        by_size += double(by);
        by_momentum += double(mean) * double(old_means[i] - g[i]);
    }
    store_sums(by_size, by_momentum, partial);
}
