// SPDX-License-Identifier: BSD-3-Clause
// Shared memory of a size that nobody can change: a memfd, sealed before it is handed out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "dataplane/channel/error.hpp"
#include "dataplane/channel/file_descriptor.hpp"

namespace homeport::channel {

/// What the process that gets the descriptor may do. The creator always reads and writes.
enum class PeerAccess : std::uint8_t { kReadWrite, kReadOnly };

/// Whether the memory belongs into a core dump: the command ring carries keys and does not.
enum class CoreDump : std::uint8_t { kInclude, kExclude };

class Region {
  public:
    Region() = default;
    Region(Region&& other) noexcept;
    Region& operator=(Region&& other) noexcept;
    ~Region();

    /// Makes `size` zeroed octets, all of them backed by memory at once, and seals the size. With
    /// kReadOnly no further writable mapping can be made of fd(), by nobody.
    [[nodiscard]] static std::expected<Region, Error> create(const char* name, std::size_t size,
                                                             PeerAccess peer_access,
                                                             CoreDump core_dump);
    /// Maps what a peer created. An unsealed one, or one of another size, is refused: it could
    /// shrink under the reader.
    [[nodiscard]] static std::expected<Region, Error> map(FileDescriptor fd, std::size_t size,
                                                          PeerAccess access, CoreDump core_dump);

    /// Empty for a region that was mapped kReadOnly.
    [[nodiscard]] std::span<std::uint8_t> writable_bytes() const;
    [[nodiscard]] std::span<const std::uint8_t> bytes() const;
    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] explicit operator bool() const { return address_ != nullptr; }

    /// Overwrites everything with zeros, in a way that the compiler keeps.
    void wipe();

  private:
    Region(FileDescriptor fd, std::uint8_t* address, std::size_t size, bool writable);
    void unmap();

    FileDescriptor fd_;
    std::uint8_t* address_ = nullptr;
    std::size_t size_ = 0;
    bool writable_ = false;
};

}  // namespace homeport::channel
