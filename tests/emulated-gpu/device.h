// What the pieces of the emulated device share. libcuda.so.1 defines the functions; the kernel modules and the other
// libraries find them there.
#pragma once
#include <cstddef>

#pragma GCC visibility push(default)

struct Dim3 {
    unsigned x, y, z;
};

// A `__global__` function, called without knowing its type.
struct Kernel {
    const char *name;
    unsigned parameters;
    // Runs threads of the current block until emulated_next_thread() has no more.
    void (*threads)(void **arguments);
    // Writes the arguments that are pointers; returns how many.
    unsigned (*pointers)(void **arguments, const void **out);
};

// One `.cu` file, compiled for the host: its library exports one of these as `emulated_module`.
struct KernelModule {
    const char *source;
    const Kernel *kernels;
    unsigned count;
    void (*begin_launch)(Dim3 grid, Dim3 block, void *dynamic_shared);
    void (*begin_block)(Dim3 block);
};

extern "C" {
// The number of the block's next thread, counted as warps are; ~0u after the last.
unsigned emulated_next_thread();
// __syncthreads(), and __syncwarp(mask).
void emulated_block_barrier();
void emulated_warp_barrier(unsigned mask);
// Gives `bytes` (8 at most) of `value` to the warp and takes those of the thread numbered `from`.
void emulated_exchange(unsigned mask, unsigned from, const void *value, void *out, size_t bytes);

// Whether `bytes` from `pointer` on lie within one allocation; says what is wrong if not.
bool emulated_in_bounds(const void *pointer, size_t bytes, const char *what);
void emulated_count_product(const char *name);
// A function that was called but is not emulated: named once on standard error.
void emulated_missing(const char *function);
// Serialises all that the device does.
void emulated_lock();
void emulated_unlock();
}

struct DeviceLock {
    DeviceLock() { emulated_lock(); }
    ~DeviceLock() { emulated_unlock(); }
};

#pragma GCC visibility pop
