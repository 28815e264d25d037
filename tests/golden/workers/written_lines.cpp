// SPDX-License-Identifier: BSD-3-Clause
#include "tests/golden/workers/written_lines.hpp"

#include <fcntl.h>
#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <sstream>
#include <stdexcept>

// ------------------------------------------------------------------------------- who was given
// what

namespace {

struct Block {
    void* at;
    std::size_t octets;
};
/// No container: it would be asked for memory while memory is asked for.
std::array<Block, 4096> g_blocks;
std::size_t g_block_count = 0;
bool g_logging = false;

void log_block(void* at, std::size_t octets) {
    if (!g_logging || at == nullptr) return;
    if (g_block_count == g_blocks.size()) std::abort();
    g_blocks[g_block_count++] = {at, octets};
}

void forget_block(void* at) {
    for (std::size_t i = g_block_count; g_logging && i-- > 0;) {
        if (g_blocks[i].at != at) continue;
        g_blocks[i] = g_blocks[--g_block_count];
        return;
    }
}

void* give(std::size_t octets, std::size_t alignment) {
    void* const block =
        alignment <= alignof(std::max_align_t)
            ? std::malloc(octets)
            : std::aligned_alloc(alignment, (octets + alignment - 1) / alignment * alignment);
    if (block == nullptr) throw std::bad_alloc();
    log_block(block, octets);
    return block;
}

void take_back(void* block) noexcept {
    forget_block(block);
    std::free(block);
}

}  // namespace

// All forms of new come down to these two.
void* operator new(std::size_t octets) {
    return give(octets, 1);
}
void* operator new(std::size_t octets, std::align_val_t alignment) {
    return give(octets, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept {
    take_back(block);
}
void operator delete(void* block, std::size_t) noexcept {
    take_back(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
    take_back(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    take_back(block);
}

// The linker gives calls of alloc_mb_mgr() to this one (--wrap).
extern "C" {
IMB_MGR* __real_alloc_mb_mgr(std::uint64_t flags);
IMB_MGR* __wrap_alloc_mb_mgr(std::uint64_t flags);
IMB_MGR* __wrap_alloc_mb_mgr(std::uint64_t flags) {
    IMB_MGR* const manager = __real_alloc_mb_mgr(flags);
    log_block(manager, imb_get_mb_mgr_size());
    return manager;
}
}

namespace homeport::golden {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLine = 64;
constexpr std::size_t kMostPages = std::size_t{1} << 20;
constexpr std::size_t kMostLines = std::size_t{1} << 20;
constexpr std::size_t kEntries = 4096;  // of pagemap, at a time
constexpr std::size_t kNotes = (kMostLines + kEntries) * sizeof(std::uint64_t);
constexpr std::size_t kRoom = kNotes + kMostPages * (kPage + 16);

/// Lines of /proc/self/maps.
template <class Function>
void for_each_mapping(Function&& function) {  // function(begin, end, permissions, name)
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0, end = 0;
        std::string permissions, offset, device, inode, name;
        char dash = 0;
        std::istringstream words(line);
        words >> std::hex >> begin >> dash >> end >> permissions >> offset >> device >> inode;
        std::getline(words >> std::ws, name);
        function(begin, end, permissions, name);
    }
}

}  // namespace

AllocationLog::AllocationLog() {
    g_block_count = 0;
    g_logging = true;
}
AllocationLog::~AllocationLog() {
    g_logging = false;
}
std::vector<Region> AllocationLog::blocks() const {
    g_logging = false;
    std::vector<Region> regions;
    for (std::size_t i = 0; i < g_block_count; ++i) {
        regions.push_back({g_blocks[i].at, g_blocks[i].octets, "block"});
    }
    g_logging = true;
    return regions;
}

Snapshot::Snapshot(std::vector<Region> left_out) : left_out_(std::move(left_out)) {
    void* const room = mmap(nullptr, kRoom, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) throw std::runtime_error("no room for a snapshot");
    lines_ = static_cast<std::uint64_t*>(room);
    room_ = static_cast<std::byte*>(room) + kNotes;
    left_out_.push_back({room, kRoom, "snapshot"});
}

Snapshot::~Snapshot() {
    munmap(lines_, kRoom);
}

void Snapshot::read_ranges() {
    ranges_.clear();
    for_each_mapping([this](std::uintptr_t begin, std::uintptr_t end,
                            const std::string& permissions, const std::string& name) {
        if (!permissions.starts_with("rw") || name == "[stack]") return;
        // One mapping may be the stack of a thread and other memory behind it.
        for (std::uintptr_t at = begin; at < end;) {
            std::uintptr_t stop = end;
            std::uintptr_t next = end;
            for (const Region& out : left_out_) {
                const auto first = reinterpret_cast<std::uintptr_t>(out.at);
                const std::uintptr_t last = first + out.octets;
                if (last <= at || first >= stop) continue;
                stop = std::max(first, at);
                next = last;
            }
            if (at < stop) ranges_.push_back({at, stop});
            at = std::max(next, stop);
        }
    });
}

/// function(page) for those that have memory: nothing else can have been written.
template <class Function>
void Snapshot::for_each_page(Function&& function) const {
    const int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::runtime_error("/proc/self/pagemap cannot be read");
    const std::span entries(lines_ + kMostLines, kEntries);
    for (const Range& range : ranges_) {
        for (std::uintptr_t at = range.begin; at < range.end; at += entries.size() * kPage) {
            const std::size_t count = std::min((range.end - at) / kPage, entries.size());
            const ssize_t read =
                pread(file, entries.data(), count * 8, static_cast<off_t>(at / kPage * 8));
            for (std::size_t i = 0; read > 0 && i < static_cast<std::size_t>(read) / 8; ++i) {
                if (entries[i] >> 62 != 0) function(at + i * kPage);
            }
        }
    }
    close(file);
}

void Snapshot::take() {
    read_ranges();
    page_count_ = 0;
    std::byte* copy = room_ + kMostPages * sizeof(Page);
    for_each_page([&](std::uintptr_t page) {
        if (page_count_ == kMostPages) std::abort();
        std::memcpy(copy, reinterpret_cast<const void*>(page), kPage);
        pages()[page_count_++] = {page, copy};
        copy += kPage;
    });
}

std::vector<std::uintptr_t> Snapshot::changed() const {
    static const std::array<std::byte, kPage> zeroes{};
    std::size_t count = 0;
    const Page* known = pages();
    const Page* const end = pages() + page_count_;
    for_each_page([&](std::uintptr_t page) {
        while (known != end && known->at < page) ++known;
        const std::byte* const before =
            known != end && known->at == page ? known->copy : zeroes.data();
        for (std::size_t at = 0; at < kPage; at += kLine) {
            if (std::memcmp(before + at, reinterpret_cast<const std::byte*>(page) + at, kLine) ==
                0) {
                continue;
            }
            if (count == kMostLines) std::abort();
            lines_[count++] = page + at;
        }
    });
    return {lines_, lines_ + count};
}

std::string place_of(std::uintptr_t address) {
    std::ostringstream text;
    text << std::hex << "0x" << address;
    for_each_mapping(
        [&](std::uintptr_t begin, std::uintptr_t end, const std::string&, const std::string& name) {
            if (begin <= address && address < end) {
                text << ", octet 0x" << address - begin << " of "
                     << (name.empty() ? "a mapping" : name);
            }
        });
    return text.str();
}

Region own_stack() {
    pthread_attr_t attributes;
    void* at = nullptr;
    std::size_t octets = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &at, &octets);
    pthread_attr_destroy(&attributes);
    return {at, octets, "stack"};
}

}  // namespace homeport::golden
