// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/guard.hpp"

#include <rte_log.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/base/sanitizers.hpp"

namespace homeport::stage {

constinit thread_local std::string_view g_running_stage;

void refuse_inside_stage(const char* what) {
    const std::string_view stage = g_running_stage;
    if (stage.empty()) [[likely]]
        return;
    g_running_stage = {};
    char text[256];
    const int length = std::snprintf(text, sizeof text, "homeport: %s called inside stage '%.*s'\n",
                                     what, static_cast<int>(stage.size()), stage.data());
    if (length > 0 && write(STDERR_FILENO, text, static_cast<std::size_t>(length)) < 0) _exit(134);
    std::abort();
}

namespace {

ssize_t write_log(void*, const char* text, std::size_t length) {
    if constexpr (kGuarded) refuse_inside_stage("log");
    return write(STDERR_FILENO, text, length);
}

}  // namespace

void guard_log() {
    static FILE* stream = nullptr;
    if (stream == nullptr) {
        stream = fopencookie(
            nullptr, "w",
            cookie_io_functions_t{
                .read = nullptr, .write = write_log, .seek = nullptr, .close = nullptr});
        if (stream == nullptr) return;
        static char buffer[4096];
        setvbuf(stream, buffer, _IOLBF, sizeof buffer);
    }
    rte_openlog_stream(stream);
}

}  // namespace homeport::stage

#ifndef NDEBUG

using homeport::stage::refuse_inside_stage;

#ifdef HOMEPORT_SANITIZED
// The sanitizers call these; they replace malloc themselves.
extern "C" {
void __sanitizer_malloc_hook(const volatile void*, std::size_t);
void __sanitizer_free_hook(const volatile void*);
void __sanitizer_malloc_hook(const volatile void*, std::size_t) {
    refuse_inside_stage("malloc");
}
void __sanitizer_free_hook(const volatile void* block) {
    if (block != nullptr) refuse_inside_stage("free");
}
}
#else
// glibc keeps the real ones under these names for exactly this use.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) {
    refuse_inside_stage("malloc");
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    refuse_inside_stage("calloc");
    return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) {
    refuse_inside_stage("realloc");
    return __libc_realloc(block, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
    refuse_inside_stage("memalign");
    return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    refuse_inside_stage("aligned_alloc");
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
    refuse_inside_stage("posix_memalign");
    *block = __libc_memalign(alignment, size);
    return *block == nullptr ? 12 : 0;
}
void free(void* block) {
    if (block != nullptr) refuse_inside_stage("free");
    __libc_free(block);
}
}
#endif
#endif
