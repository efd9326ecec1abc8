// A product of matrices, column by column as in BLAS: C = alpha op(A) op(B) + beta C.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

template <class T> struct Operand {
    const T *data;
    size_t leading;
    bool transposed;
    T at(size_t row, size_t column) const { return transposed ? data[row * leading + column] : data[column * leading + row]; }
};

// What tensor cores see of a float when TF32 is on: 10 bits of mantissa, to nearest even.
inline float as_tf32(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7f800000) != 0x7f800000) bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    memcpy(&x, &bits, sizeof x);
    return x;
}
inline double as_tf32(double x) { return x; }

// Copies part of op(A), `rows` × `columns`, in panels of PANEL rows (padded with zeros), each column by column.
template <int PANEL, class T, class At>
void pack(std::vector<T> &to, size_t rows, size_t columns, bool tf32, At at) {
    to.assign((rows + PANEL - 1) / PANEL * PANEL * columns, T(0));
    for (size_t row = 0; row < rows; row++) {
        T *panel = &to[row / PANEL * PANEL * columns + row % PANEL];
        for (size_t column = 0; column < columns; column++) panel[column * PANEL] = tf32 ? as_tf32(at(row, column)) : at(row, column);
    }
}

template <class T>
void product(size_t m, size_t n, size_t k, T alpha, Operand<T> a, Operand<T> b, T beta, T *c, size_t ldc, bool tf32) {
    typedef T Vector __attribute__((vector_size(64), aligned(8)));
    constexpr int WIDTH = 64 / sizeof(T), HEIGHT = 2 * WIDTH, COLUMNS = 6;
    constexpr size_t DEPTH = 256, ROWS = 8 * HEIGHT;

    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < m; i++) {
            // With beta 0, C need not be initialised.
            T &x = c[j * ldc + i];
            x = beta == T(0) ? T(0) : beta * x;
        }
    static thread_local std::vector<T> left, right;
    for (size_t p = 0; p < k; p += DEPTH) {
        const size_t depth = std::min(DEPTH, k - p);
        pack<COLUMNS>(right, n, depth, tf32, [&](size_t j, size_t l) { return b.at(p + l, j); });
        for (size_t i0 = 0; i0 < m; i0 += ROWS) {
            const size_t rows = std::min(ROWS, m - i0);
            pack<HEIGHT>(left, rows, depth, tf32, [&](size_t i, size_t l) { return a.at(i0 + i, p + l); });
            for (size_t j = 0; j < n; j += COLUMNS)
                for (size_t i = 0; i < rows; i += HEIGHT) {
                    const T *x = &left[i * depth], *y = &right[j * depth];
                    Vector sums[COLUMNS][2] = {};
                    for (size_t l = 0; l < depth; l++, x += HEIGHT, y += COLUMNS) {
                        const Vector x0 = *(const Vector *)x, x1 = *(const Vector *)(x + WIDTH);
                        for (int s = 0; s < COLUMNS; s++) {
                            sums[s][0] += x0 * y[s];
                            sums[s][1] += x1 * y[s];
                        }
                    }
                    const size_t height = std::min<size_t>(HEIGHT, rows - i), width = std::min<size_t>(COLUMNS, n - j);
                    for (size_t s = 0; s < width; s++)
                        for (size_t r = 0; r < height; r++) c[(j + s) * ldc + i0 + i + r] += alpha * sums[s][r / WIDTH][r % WIDTH];
                }
        }
    }
}
