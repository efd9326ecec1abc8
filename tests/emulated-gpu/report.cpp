// Counts what the device was asked for, and says so at exit where EMULATED_GPU_REPORT=1.
#include "internal.h"
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace {

struct Tally {
    size_t count = 0, bytes = 0;
};

struct Report {
    std::map<std::string, size_t> launches, products;
    Tally copies[4];
    size_t synchronisations = 0;

    Report() {
        const char *wanted = getenv("EMULATED_GPU_REPORT");
        if (wanted && !strcmp(wanted, "1")) atexit(print_at_exit);
    }
    static void print_at_exit();

    static void print(const char *what, const std::map<std::string, size_t> &counts) {
        std::vector<std::pair<std::string, size_t>> sorted(counts.begin(), counts.end());
        std::stable_sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) { return a.second > b.second; });
        size_t sum = 0;
        for (auto &[name, count] : sorted) sum += count;
        fprintf(stderr, "%9zu %s\n", sum, what);
        for (auto &[name, count] : sorted) fprintf(stderr, "%13zu %s\n", count, name.c_str());
    }

    void print() {
        fprintf(stderr, "emulated GPU:\n");
        print("kernel launches", launches);
        print("cuBLAS calls", products);
        const char *names[] = {"copies to the device", "copies to the host", "copies on the device", "fills"};
        for (int i = 0; i < 4; i++)
            fprintf(stderr, "%9zu %s, %.3f MB\n", copies[i].count, names[i], copies[i].bytes / 1e6);
        fprintf(stderr, "%9zu synchronisations\n", synchronisations);
        fprintf(stderr, "%9.3f MB at most, %.3f MB at the end\n", memory_use().peak / 1e6, memory_use().live / 1e6);
    }
};

// Never destroyed: other threads may still compute when the process ends.
Report &report = *new Report;
auto &device = *new std::recursive_mutex;

void Report::print_at_exit() {
    DeviceLock lock;
    report.print();
}

void say(const char *format, va_list list) {
    fprintf(stderr, "emulated GPU: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
}

} // namespace

void emulated_lock() { device.lock(); }
void emulated_unlock() { device.unlock(); }

void fatal(const char *format, ...) {
    va_list list;
    va_start(list, format);
    say(format, list);
    va_end(list);
    abort();
}

void complain(const char *format, ...) {
    va_list list;
    va_start(list, format);
    say(format, list);
    va_end(list);
}

void emulated_missing(const char *function) {
    DeviceLock lock;
    static std::set<std::string> named;
    if (named.insert(function).second) complain("%s is not emulated", function);
}

void count_launch(const Kernel &kernel) { report.launches[kernel.name]++; }
void emulated_count_product(const char *name) { report.products[name]++; }
void count_synchronisation() { report.synchronisations++; }
void count_copy(Copy copy, size_t bytes) {
    Tally &tally = report.copies[int(copy)];
    tally.count++;
    tally.bytes += bytes;
}
