// SPDX-License-Identifier: BSD-3-Clause
// The header walk: whatever it accepts lies inside the packet.
// links: parse
#include <cstdlib>

#include "dataplane/parse/header_walk.hpp"

using namespace homeport;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check(ConstByteSpan packet, const parse::Headers& headers) {
    require(headers.end <= packet.size());
    require(headers.upper_offset <= headers.end);
    require(headers.family == 4 || headers.family == 6);
    require(headers.family == packet[0] >> 4);
    if (headers.family != 6) return;
    unsigned count = 0;
    std::size_t at = sizeof(Ipv6Header);
    parse::for_each_extension_header(packet, [&](const parse::ExtensionHeader& header) {
        require(++count <= parse::kMaxExtensionHeaders);
        require(header.offset == at && header.name_offset < at && header.length >= 8);
        require(packet[header.name_offset] == header.type);
        at += header.length;
        require(at <= headers.end);
        return true;
    });
    require(headers.has(parse::kFragment) ? at == headers.upper_offset + 8u
                                          : at == headers.upper_offset);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ConstByteSpan packet(data, size);
    for (const auto checksum : {parse::Checksum::kVerify, parse::Checksum::kVerified}) {
        parse::Headers headers;
        if (parse::walk(packet, headers, checksum) == parse::Error::kNone) check(packet, headers);
    }
    return 0;
}
