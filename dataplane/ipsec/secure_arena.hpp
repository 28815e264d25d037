// SPDX-License-Identifier: BSD-3-Clause
// Memory for key material: pages that stay out of core files, blocks of 64-octet multiples that are
// wiped when they are freed. One thread allocates and frees.
//
// Blocks of one size share chunks of 2 MiB. Each has a number, and beside it, at the chunk's front,
// a note of kNoteSize octets for what is seldom looked at; notes are not a line each, so they would
// waste memory within the blocks. Number and note follow from the address of the block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace homeport::ipsec {

class SecureArena {
  public:
    static constexpr std::size_t kMaxBlock = 4096;
    static constexpr std::size_t kNoteSize = 32;
    /// Numbers of blocks are below it.
    static constexpr std::uint32_t kMaxBlocks = 1u << 24;

    SecureArena() = default;
    ~SecureArena();
    SecureArena(const SecureArena&) = delete;
    SecureArena& operator=(const SecureArena&) = delete;

    /// Zeroed, aligned to 64 octets; `size` is at most kMaxBlock. Null if the system has no memory
    /// or all numbers are taken.
    [[nodiscard]] void* allocate(std::size_t size);
    /// Wipes and takes back a block of the same size. Its note stays as it is.
    void free(void* block, std::size_t size);

    /// Zeroed before the first use of the block, and nobody's but the caller's from then on.
    [[nodiscard]] static void* note_of(const void* block) {
        const Chunk* chunk = chunk_of(block);
        return chunk->notes() + chunk->place_of(block) * kNoteSize;
    }
    [[nodiscard]] static std::uint32_t number_of(const void* block) {
        const Chunk* chunk = chunk_of(block);
        return chunk->first_number + static_cast<std::uint32_t>(chunk->place_of(block));
    }
    /// The block with this number, in use or not; null: there never was one.
    [[nodiscard]] void* block(std::uint32_t number) const {
        const std::size_t group = number / kGroup;
        if (group >= groups_.size()) return nullptr;
        const Chunk* chunk = groups_[group];
        const std::size_t place = number - chunk->first_number;
        return place < chunk->given ? chunk->blocks() + place * chunk->block_size : nullptr;
    }
    /// All numbers ever given are below it.
    [[nodiscard]] std::uint32_t end_of_numbers() const {
        return static_cast<std::uint32_t>(groups_.size() * kGroup);
    }

  private:
    static constexpr std::size_t kLine = 64;
    static constexpr std::size_t kChunk = std::size_t{2} << 20;
    /// Numbers go to chunks in groups of so many.
    static constexpr std::size_t kGroup = 64;

    /// The front of a chunk, which is aligned to its size.
    struct Chunk {
        std::uint32_t block_size;
        std::uint32_t block_count;
        std::uint32_t given;  ///< blocks that have been in use
        std::uint32_t first_number;

        [[nodiscard]] std::byte* notes() const {
            return reinterpret_cast<std::byte*>(const_cast<Chunk*>(this)) + kLine;
        }
        [[nodiscard]] std::byte* blocks() const {
            return notes() + (block_count * kNoteSize + kLine - 1) / kLine * kLine;
        }
        [[nodiscard]] std::size_t place_of(const void* block) const {
            return static_cast<std::size_t>(static_cast<const std::byte*>(block) - blocks()) /
                   block_size;
        }
    };
    static_assert(sizeof(Chunk) <= kLine);

    struct FreeBlock {
        FreeBlock* next;
    };
    struct SizeClass {
        FreeBlock* free = nullptr;
        Chunk* newest = nullptr;
    };

    [[nodiscard]] static const Chunk* chunk_of(const void* block) {
        return reinterpret_cast<const Chunk*>(reinterpret_cast<std::uintptr_t>(block) &
                                              ~(kChunk - 1));
    }
    [[nodiscard]] Chunk* add_chunk(std::size_t block_size);

    std::vector<Chunk*> chunks_;
    std::vector<const Chunk*> groups_;  ///< by number / kGroup
    std::array<SizeClass, kMaxBlock / kLine + 1> classes_{};
};

}  // namespace homeport::ipsec
