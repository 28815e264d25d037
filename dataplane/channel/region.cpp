// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/region.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace homeport::channel {

namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

std::expected<std::uint8_t*, Error> map_memory(int fd, std::size_t size, bool writable,
                                               CoreDump core_dump) {
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void* address = ::mmap(nullptr, size, protection, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (address == MAP_FAILED) {
        return std::unexpected(
            system_error("mmap of " + std::to_string(size) + " octets of shared memory", errno));
    }
    if (core_dump == CoreDump::kExclude && ::madvise(address, size, MADV_DONTDUMP) != 0) {
        const int cause = errno;
        ::munmap(address, size);
        return std::unexpected(system_error("madvise(MADV_DONTDUMP)", cause));
    }
    return static_cast<std::uint8_t*>(address);
}

}  // namespace

Region::Region(FileDescriptor fd, std::uint8_t* address, std::size_t size, bool writable)
    : fd_(std::move(fd)), address_(address), size_(size), writable_(writable) {}

Region::Region(Region&& other) noexcept
    : fd_(std::move(other.fd_)),
      address_(std::exchange(other.address_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      writable_(std::exchange(other.writable_, false)) {}

Region& Region::operator=(Region&& other) noexcept {
    if (this != &other) {
        unmap();
        fd_ = std::move(other.fd_);
        address_ = std::exchange(other.address_, nullptr);
        size_ = std::exchange(other.size_, 0);
        writable_ = std::exchange(other.writable_, false);
    }
    return *this;
}

Region::~Region() {
    unmap();
}

void Region::unmap() {
    if (address_ != nullptr) ::munmap(address_, size_);
    address_ = nullptr;
    size_ = 0;
}

std::expected<Region, Error> Region::create(const char* name, std::size_t size,
                                            PeerAccess peer_access, CoreDump core_dump) {
    FileDescriptor fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return std::unexpected(system_error("memfd_create", errno));
    // Allocated now, and not only promised: a full /dev/shm or memory limit must not become a
    // SIGBUS later on.
    if (const int cause = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(size)); cause != 0) {
        return std::unexpected(
            system_error("allocating " + std::to_string(size) + " octets of shared memory", cause));
    }
    auto address = map_memory(fd.get(), size, true, core_dump);
    if (!address) return std::unexpected(std::move(address.error()));
    Region region(std::move(fd), *address, size, true);
    const int seals =
        kSizeSeals | F_SEAL_SEAL | (peer_access == PeerAccess::kReadOnly ? F_SEAL_FUTURE_WRITE : 0);
    if (::fcntl(region.fd(), F_ADD_SEALS, seals) != 0) {
        return std::unexpected(system_error("sealing shared memory", errno));
    }
    return region;
}

std::expected<Region, Error> Region::map(FileDescriptor fd, std::size_t size, PeerAccess access,
                                         CoreDump core_dump) {
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) {
        return std::unexpected(system_error("fstat of a shared region", errno));
    }
    const int seals = ::fcntl(fd.get(), F_GET_SEALS);
    if (seals < 0 || (seals & kSizeSeals) != kSizeSeals) {
        return std::unexpected(
            Error{ErrorCode::kBadRegion, "a shared region came without its size sealed"});
    }
    if (size == 0 || static_cast<std::uint64_t>(status.st_size) != size) {
        return std::unexpected(
            Error{ErrorCode::kBadRegion, "a shared region has " + std::to_string(status.st_size) +
                                             " octets where " + std::to_string(size) +
                                             " were announced"});
    }
    const bool writable = access == PeerAccess::kReadWrite;
    auto address = map_memory(fd.get(), size, writable, core_dump);
    if (!address) return std::unexpected(std::move(address.error()));
    return Region(std::move(fd), *address, size, writable);
}

std::span<std::uint8_t> Region::writable_bytes() const {
    return writable_ ? std::span(address_, size_) : std::span<std::uint8_t>();
}

std::span<const std::uint8_t> Region::bytes() const {
    return {address_, size_};
}

void Region::wipe() {
    if (writable_ && address_ != nullptr) explicit_bzero(address_, size_);
}

}  // namespace homeport::channel
