// SPDX-License-Identifier: BSD-3-Clause
// links: wire
// The first octet chooses whether the checksum is put right, so that what is behind it is reached.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "controlplane/wire/mobility_header.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

using namespace homeport;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Ipv6Address source{{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}};
    const Ipv6Address destination{{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
    std::vector<std::uint8_t> header(data + 1, data + size);
    if ((data[0] & 1) != 0 && header.size() >= 8) {
        const std::size_t length = (std::size_t{header[1]} + 1) * 8;
        if (length <= header.size()) {
            store_be16(header.data() + 4, 0);
            const auto sum = checksum_add(
                pseudo_header_sum(source, destination, static_cast<std::uint32_t>(length),
                                  number(IpProtocol::kMobility)),
                ConstByteSpan{header}.first(length));
            store_be16(header.data() + 4, checksum_finish(sum));
        }
    }
    const auto message = wire::decode_mobility_header(header, source, destination);
    if (!message) {
        (void)message.error().to_string();
        return 0;
    }
    // What was understood must survive being written and read again. Padding may have been denser
    // than ours: only compare if the result still fits.
    const auto options = std::visit([](const auto& m) { return m.options.size(); }, *message);
    if (options > 32) return 0;
    const auto again = wire::encode_mobility_header(*message, source, destination);
    if (again.size() > 2048) return 0;
    const auto second = wire::decode_mobility_header(again, source, destination);
    if (!second || *second != *message) std::abort();
    return 0;
}
