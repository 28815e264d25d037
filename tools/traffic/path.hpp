// SPDX-License-Identifier: BSD-3-Clause
// The paths that are measured, and who takes part: addresses and ports of the frames, of the
// bindings and of the SAs. The one place where they stand.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::traffic {

/// An `i` is the way in of a path over IPv4, an `f` forged packets that all have to be dropped.
enum class Path : std::uint8_t {
    kP1,           // IPv6 in IPv6, out
    kP2,           // the same in, care-of address checked
    kP3,           // payload under ESP tunnel mode, out
    kP4,           // the same, in
    kP9,           // IPv6 in IPv4, out
    kP9i,          // in
    kP10,          // in UDP 4191, out
    kP10i,         // in
    kP13,          // ESP right in IPv4, out
    kP13i,         // ESP in UDP 4500, in
    kP13u,         // ESP in UDP 4500, out
    kP9f,          // UDP 4191 from a wrong port
    kP13f,         // UDP 4500 with right SPIs, wrong ICVs and a new source port each
    kP20,          // Mobile IPv4: IP in IP, out
    kP21,          // in
    kP26,          // in UDP 434, out
    kP27,          // in
    kP31,          // at a VPN gateway alone: a client's ESP, in
    kP32,          // out
    kInternalIn,   // P21 at an internal home agent alone, from a VPN client's inner address
    kInternalOut,  // P20 to it
    kExternalIn,   // P21 at an external home agent alone, ESP inside
    kExternalOut,  // P20 with it
    kCvcIn,        // the three in one box and one pass (S2.131)
    kCvcOut,
};
struct PathName {
    Path path;
    std::string_view name;
};
inline constexpr std::array<PathName, 25> kPaths{{{Path::kP1, "P1"},
                                                  {Path::kP2, "P2"},
                                                  {Path::kP3, "P3"},
                                                  {Path::kP4, "P4"},
                                                  {Path::kP9, "P9"},
                                                  {Path::kP9i, "P9i"},
                                                  {Path::kP10, "P10"},
                                                  {Path::kP10i, "P10i"},
                                                  {Path::kP13, "P13"},
                                                  {Path::kP13i, "P13i"},
                                                  {Path::kP13u, "P13u"},
                                                  {Path::kP9f, "P9f"},
                                                  {Path::kP13f, "P13f"},
                                                  {Path::kP20, "P20"},
                                                  {Path::kP21, "P21"},
                                                  {Path::kP26, "P26"},
                                                  {Path::kP27, "P27"},
                                                  {Path::kP31, "P31"},
                                                  {Path::kP32, "P32"},
                                                  {Path::kInternalIn, "iha-in"},
                                                  {Path::kInternalOut, "iha-out"},
                                                  {Path::kExternalIn, "xha-in"},
                                                  {Path::kExternalOut, "xha-out"},
                                                  {Path::kCvcIn, "cvc-in"},
                                                  {Path::kCvcOut, "cvc-out"}}};

[[nodiscard]] constexpr std::optional<Path> parse_path(std::string_view name) {
    for (const PathName& path : kPaths) {
        if (path.name == name) return path.path;
    }
    return std::nullopt;
}
[[nodiscard]] constexpr std::string_view name_of(Path path) {
    return kPaths[static_cast<std::size_t>(path)].name;
}
/// Towards the mobile node.
[[nodiscard]] constexpr bool is_out(Path path) {
    return path == Path::kP1 || path == Path::kP3 || path == Path::kP9 || path == Path::kP10 ||
           path == Path::kP13 || path == Path::kP13u || path == Path::kP20 || path == Path::kP26 ||
           path == Path::kP32 || path == Path::kInternalOut || path == Path::kExternalOut ||
           path == Path::kCvcOut;
}
/// Of one or all of the roles across a VPN gateway: roles.hpp has their records and frames.
[[nodiscard]] constexpr bool is_of_roles(Path path) {
    return path >= Path::kP31;
}
/// Of Mobile IPv4: home addresses are IPv4 ones, too.
[[nodiscard]] constexpr bool is_mip4(Path path) {
    return path >= Path::kP20 && !is_of_roles(path);
}
[[nodiscard]] constexpr bool is_forged(Path path) {
    return path == Path::kP9f || path == Path::kP13f;
}
/// Payload is under ESP.
[[nodiscard]] constexpr bool is_sealed(Path path) {
    return path == Path::kP3 || path == Path::kP4 || path == Path::kP13 || path == Path::kP13i ||
           path == Path::kP13u || path == Path::kP13f;
}
/// The care-of address is an IPv4 one.
[[nodiscard]] constexpr bool is_over_ipv4(Path path) {
    return path > Path::kP4;
}
/// The binding goes in UDP. P13 alone of the sealed ones does not: no NAT was found there.
[[nodiscard]] constexpr bool is_in_udp(Path path) {
    return path > Path::kP9i && path != Path::kP13 && path != Path::kP20 && path != Path::kP21 &&
           !is_of_roles(path);
}

inline constexpr Ipv6Address ipv6_of(std::uint32_t third, std::uint32_t fourth,
                                     std::uint32_t last) {
    Ipv6Address made{{0x20, 0x01, 0x0d, 0xb8}};
    made.bytes[4] = static_cast<std::uint8_t>(third >> 8);
    made.bytes[5] = static_cast<std::uint8_t>(third);
    made.bytes[6] = static_cast<std::uint8_t>(fourth >> 8);
    made.bytes[7] = static_cast<std::uint8_t>(fourth);
    for (int i = 0; i < 4; ++i) {
        made.bytes[static_cast<std::size_t>(15 - i)] = static_cast<std::uint8_t>(last >> 8 * i);
    }
    return made;
}
inline constexpr Ipv6Address kHomeAgent = ipv6_of(1, 0, 1);
inline constexpr Ipv6Address kCareOf = ipv6_of(0xa, 0, 0x200);
inline constexpr Ipv6Address kCorrespondent = ipv6_of(3, 0, 0x300);
inline constexpr Ipv6Address kNextHop = ipv6_of(0xf, 0, 2);
inline constexpr Ipv6Address kHomePrefix = ipv6_of(1, 1, 0);  // 64 bits
inline constexpr Ipv4Address kHomeAgent4{{192, 0, 2, 1}};
inline constexpr Ipv4Address kCareOf4{{203, 0, 113, 7}};
inline constexpr Ipv4Address kCorrespondent4{{198, 51, 100, 200}};
inline constexpr Ipv4Address kNextHop4{{198, 18, 0, 2}};
inline constexpr std::uint16_t kTunnelPort = 40000;  // of the node's UDP 4191 at its NAT
inline constexpr MacAddress kPortMac{{0x02, 0x48, 0x50, 0, 0, 1}};
inline constexpr MacAddress kPeerMac{{0x02, 0, 0, 0, 0, 9}};
inline constexpr MacAddress kNextHopMac{{0x02, 0, 0, 0, 0, 0xaa}};

/// Home address of node number `index`.
[[nodiscard]] constexpr Ipv6Address home(std::uint32_t index) {
    return ipv6_of(1, 1, 0x1000 + index);
}
[[nodiscard]] constexpr Ipv4Address ipv4_of(std::uint32_t host) {
    return {{static_cast<std::uint8_t>(host >> 24), static_cast<std::uint8_t>(host >> 16),
             static_cast<std::uint8_t>(host >> 8), static_cast<std::uint8_t>(host)}};
}
/// The same of Mobile IPv4.
[[nodiscard]] constexpr Ipv4Address home4(std::uint32_t index) {
    return ipv4_of(0x0a00'1000 + index);
}
/// SPIs of node number `index`, whose SAs belong to worker `owner`.
inline constexpr std::uint32_t kFirstSpiOut = 0x1000'0000;

}  // namespace homeport::traffic
