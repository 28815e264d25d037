// SPDX-License-Identifier: BSD-3-Clause
#include "tools/traffic/patterns.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include "dataplane/base/ip_header.hpp"
#include "tools/traffic/records.hpp"

namespace homeport::traffic {

namespace {

constexpr std::uint32_t kEthernet = sizeof(EthernetHeader);

/// Octets of headers before ESP or, of a plain frame, before the innermost IPv6 header.
std::uint32_t outer(Path path) {
    switch (path) {
        case Path::kP2:
        case Path::kP4:
            return kEthernet + sizeof(Ipv6Header);
        case Path::kP9i:
            return kEthernet + sizeof(Ipv4Header);
        case Path::kP10i:
        case Path::kP13i:
            return kEthernet + sizeof(Ipv4Header) + sizeof(UdpHeader);
        default:
            return kEthernet;
    }
}

}  // namespace

std::expected<std::unique_ptr<Patterns>, std::string> Patterns::create(const Setting& setting) {
    if (is_mip4(setting.path) || is_of_roles(setting.path) || is_forged(setting.path)) {
        return std::unexpected("frames of " + std::string(name_of(setting.path)) +
                               " are made one by one only");
    }
    std::unique_ptr<Patterns> made(new Patterns(setting));
    if (made->seals()) {
        auto key = GcmKey::create(setting.algorithm);
        if (!key) return std::unexpected("sealed inbound frames: " + key.error());
        made->key_ = std::move(*key);
    }
    auto maker = FrameMaker::create(setting.path, setting.algorithm, setting.workers);
    if (!maker) return std::unexpected(maker.error());
    for (const std::uint32_t size : setting.sizes) {
        auto pattern = made->make(**maker, size);
        if (!pattern) return std::unexpected(pattern.error());
        made->patterns_.push_back(std::move(*pattern));
    }
    if (made->patterns_.empty()) return std::unexpected("expected a size of frames");
    std::mt19937 random(2);
    for (auto& pick : made->picks_) {
        pick = static_cast<std::uint8_t>(random() % made->patterns_.size());
    }
    return made;
}

double Patterns::mean_octets() const {
    double sum = 0;
    for (const std::uint8_t pick : picks_) sum += octets(pick);
    return sum / kPicks;
}

std::expected<Patterns::Pattern, std::string> Patterns::make(FrameMaker& maker,
                                                             std::uint32_t size) {
    if (setting_.stamped) {
        std::uint32_t least = kEthernet + sizeof(Ipv6Header) + Stamp::kOctets;
        if (!seals()) least += outer(setting_.path) - kEthernet;
        size = std::max(size, least);
    }
    auto frame = maker.frame(0, size);
    if (!frame) return std::unexpected(frame.error());
    Pattern pattern{.frame = std::move(*frame), .plain = {}};
    if (!seals()) {
        pattern.inner = outer(setting_.path);
        return pattern;
    }
    pattern.esp = outer(setting_.path);
    const std::uint8_t* const esp = pattern.frame.data() + pattern.esp;
    pattern.plain.resize(pattern.frame.size() - pattern.esp - GcmKey::kHeader - GcmKey::kTag);
    key_->open(esp, pattern.plain.data(), pattern.plain.size());
    return pattern;
}

void Patterns::change(std::uint8_t* inner, std::uint32_t node, const Stamp* stamp) const {
    const std::size_t address =
        is_out(setting_.path) ? offsetof(Ipv6Header, destination) : offsetof(Ipv6Header, source);
    store_be32(inner + address + 12, 0x1000 + node);
    if (stamp != nullptr) stamp->store(inner + sizeof(Ipv6Header));
}

void Patterns::write(std::size_t index, std::uint8_t* data, std::uint32_t node,
                     std::uint32_t number, const Stamp* stamp) {
    const Pattern& pattern = patterns_[index];
    if (key_ == nullptr) {
        std::memcpy(data, pattern.frame.data(), pattern.frame.size());
        change(data + pattern.inner, node, stamp);
        return;
    }
    thread_local std::array<std::uint8_t, 9216> plain;
    std::memcpy(data, pattern.frame.data(), pattern.esp);
    std::memcpy(plain.data(), pattern.plain.data(), pattern.plain.size());
    change(plain.data(), node, stamp);
    std::uint8_t* const esp = data + pattern.esp;
    store_be32(esp, spi_in(node, setting_.workers));
    store_be32(esp + 4, number);
    store_be64(esp + 8, number);
    key_->seal(esp, {plain.data(), pattern.plain.size()});
}

}  // namespace homeport::traffic
