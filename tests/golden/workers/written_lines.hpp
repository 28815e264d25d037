// SPDX-License-Identifier: BSD-3-Clause
// Which memory of this process somebody owns, and which of it changes: by cache lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace homeport::golden {

struct Region {
    const void* at;
    std::size_t octets;
    const char* what;
};

/// Blocks that operator new and ipsec-mb give out while it lives, and that are not freed since.
/// One at a time; of one thread.
class AllocationLog {
  public:
    AllocationLog();
    ~AllocationLog();
    AllocationLog(const AllocationLog&) = delete;
    AllocationLog& operator=(const AllocationLog&) = delete;
    [[nodiscard]] std::vector<Region> blocks() const;
};

/// A copy of all writable memory of this process but stacks: [stack], and what is left_out.
class Snapshot {
  public:
    /// Maps room for copies; they are taken by take().
    explicit Snapshot(std::vector<Region> left_out);
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

    void take();
    /// Addresses of lines that are not what they were, ascending. Memory that was mapped since is
    /// not looked at.
    [[nodiscard]] std::vector<std::uintptr_t> changed() const;

  private:
    struct Range {
        std::uintptr_t begin, end;
    };
    struct Page {
        std::uintptr_t at;
        const std::byte* copy;
    };
    void read_ranges();
    template <class Function>
    void for_each_page(Function&& function) const;

    std::vector<Region> left_out_;
    std::vector<Range> ranges_;
    // Outside of what is compared, as vectors live in that.
    std::uint64_t* lines_ = nullptr;  // for results, then for what the kernel says of pages
    std::byte* room_ = nullptr;       // pages, then their copies
    std::size_t page_count_ = 0;
    [[nodiscard]] Page* pages() const { return reinterpret_cast<Page*>(room_); }
};

/// "0x7f.. in [heap]": for failure messages.
[[nodiscard]] std::string place_of(std::uintptr_t address);

/// The calling thread's stack, with its thread-local variables.
[[nodiscard]] Region own_stack();

}  // namespace homeport::golden
