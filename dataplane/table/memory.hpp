// SPDX-License-Identifier: BSD-3-Clause
// Zeroed memory for tables, straight from the system: no EAL, huge pages where there are any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

namespace homeport::table {

enum class PageChoice : std::uint8_t {
    kHuge,    // hugetlb pages if enough are free, else transparent huge pages
    kNormal,  // for memory that is mostly never touched
};

/// An anonymous private mapping of `size` octets, zeroed, aligned to a page. Owns it.
class Mapping {
  public:
    Mapping() = default;
    /// On failure data() is null: checked by the owner when it starts (the tables' valid()).
    explicit Mapping(std::size_t size, PageChoice pages);
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    [[nodiscard]] void* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

/// `count` objects of a trivial type in a Mapping, all octets zero at first.
template <class T>
class MappedArray {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

  public:
    MappedArray(std::size_t count, PageChoice pages)
        : mapping_(count * sizeof(T), pages),
          items_(std::launder(reinterpret_cast<T*>(mapping_.data()))) {}
    [[nodiscard]] bool valid() const { return items_ != nullptr; }
    [[nodiscard]] T& operator[](std::size_t i) { return items_[i]; }
    [[nodiscard]] const T& operator[](std::size_t i) const { return items_[i]; }

  private:
    Mapping mapping_;
    T* items_;
};

}  // namespace homeport::table
