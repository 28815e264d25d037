// SPDX-License-Identifier: BSD-3-Clause
// Home Address option and type 2 routing header: undone and put back, octet by octet, inside the
// buffer; what is made is well formed.
// links: tunnel
#include <cstdlib>
#include <cstring>
#include <vector>

#include "dataplane/tunnel/home_address_option.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/routing_header.hpp"

using namespace homeport;

namespace {

constexpr std::uint32_t kRoom = 64;

void require(bool condition) {
    if (!condition) std::abort();
}

/// A copy of the input with room around it, each octet of which the sanitizer watches.
struct Buffer {
    explicit Buffer(ConstByteSpan bytes) : storage(bytes.size() + std::size_t{2} * kRoom) {
        std::memcpy(storage.data() + kRoom, bytes.data(), bytes.size());
        packet = {storage.data() + kRoom, static_cast<std::uint32_t>(bytes.size()), kRoom, kRoom};
    }
    std::vector<std::uint8_t> storage;
    tunnel::Packet packet;
};

bool is_well_formed(const tunnel::Packet& packet) {
    parse::Headers headers;
    const parse::Error error = parse::walk(packet.bytes(), headers);
    // A source that nobody may send is not these functions' business.
    return (error == parse::Error::kNone && headers.end == packet.length) ||
           error == parse::Error::kSource || error == parse::Error::kHeader;
}

void undo_home_address(ConstByteSpan bytes) {
    const tunnel::OptionsReport report = tunnel::examine_options(bytes);
    if (report.action != tunnel::OptionsReport::Action::kAccept || !report.has_home_address) return;
    Buffer buffer(bytes);
    const Ipv6Address wire_source = tunnel::source_of(bytes);
    require(tunnel::undo_home_address_option(buffer.packet, report) == wire_source);
    require(tunnel::source_of(buffer.packet.bytes()).is_unicast_routable());
    require(is_well_formed(buffer.packet));
    require(!tunnel::examine_options(buffer.packet.bytes()).has_home_address);
}

void undo_routing_header(ConstByteSpan bytes, const parse::Headers& headers) {
    if (!headers.has(parse::kRoutingHeader)) return;
    Ipv6Address home_address;
    if (const std::uint8_t* address = tunnel::type2_address(bytes, headers)) {
        home_address = Ipv6Address::load(address);
    }
    Buffer buffer(bytes);
    if (tunnel::undo_type2_routing_header(buffer.packet, headers, home_address) !=
        tunnel::RoutingHeaderResult::kUndone) {
        require(std::memcmp(buffer.packet.data, bytes.data(), bytes.size()) == 0);
        return;
    }
    require(tunnel::destination_of(buffer.packet.bytes()) == home_address);
    require(is_well_formed(buffer.packet));
}

void insert_both(ConstByteSpan bytes) {
    const Ipv6Address address{{0x20, 1, 0xd, 0xb8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}};
    Buffer with_option(bytes);
    if (tunnel::insert_home_address_option(with_option.packet, address)) {
        require(is_well_formed(with_option.packet));
        require(tunnel::source_of(with_option.packet.bytes()) == address);
    }
    Buffer with_header(bytes);
    if (tunnel::insert_type2_routing_header(with_header.packet, address)) {
        require(is_well_formed(with_header.packet));
        require(tunnel::destination_of(with_header.packet.bytes()) == address);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ConstByteSpan input(data, size);
    parse::Headers headers;
    if (parse::walk(input, headers) != parse::Error::kNone || headers.family != 6) {
        insert_both(input);
        return 0;
    }
    const ConstByteSpan packet = input.first(headers.end);
    undo_home_address(packet);
    undo_routing_header(packet, headers);
    insert_both(packet);
    return 0;
}
