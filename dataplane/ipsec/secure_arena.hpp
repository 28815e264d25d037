// SPDX-License-Identifier: BSD-3-Clause
// Memory for key material: pages that stay out of core files, blocks of 64-octet multiples that are
// wiped when they are freed. One thread allocates and frees.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace homeport::ipsec {

class SecureArena {
  public:
    static constexpr std::size_t kMaxBlock = 4096;

    SecureArena() = default;
    ~SecureArena();
    SecureArena(const SecureArena&) = delete;
    SecureArena& operator=(const SecureArena&) = delete;

    /// Zeroed, aligned to 64 octets; `size` is at most kMaxBlock. Null if the system has no memory.
    [[nodiscard]] void* allocate(std::size_t size);
    /// Wipes and takes back a block of the same size.
    void free(void* block, std::size_t size);

  private:
    static constexpr std::size_t kLine = 64;
    static constexpr std::size_t kChunk = std::size_t{2} << 20;

    struct FreeBlock {
        FreeBlock* next;
    };

    [[nodiscard]] bool add_chunk();

    std::vector<void*> chunks_;
    std::byte* fresh_ = nullptr;  ///< not yet given out, in the newest chunk
    std::size_t fresh_left_ = 0;
    std::array<FreeBlock*, kMaxBlock / kLine + 1> free_blocks_{};
};

}  // namespace homeport::ipsec
