// CUDA C++ as host C++: included before every `.cu` file. Only what the kernels need; a missing name is a compile error.
#pragma once
#include "../device.h"
#include <cassert>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0
// Below 5.3, sources leave half precision out.
#define __CUDA_ARCH__ 520

#define __global__ __attribute__((used))
#define __device__
#define __host__
#define __constant__ static const
// Blocks run one after the other, so their shared memory can be the same.
#define __shared__ static
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)

// --- Where a thread is ---

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
    unsigned x, y, z;
};

// Initialised, so that they lie outside of the zero-initialised section, which begin_block() overwrites.
static uint3 threadIdx{1, 1, 1}, blockIdx{1, 1, 1};
static dim3 blockDim, gridDim;
static void *emulated_dynamic_shared = (void *)1;
static constexpr int warpSize = 32;

extern "C" __attribute__((visibility("hidden"))) char __bss_start, _end;

namespace emulated {

inline void begin_launch(Dim3 grid, Dim3 block, void *dynamic_shared) {
    gridDim = {grid.x, grid.y, grid.z};
    blockDim = {block.x, block.y, block.z};
    emulated_dynamic_shared = dynamic_shared;
}

inline void begin_block(Dim3 block) {
    blockIdx = {block.x, block.y, block.z};
    // The zero-initialised section holds nothing but `__shared__` variables: to a block they are
    // uninitialised, so they are made NaN.
    memset(&__bss_start, 0xff, &_end - &__bss_start);
}

inline void place(unsigned thread) {
    unsigned row = thread / blockDim.x;
    threadIdx = {thread % blockDim.x, row % blockDim.y, row / blockDim.y};
}

inline unsigned linear() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

// Others run while a thread waits.
template <class F> void waiting(F wait) {
    uint3 me = threadIdx;
    wait();
    threadIdx = me;
}

template <class T> T exchange(unsigned mask, unsigned from, T value) {
    static_assert(sizeof(T) <= 8);
    T out;
    waiting([&] { emulated_exchange(mask, from, &value, &out, sizeof(T)); });
    return out;
}

template <auto F> struct Entry;
template <class... A, void (*F)(A...)> struct Entry<F> {
    static void threads(void **arguments) { threads(arguments, std::index_sequence_for<A...>()); }
    template <size_t... I> static void threads(void **arguments, std::index_sequence<I...>) {
        for (unsigned thread; (thread = emulated_next_thread()) != ~0u;) {
            place(thread);
            F(*(std::remove_const_t<A> *)arguments[I]...);
        }
    }
    static unsigned pointers(void **arguments, const void **out) {
        unsigned index = 0, count = 0;
        ((std::is_pointer_v<A> ? (void)(out[count++] = *(void **)arguments[index]) : (void)0, index++), ...);
        return count;
    }
    static constexpr Kernel kernel(const char *name) { return {name, sizeof...(A), threads, pointers}; }
};

} // namespace emulated

// --- Threads together ---

inline void __syncthreads() { emulated::waiting(emulated_block_barrier); }
inline void __syncwarp(unsigned mask = ~0u) { emulated::waiting([=] { emulated_warp_barrier(mask); }); }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    unsigned me = emulated::linear();
    return emulated::exchange(mask, (me & ~(width - 1u)) | (lane & (width - 1u)), value);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
    unsigned me = emulated::linear(), from = me ^ lanes;
    return emulated::exchange(mask, (me ^ from) & ~(width - 1u) ? me : from, value);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
    unsigned me = emulated::linear(), from = me + lanes;
    return emulated::exchange(mask, (me ^ from) & ~(width - 1u) ? me : from, value);
}

// Threads take turns only at barriers: nothing comes between.
template <class T, class V> T atomicAdd(T *address, V value) {
    T old = *address;
    *address = old + T(value);
    return old;
}
template <class T, class C, class V> T atomicCAS(T *address, C compare, V value) {
    T old = *address;
    if (old == T(compare)) *address = T(value);
    return old;
}
template <class T, class V> T atomicMax(T *address, V value) {
    T old = *address;
    if (T(value) > old) *address = T(value);
    return old;
}
template <class T, class V> T atomicMin(T *address, V value) {
    T old = *address;
    if (T(value) < old) *address = T(value);
    return old;
}

// --- Types and functions ---

template <class T, int N> struct alignas(sizeof(T) * N) EmulatedVector;
template <class T> struct alignas(sizeof(T) * 2) EmulatedVector<T, 2> {
    T x, y;
};
template <class T> struct alignas(16) EmulatedVector<T, 4> {
    T x, y, z, w;
};
using float2 = EmulatedVector<float, 2>;
using float4 = EmulatedVector<float, 4>;
using double2 = EmulatedVector<double, 2>;
using double4 = EmulatedVector<double, 4>;
using int2 = EmulatedVector<int, 2>;
using int4 = EmulatedVector<int, 4>;
using uint2 = EmulatedVector<unsigned, 2>;
using uint4 = EmulatedVector<unsigned, 4>;
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline double4 make_double4(double x, double y, double z, double w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// As in CUDA, a number goes before one that is not.
template <class A, class B> constexpr auto min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return T(std::fmin(T(a), T(b)));
    else return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B> constexpr auto max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return T(std::fmax(T(a), T(b)));
    else return T(a) < T(b) ? T(b) : T(a);
}

using std::isfinite, std::isinf, std::isnan, std::signbit;

template <class T> T __ldg(const T *address) { return *address; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * float(M_SQRT1_2)); }
inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
template <class To, class From> To emulated_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline int __float_as_int(float x) { return emulated_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline float __int_as_float(int x) { return emulated_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulated_bits<double>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
