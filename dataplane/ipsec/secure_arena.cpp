// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/secure_arena.hpp"

#include <string.h>
#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace homeport::ipsec {

namespace {

constexpr std::size_t lines_of(std::size_t size) {
    return (size + 63) / 64;
}

}  // namespace

SecureArena::~SecureArena() {
    for (void* chunk : chunks_) {
        explicit_bzero(chunk, kChunk);
        ::munmap(chunk, kChunk);
    }
}

bool SecureArena::add_chunk() {
    // One more chunk than needed, and its ends given back: only an aligned chunk can be a huge
    // page.
    void* mapping =
        ::mmap(nullptr, 2 * kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return false;
    auto* first = static_cast<std::byte*>(mapping);
    const std::size_t skipped =
        (kChunk - reinterpret_cast<std::uintptr_t>(first) % kChunk) % kChunk;
    std::byte* chunk = first + skipped;
    if (skipped != 0) ::munmap(first, skipped);
    ::munmap(chunk + kChunk, kChunk - skipped);
    ::madvise(chunk, kChunk, MADV_DONTDUMP);
    ::madvise(chunk, kChunk, MADV_HUGEPAGE);
    chunks_.push_back(chunk);
    fresh_ = chunk;
    fresh_left_ = kChunk;
    return true;
}

void* SecureArena::allocate(std::size_t size) {
    const std::size_t lines = lines_of(size);
    if (FreeBlock* block = free_blocks_[lines]; block != nullptr) {
        free_blocks_[lines] = block->next;
        block->next = nullptr;
        return block;
    }
    if (fresh_left_ < lines * kLine && !add_chunk()) return nullptr;
    void* block = fresh_;
    fresh_ += lines * kLine;
    fresh_left_ -= lines * kLine;
    return block;
}

void SecureArena::free(void* block, std::size_t size) {
    const std::size_t lines = lines_of(size);
    explicit_bzero(block, lines * kLine);
    free_blocks_[lines] = new (block) FreeBlock{free_blocks_[lines]};
}

}  // namespace homeport::ipsec
