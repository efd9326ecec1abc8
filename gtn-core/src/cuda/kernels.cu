// Every kernel, for float as NAME_f32 and for double as NAME_f64: one module.
//
// A kernel's file lies beside the operation that it serves, and is written once, for `Real`.

// Threads of every block: as in launch.rs.
constexpr int BLOCK = 256;

#define KERNEL(NAME) extern "C" __global__ void NAME##_f32
namespace f32 {
typedef float Real;
#include "all.cuh"
}
#undef KERNEL

#define KERNEL(NAME) extern "C" __global__ void NAME##_f64
namespace f64 {
typedef double Real;
#include "all.cuh"
}
#undef KERNEL
