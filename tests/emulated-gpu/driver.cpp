// libcuda.so.1: the part of the driver API that cudarc uses for candle and for this workspace. Streams run at once.
// Functions that are missing here are weak stubs, which build.sh writes.
#include "internal.h"
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <cuda.h>
#include <dirent.h>
#include <dlfcn.h>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr size_t TOTAL_MEMORY = size_t(80) << 30;

struct Compiled {
    const KernelModule *module;
    const Kernel *kernel;
};

// The kernels that were compiled for the host, by name.
std::map<std::string, Compiled> load_kernels() {
    std::map<std::string, Compiled> kernels;
    Dl_info self;
    dladdr((void *)load_kernels, &self);
    std::string folder = self.dli_fname;
    folder.resize(folder.rfind('/'));
    folder += "/kernels";
    DIR *dir = opendir(folder.c_str());
    if (!dir) fatal("the folder %s is missing", folder.c_str());
    while (dirent *entry = readdir(dir)) {
        if (!strstr(entry->d_name, ".so")) continue;
        void *library = dlopen((folder + "/" + entry->d_name).c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library) fatal("%s", dlerror());
        auto *module = (const KernelModule *)dlsym(library, "emulated_module");
        for (unsigned i = 0; i < module->count; i++) {
            const Kernel &kernel = module->kernels[i];
            if (!kernels.insert({kernel.name, {module, &kernel}}).second)
                fatal("two sources have a kernel %s; one is %s", kernel.name, module->source);
        }
    }
    closedir(dir);
    return kernels;
}

const std::map<std::string, Compiled> &kernels() {
    static auto &all = *new std::map<std::string, Compiled>(load_kernels());
    return all;
}

// A loaded module is its PTX, which says what a real device would find in it.
struct Ptx {
    std::string text;

    // The number of an entry's parameters; -1 if there is no such entry.
    int parameters(const std::string &name) const {
        size_t at = text.find(".entry " + name + "(");
        if (at == std::string::npos) return -1;
        int count = 0;
        for (size_t end = text.find(')', at); (at = text.find(".param ", at)) < end; at++) count++;
        return count;
    }
};

struct Event {
    std::chrono::steady_clock::time_point time;
};

int device_attribute(CUdevice_attribute attribute) {
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: return 1;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return 9;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return 0;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 132;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return 2048;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 48 << 10;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
    default: return -1;
    }
}

bool launchable(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared) {
    auto within = [](unsigned n, unsigned most) { return 0 < n && n <= most; };
    return within(gx, 0x7fffffff) && within(gy, 65535) && within(gz, 65535) && within(bx, 1024) && within(by, 1024) &&
           within(bz, 64) && size_t(bx) * by * bz <= 1024 && shared <= 227 << 10;
}

char context_is_somewhere, pool_is_somewhere;
const auto CONTEXT = (CUcontext)&context_is_somewhere;
const auto POOL = (CUmemoryPool)&pool_is_somewhere;
thread_local CUcontext current_context;

CUresult bounded_copy(Copy copy, void *to, const void *from, size_t bytes) {
    DeviceLock lock;
    if (copy != Copy::HostToDevice && !emulated_in_bounds(from, bytes, "source of a copy")) return CUDA_ERROR_INVALID_VALUE;
    if (copy != Copy::DeviceToHost && !emulated_in_bounds(to, bytes, "target of a copy")) return CUDA_ERROR_INVALID_VALUE;
    memmove(to, from, bytes);
    count_copy(copy, bytes);
    return CUDA_SUCCESS;
}

CUresult bounded_fill(CUdeviceptr to, unsigned char value, size_t bytes) {
    DeviceLock lock;
    if (!emulated_in_bounds((void *)to, bytes, "target of a fill")) return CUDA_ERROR_INVALID_VALUE;
    memset((void *)to, value, bytes);
    count_copy(Copy::Fill, bytes);
    return CUDA_SUCCESS;
}

CUresult synchronised() {
    DeviceLock lock;
    count_synchronisation();
    return CUDA_SUCCESS;
}

} // namespace

// --- Device, context, streams ---

CUresult cuInit(unsigned) {
    DeviceLock lock;
    kernels();
    return CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int *version) { return *version = 13000, CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    return *device = ordinal, ordinal ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int *count) { return *count = 1, CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int length, CUdevice) {
    if (length > 0) name[0] = 0, strncat(name, "Emulated GPU", length - 1);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
    *value = device_attribute(attribute);
    if (*value >= 0) return CUDA_SUCCESS;
    complain("device attribute %d is not emulated", attribute);
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice) { return *bytes = TOTAL_MEMORY, CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) { return *context = CONTEXT, CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRelease(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { return *context = current_context, CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext context) { return current_context = context, CUDA_SUCCESS; }
CUresult cuCtxSetFlags(unsigned) { return CUDA_SUCCESS; }
CUresult cuCtxSynchronize() { return synchronised(); }

CUresult cuStreamCreate(CUstream *stream, unsigned) { return *stream = (CUstream) new char, CUDA_SUCCESS; }
CUresult cuStreamDestroy(CUstream stream) { return delete (char *)stream, CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream) { return synchronised(); }
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned) { return CUDA_SUCCESS; }
CUresult cuStreamIsCapturing(CUstream, CUstreamCaptureStatus *status) {
    return *status = CU_STREAM_CAPTURE_STATUS_NONE, CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned) { return *event = (CUevent) new Event, CUDA_SUCCESS; }
CUresult cuEventDestroy(CUevent event) { return delete (Event *)event, CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent event, CUstream) {
    return ((Event *)event)->time = std::chrono::steady_clock::now(), CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent) { return CUDA_SUCCESS; }
CUresult cuEventSynchronize(CUevent) { return synchronised(); }
CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to) {
    *ms = std::chrono::duration<float, std::milli>(((Event *)to)->time - ((Event *)from)->time).count();
    return CUDA_SUCCESS;
}

// --- Memory ---

CUresult cuMemAlloc(CUdeviceptr *pointer, size_t bytes) {
    DeviceLock lock;
    if (!bytes) return complain("an allocation of 0 bytes, which drivers refuse"), CUDA_ERROR_INVALID_VALUE;
    *pointer = (CUdeviceptr)device_allocate(bytes);
    return *pointer ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult cuMemAllocAsync(CUdeviceptr *pointer, size_t bytes, CUstream) { return cuMemAlloc(pointer, bytes); }
CUresult cuMemFree(CUdeviceptr pointer) {
    DeviceLock lock;
    if (!pointer || device_free((void *)pointer)) return CUDA_SUCCESS;
    complain("%p was freed, but is no allocation", (void *)pointer);
    return CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream) { return cuMemFree(pointer); }
CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned) {
    *pointer = malloc(bytes ? bytes : 1);
    return *pointer ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult cuMemFreeHost(void *pointer) { return free(pointer), CUDA_SUCCESS; }
CUresult cuMemGetInfo(size_t *available, size_t *total) {
    DeviceLock lock;
    *total = TOTAL_MEMORY;
    *available = TOTAL_MEMORY - memory_use().live;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice) { return *pool = POOL, CUDA_SUCCESS; }
CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice) { return *pool = POOL, CUDA_SUCCESS; }
CUresult cuMemPoolTrimTo(CUmemoryPool, size_t) { return CUDA_SUCCESS; }
CUresult cuMemPoolSetAttribute(CUmemoryPool, CUmemPool_attribute attribute, void *) {
    DeviceLock lock;
    if (attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH || attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) reset_peak();
    return CUDA_SUCCESS;
}
CUresult cuMemPoolGetAttribute(CUmemoryPool, CUmemPool_attribute attribute, void *value) {
    DeviceLock lock;
    switch (attribute) {
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT: *(cuuint64_t *)value = memory_use().live; return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH: *(cuuint64_t *)value = memory_use().peak; return CUDA_SUCCESS;
    default: complain("memory pool attribute %d is not emulated", attribute); return CUDA_ERROR_NOT_SUPPORTED;
    }
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
    return bounded_copy(Copy::HostToDevice, (void *)to, from, bytes);
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream) { return cuMemcpyHtoD(to, from, bytes); }
CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
    return bounded_copy(Copy::DeviceToHost, to, (void *)from, bytes);
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream) { return cuMemcpyDtoH(to, from, bytes); }
CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    return bounded_copy(Copy::DeviceToDevice, (void *)to, (void *)from, bytes);
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) { return cuMemcpyDtoD(to, from, bytes); }
CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t bytes) { return bounded_fill(to, value, bytes); }
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream) { return bounded_fill(to, value, bytes); }

// --- Kernels ---

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    // Binary code starts with a byte that no PTX has.
    if ((unsigned char)*(const char *)image >= 0x7f) {
        complain("a module is not PTX");
        return CUDA_ERROR_INVALID_IMAGE;
    }
    *module = (CUmodule) new Ptx{(const char *)image};
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) { return delete (Ptx *)module, CUDA_SUCCESS; }

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    DeviceLock lock;
    const int parameters = ((Ptx *)module)->parameters(name);
    if (parameters < 0) return CUDA_ERROR_NOT_FOUND;
    auto compiled = kernels().find(name);
    if (compiled == kernels().end() || compiled->second.kernel->parameters != unsigned(parameters)) {
        complain("kernel %s is not compiled for the emulated device, or differs: run build.sh again", name);
        return CUDA_ERROR_NOT_FOUND;
    }
    *function = (CUfunction)&compiled->second;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction) {
    *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
    return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }

CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, CUstream, void **arguments, void **) {
    DeviceLock lock;
    const auto &[module, kernel] = *(const Compiled *)function;
    if (!launchable(gx, gy, gz, bx, by, bz, shared)) {
        complain("kernel %s: no launch with %u × %u × %u blocks of %u × %u × %u threads and %u bytes", kernel->name, gx, gy,
                 gz, bx, by, bz, shared);
        return CUDA_ERROR_INVALID_VALUE;
    }
    std::vector<const void *> pointers(kernel->parameters);
    pointers.resize(kernel->pointers(arguments, pointers.data()));
    for (const void *pointer : pointers)
        if (pointer && !device_owns(pointer)) {
            complain("kernel %s: an argument points to %p, where no memory is, or not any more", kernel->name, pointer);
            return CUDA_ERROR_ILLEGAL_ADDRESS;
        }
    run_kernel(*module, *kernel, {gx, gy, gz}, {bx, by, bz}, shared, arguments);
    count_launch(*kernel);
    for (const void *pointer : pointers) check_guards(pointer, kernel->name);
    return CUDA_SUCCESS;
}

// --- Errors ---

CUresult cuGetErrorName(CUresult error, const char **text) {
    switch (error) {
    case CUDA_SUCCESS: *text = "CUDA_SUCCESS"; break;
    case CUDA_ERROR_INVALID_VALUE: *text = "CUDA_ERROR_INVALID_VALUE"; break;
    case CUDA_ERROR_OUT_OF_MEMORY: *text = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case CUDA_ERROR_INVALID_DEVICE: *text = "CUDA_ERROR_INVALID_DEVICE"; break;
    case CUDA_ERROR_NOT_FOUND: *text = "CUDA_ERROR_NOT_FOUND"; break;
    case CUDA_ERROR_ILLEGAL_ADDRESS: *text = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case CUDA_ERROR_NOT_SUPPORTED: *text = "CUDA_ERROR_NOT_SUPPORTED"; break;
    default: *text = "an error"; break;
    }
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) { return cuGetErrorName(error, text); }
