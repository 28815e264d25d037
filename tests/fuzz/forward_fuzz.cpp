// SPDX-License-Identifier: BSD-3-Clause
// What the forwarding stages read of packets: quotes in ICMP errors, upper layers of packets that
// are cut off, neighbor discovery. Whatever is accepted lies inside the octets.
// links: forward
#include <array>
#include <cstdlib>

#include "dataplane/base/checksum.hpp"
#include "dataplane/forward/icmp_message.hpp"
#include "dataplane/forward/neighbor_message.hpp"
#include "dataplane/forward/quoted_packet.hpp"

using namespace homeport;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_quote(ConstByteSpan octets) {
    const forward::QuotedPacket quoted = forward::read_quote(octets);
    if (quoted.kind != forward::QuotedPacket::Kind::kTunnel) return;
    require(quoted.inner.data() >= octets.data() &&
            quoted.inner.data() + quoted.inner.size() <= octets.data() + octets.size());
    const std::size_t shortest = quoted.inner_family == 6 ? 40 : 20;
    if (!quoted.edited) {
        require(quoted.inner.size() >= shortest);
        return;
    }
    // Minimal encapsulation: the header of what was inside is put together anew.
    require(quoted.inner_family == 4 && quoted.inner_length >= shortest);
    std::array<std::uint8_t, forward::kMostRestored> restored;
    const std::size_t length = forward::restore_inner(octets, quoted, restored);
    require(length >= shortest && length <= restored.size() && restored[0] >> 4 == 4);
    require(internet_checksum({restored.data(), (restored[0] & 0xfu) * std::size_t{4}}) == 0);
}

void check_error(ConstByteSpan octets, std::uint8_t family) {
    const forward::IcmpError error{.kind = stage::IcmpErrorKind::kPacketTooBig, .parameter = 1280};
    if (!forward::may_report(octets, family, error, false)) return;
    std::array<std::uint8_t, forward::kMaxIcmpv6Error> out;
    if (family == 6) {
        require(octets.size() >= 40);
        const std::uint16_t length =
            forward::write_icmpv6_error(out.data(), Ipv6Address{}, Ipv6Address{}, error, octets);
        require(length <= forward::kMaxIcmpv6Error && length >= 48 + 40);
    } else {
        require(octets.size() >= 20);
        const std::uint16_t length =
            forward::write_icmpv4_error(out.data(), Ipv4Address{}, Ipv4Address{}, 1, error, octets);
        require(length <= forward::kMaxIcmpv4Error && length >= 28 + 20);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1 || size > 0xffff) return 0;
    const std::uint8_t choice = data[0];
    const ConstByteSpan octets(data + 1, size - 1);
    check_quote(octets);
    check_error(octets, 4);
    check_error(octets, 6);
    (void)forward::read_neighbor_message(octets, choice);
    return 0;
}
