// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/ipv4_pool.hpp"

#include <bit>

namespace homeport {

namespace {

constexpr std::size_t kBits = 64;

std::uint64_t bit(std::size_t index) {
    return std::uint64_t{1} << (index % kBits);
}

}  // namespace

Ipv4Pool::Ipv4Pool(const Ipv4Address& first, const Ipv4Address& last)
    : first_(first),
      size_(std::size_t{last.host()} - first.host() + 1),
      bits_((size_ + kBits - 1) / kBits) {}

bool Ipv4Pool::contains(const Ipv4Address& address) const {
    return address >= first_ && index_of(address) < size_;
}

bool Ipv4Pool::is_taken(const Ipv4Address& address) const {
    return contains(address) && (bits_[index_of(address) / kBits] & bit(index_of(address))) != 0;
}

/// The free addresses of one word as ones; those behind the end of the pool are not free.
std::uint64_t Ipv4Pool::free_bits(std::size_t word) const {
    const std::size_t left = size_ - word * kBits;
    const std::uint64_t real = left >= kBits ? ~std::uint64_t{0} : bit(left) - 1;
    return ~bits_[word] & real;
}

std::optional<Ipv4Address> Ipv4Pool::next_free() const {
    const auto address_at = [&](std::size_t word, std::uint64_t free) {
        Ipv4Address address;
        const std::size_t index = word * kBits + static_cast<std::size_t>(std::countr_zero(free));
        store_be32(address.bytes.data(), first_.host() + static_cast<std::uint32_t>(index));
        return address;
    };
    const std::size_t start = cursor_ / kBits;
    const std::uint64_t behind = free_bits(start) & ~(bit(cursor_) - 1);
    if (behind != 0) return address_at(start, behind);
    for (std::size_t i = 1; i <= bits_.size(); ++i) {
        const std::size_t word = (start + i) % bits_.size();
        if (const std::uint64_t free = free_bits(word); free != 0) return address_at(word, free);
    }
    return std::nullopt;
}

void Ipv4Pool::take(const Ipv4Address& address) {
    if (!contains(address) || is_taken(address)) return;
    const std::size_t index = index_of(address);
    bits_[index / kBits] |= bit(index);
    ++taken_;
    cursor_ = (index + 1) % size_;
}

void Ipv4Pool::give_back(const Ipv4Address& address) {
    if (!is_taken(address)) return;
    bits_[index_of(address) / kBits] &= ~bit(index_of(address));
    --taken_;
}

}  // namespace homeport
