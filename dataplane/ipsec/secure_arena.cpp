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
    for (Chunk* chunk : chunks_) {
        explicit_bzero(chunk, kChunk);
        ::munmap(chunk, kChunk);
    }
}

SecureArena::Chunk* SecureArena::add_chunk(std::size_t block_size) {
    const std::size_t count = (kChunk - 2 * kLine) / (block_size + kNoteSize);
    const std::size_t groups = (count + kGroup - 1) / kGroup;
    if ((groups_.size() + groups) * kGroup > kMaxBlocks) return nullptr;
    // One more chunk than needed, and its ends given back: only an aligned chunk can be a huge
    // page, and only in one is the front found from any block.
    void* mapping =
        ::mmap(nullptr, 2 * kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return nullptr;
    auto* first = static_cast<std::byte*>(mapping);
    const std::size_t skipped =
        (kChunk - reinterpret_cast<std::uintptr_t>(first) % kChunk) % kChunk;
    std::byte* place = first + skipped;
    if (skipped != 0) ::munmap(first, skipped);
    ::munmap(place + kChunk, kChunk - skipped);
    ::madvise(place, kChunk, MADV_DONTDUMP);
    ::madvise(place, kChunk, MADV_HUGEPAGE);
    auto* chunk = new (place) Chunk{static_cast<std::uint32_t>(block_size),
                                    static_cast<std::uint32_t>(count), 0, end_of_numbers()};
    chunks_.push_back(chunk);
    groups_.insert(groups_.end(), groups, chunk);
    return chunk;
}

void* SecureArena::allocate(std::size_t size) {
    const std::size_t lines = lines_of(size);
    SizeClass& blocks = classes_[lines];
    if (FreeBlock* block = blocks.free; block != nullptr) {
        blocks.free = block->next;
        block->next = nullptr;
        return block;
    }
    if (blocks.newest == nullptr || blocks.newest->given == blocks.newest->block_count) {
        Chunk* chunk = add_chunk(lines * kLine);
        if (chunk == nullptr) return nullptr;
        blocks.newest = chunk;
    }
    return blocks.newest->blocks() + blocks.newest->given++ * lines * kLine;
}

void SecureArena::free(void* block, std::size_t size) {
    const std::size_t lines = lines_of(size);
    explicit_bzero(block, lines * kLine);
    classes_[lines].free = new (block) FreeBlock{classes_[lines].free};
}

}  // namespace homeport::ipsec
