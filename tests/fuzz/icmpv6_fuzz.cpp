// SPDX-License-Identifier: BSD-3-Clause
// links: wire
// Whole IPv6 packets; the first octet chooses whether the ICMPv6 checksum is put right.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "controlplane/wire/icmpv6.hpp"
#include "dataplane/base/checksum.hpp"

using namespace homeport;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::vector<std::uint8_t> packet(data + 1, data + size);
    auto view = wire::view_ipv6_packet(packet);
    if (!view) return 0;
    if ((data[0] & 1) != 0 && view->upper.size() >= 4) {
        std::uint8_t* const message = packet.data() + view->upper_offset;
        store_be16(message + 2, 0);
        const auto sum =
            checksum_add(pseudo_header_sum(view->source, view->destination,
                                           static_cast<std::uint32_t>(view->upper.size()),
                                           number(IpProtocol::kIcmpv6)),
                         view->upper);
        store_be16(message + 2, checksum_finish(sum));
    }
    for (const auto type : {wire::Icmpv6Type::kPacketTooBig, wire::Icmpv6Type::kParameterProblem}) {
        (void)wire::may_answer_with_error(packet, type, 0);
    }
    const auto message = wire::decode_icmpv6(*view);
    if (!message) {
        (void)message.error().to_string();
        return 0;
    }
    const auto again = wire::encode_icmpv6(*message, view->source, view->destination);
    wire::Ipv6PacketView second = *view;
    second.upper = again;
    const auto decoded = wire::decode_icmpv6(second);
    if (!decoded || *decoded != *message) std::abort();
    return 0;
}
