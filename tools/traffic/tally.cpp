// SPDX-License-Identifier: BSD-3-Clause
#include "tools/traffic/tally.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "dataplane/base/ip_header.hpp"

namespace homeport::traffic {

namespace {

constexpr std::uint8_t kNoNextHeader = 59;
constexpr std::uint32_t kNextHeader = offsetof(Ipv6Header, next_header);
constexpr std::uint32_t kProtocol = offsetof(Ipv4Header, protocol);
constexpr std::uint32_t kIn = sizeof(EthernetHeader);
constexpr std::uint32_t kIn4 = sizeof(EthernetHeader) + sizeof(Ipv4Header);
constexpr std::uint32_t kIn6 = sizeof(EthernetHeader) + sizeof(Ipv6Header);

/// Where in what comes back the innermost IPv6 header or ESP stands.
std::uint32_t offset_of(Path path) {
    switch (path) {
        case Path::kP1:
        case Path::kP3:
            return kIn6;
        case Path::kP9:
        case Path::kP13:
            return kIn4;
        case Path::kP10:
        case Path::kP13u:
            return kIn4 + sizeof(UdpHeader);
        default:
            return kIn;
    }
}

}  // namespace

// ------------------------------------------------------------------------------------ delays

std::size_t Delays::class_of(std::uint32_t cycles) {
    if (cycles < (1u << kBits)) return cycles;
    const unsigned shift = static_cast<unsigned>(std::bit_width(cycles)) - 1 - kBits;
    return (std::size_t{shift + 1} << kBits) + (cycles >> shift) - (1u << kBits);
}

std::uint32_t Delays::last_of(std::size_t index) {
    if (index < (1u << kBits)) return static_cast<std::uint32_t>(index);
    const auto shift = static_cast<unsigned>(index >> kBits) - 1;
    const std::uint64_t first = (index & ((1u << kBits) - 1)) + (1u << kBits);
    return static_cast<std::uint32_t>(((first + 1) << shift) - 1);
}

std::uint32_t Delays::percentile(double share) const {
    if (total_ == 0) return 0;
    const auto wanted = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total_))));
    std::uint64_t seen = 0;
    for (std::size_t index = 0; index < counts_.size(); ++index) {
        seen += counts_[index];
        if (seen >= wanted) return std::min(last_of(index), longest_);
    }
    return longest_;
}

// ------------------------------------------------------------------------------------ tally

std::expected<std::unique_ptr<Tally>, std::string> Tally::create(const Setting& setting) {
    if (is_mip4(setting.path) || is_of_roles(setting.path) || is_forged(setting.path)) {
        return std::unexpected("packets of " + std::string(name_of(setting.path)) +
                               " cannot be told when they come back");
    }
    std::unique_ptr<Tally> made(new Tally);
    const bool sealed = is_sealed(setting.path) && is_out(setting.path);
    if (setting.unchanged && !is_out(setting.path)) {
        return std::unexpected("frames that come back unchanged: expected a path out");
    }
    made->inner_ = setting.unchanged ? kIn : offset_of(setting.path);
    made->ether_ = setting.unchanged || !is_out(setting.path) || !is_over_ipv4(setting.path)
                       ? kEtherTypeIpv6
                       : kEtherTypeIpv4;
    if (sealed && !setting.unchanged) {
        auto key = GcmKey::create(setting.algorithm);
        if (!key) return std::unexpected("stamps under ESP: " + key.error());
        made->key_ = std::move(*key);
        made->marker_ = made->ether_ == kEtherTypeIpv6 ? kIn + kNextHeader : kIn + kProtocol;
        made->marked_ = setting.path == Path::kP13u ? 17 : 50;
    } else {
        made->marker_ = made->inner_ + kNextHeader;
        made->marked_ = kNoNextHeader;
    }
    return made;
}

void Tally::begin(std::uint16_t trial) {
    trial_ = trial;
    highest_ = until_sample_ = 0;
    received_ = reordered_ = stale_ = foreign_ = 0;
    delays_.clear();
}

void Tally::take(ConstByteSpan frame, std::uint32_t now) {
    constexpr std::uint32_t kStamped = sizeof(Ipv6Header) + Stamp::kOctets;
    const std::uint32_t least = inner_ + (key_ ? GcmKey::kHeader + GcmKey::kTag : 0) + kStamped;
    if (frame.size() < least || load_be16(frame.data() + 12) != ether_ ||
        frame[marker_] != marked_) {
        ++foreign_;
        return;
    }
    const std::uint8_t* const inner = frame.data() + inner_;
    if (key_ == nullptr) {
        look_at(Stamp::load(inner + sizeof(Ipv6Header)), now);
        return;
    }
    if (until_sample_ != 0) {
        --until_sample_;
        ++received_;
        return;
    }
    until_sample_ = kSample - 1;
    std::array<std::uint8_t, kStamped> plain;
    key_->open(inner, plain.data(), plain.size());
    look_at(Stamp::load(plain.data() + sizeof(Ipv6Header)), now);
}

void Tally::look_at(const Stamp& stamp, std::uint32_t now) {
    if (stamp.trial != trial_) {
        ++stale_;
        return;
    }
    ++received_;
    if (stamp.number < highest_) {
        ++reordered_;
    } else {
        highest_ = stamp.number;
    }
    delays_.add(now - stamp.time);
}

// ------------------------------------------------------------------------------------ pacer

std::uint64_t Pacer::due(std::uint64_t now) {
    // One is due at once, the next a period later.
    const auto all = static_cast<std::uint64_t>(static_cast<double>(now - start_) / cycles_) + 1;
    const std::uint64_t gone = sent_ + given_up_;
    if (all <= gone) return 0;
    std::uint64_t behind = all - gone;
    if (behind > kMostBehind) {
        given_up_ += behind - kMostBehind;
        behind = kMostBehind;
    }
    return behind;
}

}  // namespace homeport::traffic
