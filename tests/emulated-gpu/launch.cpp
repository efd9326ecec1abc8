// Runs kernels: blocks one after the other, the threads of a block as fibers of the calling thread, which take turns at
// barriers. A fiber starts one thread after another until one of them waits: a kernel without barriers is a plain loop.
#include "internal.h"
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

namespace {

enum class State { Idle, Ready, AtBlockBarrier, AtWarpBarrier };

struct Fiber {
    jmp_buf resume;
    ucontext_t start;
    State state = State::Idle;
    bool started = false;
    unsigned thread = 0, mask = 0;
};

constexpr size_t STACK = 128 << 10;
constexpr unsigned END = ~0u;

// With EMULATED_GPU_ORDER=reverse, blocks and threads run last first: where results differ, a barrier is missing.
const bool REVERSE = getenv("EMULATED_GPU_ORDER") && !strcmp(getenv("EMULATED_GPU_ORDER"), "reverse");

std::vector<Fiber *> fibers;
Fiber *current;
jmp_buf home;
const Kernel *kernel;
void **arguments;
Dim3 block_index;
unsigned started, threads;

// One value a thread; two of each, since one thread may be at the next exchange while another reads this one's.
struct Slots {
    unsigned char values[2][8];
    unsigned turn;
};
Slots slots[1024];

// setjmp and longjmp switch without system calls; makecontext only gives a fiber its stack.
__attribute__((noinline)) void suspend(State state) {
    current->state = state;
    if (!_setjmp(current->resume)) _longjmp(home, 1);
}

void fiber_main() {
    for (;;) {
        kernel->threads(arguments);
        suspend(State::Idle);
    }
}

__attribute__((noinline)) void resume(Fiber *fiber) {
    current = fiber;
    fiber->state = State::Ready;
    if (_setjmp(home)) return;
    if (fiber->started) _longjmp(fiber->resume, 1);
    fiber->started = true;
    setcontext(&fiber->start);
}

Fiber *new_fiber() {
    auto *fiber = new Fiber;
    void *stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) fatal("no memory for the stacks of %zu threads", fibers.size());
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = stack;
    fiber->start.uc_stack.ss_size = STACK;
    makecontext(&fiber->start, fiber_main, 0);
    return fiber;
}

// Whoever waits for a warp can only wait for threads that have come as far as they get alone.
bool release_warps(unsigned used) {
    bool any = false;
    for (unsigned i = 0; i < used; i++) any |= fibers[i]->state == State::AtWarpBarrier;
    if (!any) return false;
    for (unsigned i = 0; i < used; i++) {
        Fiber *fiber = fibers[i];
        if (fiber->state == State::AtWarpBarrier) {
            fiber->state = State::Ready;
            continue;
        }
        if (fiber->state != State::AtBlockBarrier) continue;
        for (unsigned j = 0; j < used; j++)
            if (fibers[j]->state == State::AtWarpBarrier && fibers[j]->thread / 32 == fiber->thread / 32 &&
                fibers[j]->mask >> fiber->thread % 32 & 1)
                fatal("kernel %s: threads %u and %u of a warp wait at different barriers", kernel->name, fiber->thread,
                      fibers[j]->thread);
    }
    return true;
}

bool release_block(unsigned used) {
    bool any = false;
    for (unsigned i = 0; i < used; i++)
        if (fibers[i]->state == State::AtBlockBarrier) {
            fibers[i]->state = State::Ready;
            any = true;
        }
    return any;
}

void run_block() {
    started = 0;
    unsigned used = 0;
    while (started < threads) {
        if (used == fibers.size()) fibers.push_back(new_fiber());
        resume(fibers[used]);
        // The last one may have run out of threads; so have all that come after.
        if (fibers[used]->state != State::Idle) used++;
    }
    while (release_warps(used) || release_block(used))
        for (unsigned i = 0; i < used; i++)
            if (fibers[i]->state == State::Ready) resume(fibers[i]);
}

} // namespace

unsigned emulated_next_thread() {
    if (started == threads) return END;
    current->thread = REVERSE ? threads - 1 - started : started;
    started++;
    return current->thread;
}

void emulated_block_barrier() { suspend(State::AtBlockBarrier); }

void emulated_warp_barrier(unsigned mask) {
    current->mask = mask;
    suspend(State::AtWarpBarrier);
}

void emulated_exchange(unsigned mask, unsigned from, const void *value, void *out, size_t bytes) {
    Slots &mine = slots[current->thread];
    unsigned turn = mine.turn ^= 1;
    memcpy(mine.values[turn], value, bytes);
    emulated_warp_barrier(mask);
    memcpy(out, from < threads ? slots[from].values[turn] : value, bytes);
}

void run_kernel(const KernelModule &module, const Kernel &k, Dim3 grid, Dim3 block, size_t shared, void **args) {
    kernel = &k;
    arguments = args;
    threads = block.x * block.y * block.z;
    memset(slots, 0, sizeof slots);
    std::vector<double> dynamic_shared(shared / sizeof(double) + 1);
    module.begin_launch(grid, block, dynamic_shared.data());
    const size_t blocks = size_t(grid.x) * grid.y * grid.z;
    for (size_t i = 0; i < blocks; i++) {
        size_t at = REVERSE ? blocks - 1 - i : i;
        block_index = {unsigned(at % grid.x), unsigned(at / grid.x % grid.y), unsigned(at / grid.x / grid.y)};
        memset(dynamic_shared.data(), 0xff, dynamic_shared.size() * sizeof(double));
        module.begin_block(block_index);
        run_block();
    }
    kernel = nullptr;
}

bool where_now(Where &where) {
    if (!kernel) return false;
    where = {kernel->name, block_index, current ? current->thread : 0};
    return true;
}
