// SPDX-License-Identifier: BSD-3-Clause
// Memory in whole cache lines, for what one thread writes while packets pass. The allocator puts
// blocks of others right beside any other block; then two threads share a line that neither knows
// of, and each write of the one makes the other wait.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace homeport {

inline constexpr std::size_t kCacheLine = 64;  // octets

/// Of std containers: each block begins a cache line and fills its last one.
template <class T>
struct LineAllocator {
    static_assert(alignof(T) <= kCacheLine);
    using value_type = T;

    LineAllocator() = default;
    template <class U>
    explicit LineAllocator(const LineAllocator<U>&) {}

    [[nodiscard]] T* allocate(std::size_t count) {
        const std::size_t octets = (count * sizeof(T) + kCacheLine - 1) / kCacheLine * kCacheLine;
        return static_cast<T*>(::operator new(octets, std::align_val_t{kCacheLine}));
    }
    void deallocate(T* block, std::size_t) {
        ::operator delete(block, std::align_val_t{kCacheLine});
    }
    template <class U>
    friend bool operator==(const LineAllocator&, const LineAllocator<U>&) {
        return true;
    }
};

/// A vector that shares no cache line with anything.
template <class T>
using LineVector = std::vector<T, LineAllocator<T>>;

/// Whether `T` has its cache lines for itself wherever it lies.
template <class T>
inline constexpr bool kFillsLines = alignof(T) >= kCacheLine && sizeof(T) % kCacheLine == 0;

}  // namespace homeport
