// What the parts of libcuda.so.1 share.
#pragma once
#include "device.h"
#include <cstdint>

// Says what went wrong on standard error and aborts: a fault of the program's on a real device, too.
[[noreturn, gnu::format(printf, 1, 2)]] void fatal(const char *format, ...);
// Says it and goes on.
[[gnu::format(printf, 1, 2)]] void complain(const char *format, ...);

// launch.cpp
struct Where {
    const char *kernel;
    Dim3 block;
    unsigned thread;
};
// Where the device is computing, if it is.
bool where_now(Where &where);
void run_kernel(const KernelModule &module, const Kernel &kernel, Dim3 grid, Dim3 block, size_t shared, void **arguments);

// memory.cpp
struct MemoryUse {
    size_t live, peak;
};
void *device_allocate(size_t bytes);
bool device_free(void *pointer);
// Whether a pointer lies in an allocation, or at its end.
bool device_owns(const void *pointer);
// Aborts if bytes beside the allocation that holds `pointer` were written; `after` says what ran last.
void check_guards(const void *pointer, const char *after);
MemoryUse memory_use();
void reset_peak();

// report.cpp
enum class Copy { HostToDevice, DeviceToHost, DeviceToDevice, Fill };
void count_launch(const Kernel &kernel);
void count_copy(Copy copy, size_t bytes);
void count_synchronisation();
