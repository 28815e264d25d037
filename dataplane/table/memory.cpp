// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/memory.hpp"

#include <sys/mman.h>

namespace homeport::table {

namespace {

constexpr std::size_t kHugePage = 2u << 20;

void* map(std::size_t size, int flags) {
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

std::size_t round_up(std::size_t size, std::size_t unit) {
    return (size + unit - 1) / unit * unit;
}

}  // namespace

Mapping::Mapping(std::size_t size, PageChoice pages) {
    if (pages == PageChoice::kHuge && size >= kHugePage) {
        size_ = round_up(size, kHugePage);
        data_ = map(size_, MAP_HUGETLB);
        if (data_ != nullptr) return;
    }
    size_ = round_up(size, 4096);
    data_ = map(size_, pages == PageChoice::kNormal ? MAP_NORESERVE : 0);
    if (data_ != nullptr && size_ >= kHugePage) {
        // A wish: refused on some kernels. kNormal, too, takes 2 MiB where it is touched.
        (void)::madvise(data_, size_, MADV_HUGEPAGE);
    }
}

Mapping::~Mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace homeport::table
