// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/home_address_option.hpp"

#include <cstring>

#include "dataplane/parse/options.hpp"

namespace homeport::tunnel {

Ipv6Address undo_home_address_option(Packet& packet, const OptionsReport& report) {
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet.data);
    std::uint8_t* const option = packet.data + report.option_offset;
    const Ipv6Address wire_source = ip.source;
    ip.source = Ipv6Address::load(option + 2);
    if (report.alone) {
        remove_extension_header(packet, report.header, report.header_length);
    } else {
        option[0] = parse::number(parse::OptionType::kPadN);
        std::memset(option + 2, 0, sizeof(Ipv6Address));
    }
    return wire_source;
}

bool insert_home_address_option(Packet& packet, const Ipv6Address& care_of_address) {
    parse::Headers headers;
    if (parse::walk(packet.bytes(), headers) != parse::Error::kNone || headers.family != 6 ||
        headers.end != packet.length) {
        return false;
    }
    Place place{sizeof(Ipv6Header), offsetof(Ipv6Header, next_header)};
    parse::for_each_extension_header(packet.bytes(), [&](const parse::ExtensionHeader& header) {
        if (header.is(IpProtocol::kHopByHop) || header.is(IpProtocol::kRouting)) {
            place = {static_cast<std::uint16_t>(header.offset + header.length), header.offset};
        }
        return true;
    });
    if (!insert_extension_header(packet, place, kHomeAddressOptionLength,
                                 number(IpProtocol::kDestinationOptions))) {
        return false;
    }
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet.data);
    // PadN(2), so that the option is aligned to 8n+6.
    const std::uint8_t options[] = {parse::number(parse::OptionType::kPadN),        2, 0, 0,
                                    parse::number(parse::OptionType::kHomeAddress), 16};
    std::uint8_t* const header = packet.data + place.offset;
    std::memcpy(header + 2, options, sizeof options);
    ip.source.store(header + 2 + sizeof options);
    ip.source = care_of_address;
    return true;
}

}  // namespace homeport::tunnel
