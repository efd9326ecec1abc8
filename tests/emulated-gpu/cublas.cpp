// libcublas.so.13: products of matrices and of a matrix and a vector, in f32 and f64.
#include "device.h"
#include "product.h"


namespace {

// Numbers from cublas_api.h and library_types.h, which are not needed otherwise.
enum Status { SUCCESS = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_64F = 1 };
enum { COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_64F = 70, COMPUTE_64F_PEDANTIC = 71, COMPUTE_32F_FAST_TF32 = 77 };
enum { TF32_TENSOR_OP_MATH = 3 };

struct Handle {
    int math_mode = 0, pointer_mode = 0;
    void *stream = nullptr;
};

// `batch` matrices, `stride` values apart: whether they lie in bounds, with `rows` × `columns` as they are stored.
template <class T>
bool fits(const T *data, int rows, int columns, int leading, long long stride, int batch, const char *what) {
    if (!rows || !columns || !batch) return true;
    const size_t last = size_t(columns - 1) * leading + rows + stride * size_t(batch - 1);
    return emulated_in_bounds(data, last * sizeof(T), what);
}

template <class T>
Status products(const char *name, bool tf32, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int lda,
                long long stride_a, const void *b, int ldb, long long stride_b, const void *beta, void *c, int ldc,
                long long stride_c, int batch) {
    DeviceLock lock;
    const int a_rows = ta ? k : m, a_columns = ta ? m : k, b_rows = tb ? n : k, b_columns = tb ? k : n;
    if (m < 0 || n < 0 || k < 0 || batch < 0) return INVALID_VALUE;
    if (lda < std::max(1, a_rows) || ldb < std::max(1, b_rows) || ldc < std::max(1, m)) return INVALID_VALUE;
    const T scale = *(const T *)alpha, keep = *(const T *)beta;
    auto *x = (const T *)a, *y = (const T *)b;
    auto *z = (T *)c;
    if (!fits(x, a_rows, a_columns, lda, stride_a, batch, "matrix A of cuBLAS") ||
        !fits(y, b_rows, b_columns, ldb, stride_b, batch, "matrix B of cuBLAS") ||
        !fits(z, m, n, ldc, stride_c, batch, "matrix C of cuBLAS"))
        return EXECUTION_FAILED;
    for (int i = 0; i < batch; i++)
        product<T>(m, n, k, scale, {x + i * stride_a, size_t(lda), ta != 0}, {y + i * stride_b, size_t(ldb), tb != 0}, keep,
                   z + i * stride_c, ldc, tf32);
    emulated_count_product(name);
    return SUCCESS;
}

template <class T>
Status matrix_vector(const char *name, int trans, int m, int n, const T *alpha, const T *a, int lda, const T *x, int incx,
                     const T *beta, T *y, int incy) {
    // A vector is a matrix of one row, whose leading dimension is the increment.
    const int rows = trans ? n : m, depth = trans ? m : n;
    if (incx < 1 || incy < 1) return emulated_missing("a negative increment in gemv"), NOT_SUPPORTED;
    // y' = x' op(A)'
    return products<T>(name, false, 0, !trans, 1, rows, depth, alpha, x, incx, 0, a, lda, 0, beta, y, incy, 0, 1);
}

bool tf32(Handle *handle) { return handle->math_mode & TF32_TENSOR_OP_MATH; }

} // namespace

extern "C" {

Status cublasCreate_v2(Handle **handle) { return *handle = new Handle, SUCCESS; }
Status cublasDestroy_v2(Handle *handle) { return delete handle, SUCCESS; }
Status cublasSetStream_v2(Handle *handle, void *stream) { return handle->stream = stream, SUCCESS; }
Status cublasGetStream_v2(Handle *handle, void **stream) { return *stream = handle->stream, SUCCESS; }
Status cublasSetWorkspace_v2(Handle *, void *, size_t) { return SUCCESS; }
Status cublasSetMathMode(Handle *handle, int mode) { return handle->math_mode = mode, SUCCESS; }
Status cublasGetMathMode(Handle *handle, int *mode) { return *mode = handle->math_mode, SUCCESS; }
Status cublasGetPointerMode_v2(Handle *handle, int *mode) { return *mode = handle->pointer_mode, SUCCESS; }
Status cublasSetPointerMode_v2(Handle *handle, int mode) {
    if (mode) return emulated_missing("cuBLAS with factors on the device"), NOT_SUPPORTED;
    return handle->pointer_mode = mode, SUCCESS;
}

#define GEMM(LETTER, T)                                                                                                          \
    Status cublas##LETTER##gemm_v2(Handle *h, int ta, int tb, int m, int n, int k, const T *alpha, const T *a, int lda,           \
                                   const T *b, int ldb, const T *beta, T *c, int ldc) {                                           \
        return products<T>(#LETTER "gemm", tf32(h), ta, tb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);            \
    }                                                                                                                            \
    Status cublas##LETTER##gemmStridedBatched(Handle *h, int ta, int tb, int m, int n, int k, const T *alpha, const T *a,         \
                                              int lda, long long sa, const T *b, int ldb, long long sb, const T *beta, T *c,      \
                                              int ldc, long long sc, int batch) {                                                 \
        return products<T>(#LETTER "gemmStridedBatched", tf32(h), ta, tb, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc,   \
                           sc, batch);                                                                                           \
    }                                                                                                                            \
    Status cublas##LETTER##gemv_v2(Handle *, int trans, int m, int n, const T *alpha, const T *a, int lda, const T *x, int incx,  \
                                   const T *beta, T *y, int incy) {                                                               \
        return matrix_vector<T>(#LETTER "gemv", trans, m, n, alpha, a, lda, x, incx, beta, y, incy);                              \
    }
GEMM(S, float)
GEMM(D, double)

Status cublasGemmStridedBatchedEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type,
                                  int lda, long long sa, const void *b, int b_type, int ldb, long long sb, const void *beta,
                                  void *c, int c_type, int ldc, long long sc, int batch, int compute, int) {
    const char *name = "GemmStridedBatchedEx";
    auto all = [&](int type) { return a_type == type && b_type == type && c_type == type; };
    if (all(R_32F) && (compute == COMPUTE_32F || compute == COMPUTE_32F_PEDANTIC || compute == COMPUTE_32F_FAST_TF32)) {
        const bool rounded = compute == COMPUTE_32F_FAST_TF32 || (compute == COMPUTE_32F && tf32(h));
        return products<float>(name, rounded, ta, tb, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, batch);
    }
    if (all(R_64F) && (compute == COMPUTE_64F || compute == COMPUTE_64F_PEDANTIC))
        return products<double>(name, false, ta, tb, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, batch);
    return emulated_missing("cuBLAS with these types"), NOT_SUPPORTED;
}

Status cublasGemmEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda,
                    const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int algo) {
    return cublasGemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c, c_type, ldc, 0, 1,
                                      compute, algo);
}

} // extern "C"

