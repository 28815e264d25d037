// SPDX-License-Identifier: BSD-3-Clause
// What the express stage asks of headers, in few wide loads and compares: is this an IPv6 packet
// with nothing unusual about it? "No" means no more than that parse has to look.
#pragma once

#include <smmintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/traffic_class.hpp"

namespace homeport::tunnel {

inline constexpr std::uint16_t kIpv6HeaderLength = sizeof(Ipv6Header);

/// The first eight octets of an IPv6 header, everything but the addresses, as one word.
class FirstWord {
  public:
    explicit FirstWord(const Ipv6Header& header)
        : word_(load_be64(reinterpret_cast<const std::uint8_t*>(&header))) {}

    [[nodiscard]] std::uint8_t version() const { return static_cast<std::uint8_t>(word_ >> 60); }
    [[nodiscard]] std::uint8_t traffic_class() const {
        return static_cast<std::uint8_t>(word_ >> 52);
    }
    /// Octets, this header included.
    [[nodiscard]] std::uint32_t packet_length() const {
        return kIpv6HeaderLength + static_cast<std::uint32_t>(word_ >> 16 & 0xffff);
    }
    [[nodiscard]] std::uint8_t next_header() const { return static_cast<std::uint8_t>(word_ >> 8); }
    [[nodiscard]] std::uint8_t hop_limit() const { return static_cast<std::uint8_t>(word_); }
    /// The word of a tunnel header before this packet, host order: version and what of the traffic
    /// class the outer header copies (RFC 2983, RFC 6040 section 4.1), flow label 0.
    [[nodiscard]] std::uint64_t tunnel_word(Dscp dscp, std::uint8_t hop_limit) const {
        std::uint64_t kept = word_ >> 52 << 52;
        if (dscp == Dscp::kPipe) [[unlikely]]
            kept &= std::uint64_t{0xf03} << 52;
        return kept | std::uint64_t{packet_length()} << 16 |
               (std::uint64_t{number(IpProtocol::kIpv6)} << 8 | hop_limit);
    }

  private:
    std::uint64_t word_;  // host order: 4 bits of version first
};

/// The first 16 octets of an ordinary frame: destination, source, EtherType, version. DPDK asks
/// for SSE 4.2 itself.
class FrameStart {
  public:
    /// Of frames to the port with this address.
    void set(const MacAddress& mac) {
        alignas(16) std::array<std::uint8_t, 16> octets{};
        mac.store(octets.data());
        store_be16(octets.data() + 12, kEtherTypeIpv6);
        octets[14] = 0x60;
        expected_ = _mm_load_si128(reinterpret_cast<const __m128i*>(octets.data()));
    }
    /// `frame` has 16 octets.
    [[nodiscard]] bool matches(const std::uint8_t* frame) const {
        return _mm_testz_si128(difference(frame, expected_), mask()) != 0;
    }
    /// And the packet in it is for `destination`; `frame` has room for an IPv6 header.
    [[nodiscard]] bool matches(const std::uint8_t* frame, const Ipv6Address& destination) const {
        const std::uint8_t* const to =
            frame + sizeof(EthernetHeader) + offsetof(Ipv6Header, destination);
        const __m128i wanted = load(destination.bytes.data());
        const __m128i all = _mm_or_si128(_mm_and_si128(difference(frame, expected_), mask()),
                                         difference(to, wanted));
        return _mm_testz_si128(all, all) != 0;
    }

  private:
    static __m128i load(const std::uint8_t* octets) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(octets));
    }
    static __m128i difference(const std::uint8_t* octets, __m128i expected) {
        return _mm_xor_si128(load(octets), expected);
    }
    /// All but the source address and the traffic class.
    static __m128i mask() {
        return _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, -1, -1,
                             static_cast<char>(0xf0), 0);
    }

    __m128i expected_{};
};

/// What a packet may be by its next header.
enum class Kind : std::uint8_t {
    kPassesThrough,  // means nothing to this host, whatever is in it
    kOther,          // signalling, errors, extension headers: parse sees to it
    kTunnel,         // the same; to this host, it is for tunnel-in
    kEsp,            // to this host, it is for ipsec-in
};

inline constexpr auto kKinds = [] {
    constexpr std::uint8_t kSctp = 132;
    std::array<Kind, 256> kinds{};
    kinds.fill(Kind::kOther);
    for (const std::uint8_t passing :
         {number(IpProtocol::kIpv4), number(IpProtocol::kTcp), number(IpProtocol::kUdp),
          number(IpProtocol::kGre), number(IpProtocol::kNoNextHeader), kSctp}) {
        kinds[passing] = Kind::kPassesThrough;
    }
    kinds[number(IpProtocol::kIpv6)] = Kind::kTunnel;
    kinds[number(IpProtocol::kEsp)] = Kind::kEsp;
    return kinds;
}();
[[nodiscard]] constexpr Kind kind_of(std::uint8_t next_header) {
    return kKinds[next_header];
}
[[nodiscard]] constexpr bool passes_through(Kind kind) {
    return kind == Kind::kPassesThrough || kind == Kind::kTunnel;
}

/// First octet of a unicast address that is neither link-local nor one of the void ones: 001 of
/// global addresses, 1111110 of unique local ones, and what may once be given out.
constexpr bool is_ordinary(std::uint8_t first_octet) {
    return static_cast<std::uint8_t>(first_octet - 1) < 0xfd;
}

/// Whether a packet of version 6, `before` octets behind the beginning of `room` octets, is whole
/// and can be forwarded, as far as its destination does not matter.
[[nodiscard]] inline bool is_sound_but_for_destination(const Ipv6Header& ip, FirstWord first,
                                                       std::uint32_t room, std::uint32_t before) {
    return first.packet_length() + before <= room && first.hop_limit() > 1 &&
           is_ordinary(ip.source.bytes[0]);
}
/// And as far as it does.
[[nodiscard]] inline bool is_sound(const Ipv6Header& ip, FirstWord first, std::uint32_t room,
                                   std::uint32_t before) {
    return is_sound_but_for_destination(ip, first, room, before) &&
           is_ordinary(ip.destination.bytes[0]);
}

/// The packet in a tunnel, if nothing about it is unusual and decapsulation leaves it as it is
/// (RFC 6040); null otherwise. `outer` is sound.
[[nodiscard]] inline const Ipv6Header* ordinary_inner_of(const Ipv6Header& outer) {
    const FirstWord first(outer);
    const std::uint32_t room = first.packet_length() - kIpv6HeaderLength;
    if (room < kIpv6HeaderLength) return nullptr;
    const Ipv6Header& inner = *(&outer + 1);
    const FirstWord within(inner);
    const bool ordinary = within.version() == 6 && is_sound(inner, within, room, 0) &&
                          passes_through(kind_of(within.next_header())) &&
                          keeps_ecn(within.traffic_class(), first.traffic_class());
    return ordinary ? &inner : nullptr;
}

}  // namespace homeport::tunnel
