// Device memory: on the host, remembered, and watched. What is uninitialised on a device is NaN here.
#include "internal.h"
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

namespace {

struct Allocation {
    // Guard bytes fill [low, start) and [start + bytes, high).
    char *low, *start, *high;
    size_t bytes;
    // Of the mapping, where every allocation has one.
    size_t mapped;
};

constexpr unsigned char GUARD = 0xa5;
constexpr size_t MARGIN = 256;
// With EMULATED_GPU_GUARD=1, every allocation ends at a page that cannot be touched, and freed memory cannot either.
const bool PAGES = getenv("EMULATED_GPU_GUARD") && !strcmp(getenv("EMULATED_GPU_GUARD"), "1");

// Never destroyed: other threads may still free when the process ends.
auto &allocations = *new std::map<uintptr_t, Allocation>;
MemoryUse use;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

const Allocation *find(const void *pointer) {
    auto next = allocations.upper_bound(uintptr_t(pointer));
    if (next == allocations.begin()) return nullptr;
    const Allocation &a = std::prev(next)->second;
    return (char *)pointer <= a.start + a.bytes ? &a : nullptr;
}

void check(const Allocation &a, const char *after) {
    auto intact = [](const char *from, const char *to) {
        while (from < to && (unsigned char)*from == GUARD) from++;
        return from == to;
    };
    if (!intact(a.low, a.start)) fatal("%s: bytes before an allocation of %zu bytes were written", after, a.bytes);
    if (!intact(a.start + a.bytes, a.high))
        fatal("%s: bytes after an allocation of %zu bytes were written", after, a.bytes);
}

void on_fault(int signal, siginfo_t *info, void *) {
    Where where;
    if (where_now(where))
        complain("kernel %s, block (%u, %u, %u), thread %u: no memory at %p, or not any more", where.kernel, where.block.x,
                 where.block.y, where.block.z, where.thread, info->si_addr);
    ::signal(signal, SIG_DFL);
}

void catch_faults() {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
}

Allocation place(size_t bytes) {
    if (PAGES) {
        static bool once = (catch_faults(), true);
        (void)once;
        const size_t page = sysconf(_SC_PAGESIZE), mapped = round_up(bytes, page);
        char *low = (char *)mmap(nullptr, mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (low == MAP_FAILED) return {};
        mprotect(low + mapped, page, PROT_NONE);
        char *high = low + mapped;
        return {low, high - round_up(bytes, 32), high, bytes, mapped};
    }
    // A device aligns to 256 bytes.
    const size_t whole = MARGIN + round_up(bytes, 256) + MARGIN;
    char *low = (char *)aligned_alloc(256, whole);
    return {low, low + MARGIN, low + whole, bytes, 0};
}

} // namespace

void *device_allocate(size_t bytes) {
    Allocation a = place(bytes);
    if (!a.low) return nullptr;
    memset(a.low, GUARD, a.start - a.low);
    memset(a.start, 0xff, bytes);
    memset(a.start + bytes, GUARD, a.high - a.start - bytes);
    allocations[uintptr_t(a.start)] = a;
    use.live += bytes;
    if (use.live > use.peak) use.peak = use.live;
    return a.start;
}

bool device_free(void *pointer) {
    auto it = allocations.find(uintptr_t(pointer));
    if (it == allocations.end()) return false;
    Allocation a = it->second;
    check(a, "memory is freed");
    allocations.erase(it);
    use.live -= a.bytes;
    if (a.mapped) {
        // The addresses stay taken, so that nothing else comes to lie there.
        madvise(a.low, a.mapped, MADV_DONTNEED);
        mprotect(a.low, a.mapped, PROT_NONE);
    } else {
        free(a.low);
    }
    return true;
}

bool device_owns(const void *pointer) { return find(pointer); }

void check_guards(const void *pointer, const char *after) {
    if (const Allocation *a = find(pointer)) check(*a, after);
}

bool emulated_in_bounds(const void *pointer, size_t bytes, const char *what) {
    if (!bytes) return true;
    const Allocation *a = find(pointer);
    if (!a) return complain("%s: %p is in no allocation", what, pointer), false;
    const size_t from = (char *)pointer - a->start;
    if (bytes > a->bytes - from)
        return complain("%s: bytes %zu to %zu of an allocation of %zu", what, from, from + bytes, a->bytes), false;
    return true;
}

MemoryUse memory_use() { return use; }
void reset_peak() { use.peak = use.live; }
