// SPDX-License-Identifier: BSD-3-Clause
// Into a tunnel and out of it gives the packet back; out of a tunnel nothing lies outside it.
// links: tunnel
#include <cstdlib>
#include <cstring>
#include <vector>

#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/decapsulate.hpp"

using namespace homeport;

namespace {

constexpr std::uint32_t kRoom = 64;

void require(bool condition) {
    if (!condition) std::abort();
}

void strip(ConstByteSpan input) {
    parse::Headers headers;
    if (parse::walk(input, headers) != parse::Error::kNone) return;
    std::vector<std::uint8_t> bytes(input.begin(), input.begin() + headers.end);
    tunnel::Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size()), 0, 0};
    if (tunnel::decapsulate(packet, headers.upper_offset, headers.protocol) !=
        tunnel::DecapsulateError::kNone) {
        return;
    }
    require(packet.data == bytes.data() + headers.upper_offset);
    require(packet.headroom + packet.length + packet.tailroom == bytes.size());
    require(packet.data[0] >> 4 == (headers.protocol == 41 ? 6 : 4));
}

void there_and_back(ConstByteSpan input) {
    if (input.empty()) return;
    std::vector<std::uint8_t> bytes(input.size() + std::size_t{2} * kRoom);
    std::memcpy(bytes.data() + kRoom, input.data(), input.size());
    tunnel::Packet packet{bytes.data() + kRoom, static_cast<std::uint32_t>(input.size()), kRoom,
                          kRoom};
    std::optional<std::uint8_t> limit;
    if ((input[0] & 1) != 0) limit = std::uint8_t{4};
    if (tunnel::encapsulate_in_ipv6(packet, {}, limit) != tunnel::EncapsulateError::kNone) return;
    const auto found = tunnel::encapsulation_limit_of(packet.bytes());
    require(found.has_value() == limit.has_value());
    const std::uint16_t offset = limit ? 48 : 40;
    const std::uint8_t protocol = input[0] >> 4 == 6 ? 41 : 4;
    if (tunnel::decapsulate(packet, offset, protocol) != tunnel::DecapsulateError::kNone) return;
    require(packet.length <= input.size());
    require(std::memcmp(packet.data, input.data(), packet.length) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    strip({data, size});
    there_and_back({data, size});
    return 0;
}
