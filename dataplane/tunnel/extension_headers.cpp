// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/extension_headers.hpp"

#include <cstring>

#include "dataplane/parse/options.hpp"

namespace homeport::tunnel {

namespace {

using Action = OptionsReport::Action;
using parse::Option;
using parse::OptionType;

constexpr std::uint8_t kAddressLength = 16;

void set_payload_length(Packet& packet) {
    auto& ip = *reinterpret_cast<Ipv6Header*>(packet.data);
    ip.payload_length = Be16(static_cast<std::uint16_t>(packet.length - sizeof(Ipv6Header)));
}

bool is_known(std::uint8_t type, const parse::ExtensionHeader& header) {
    switch (static_cast<OptionType>(type)) {
        case OptionType::kPad1:
        case OptionType::kPadN:
            return true;
        case OptionType::kRouterAlert:
            return header.is(IpProtocol::kHopByHop);
        case OptionType::kTunnelEncapsulationLimit:
        case OptionType::kHomeAddress:
            return header.is(IpProtocol::kDestinationOptions);
        default:
            return false;
    }
}

/// RFC 8200 section 4.2: the two high bits of the type say what to do with an unknown option.
Action action_of(std::uint8_t type, bool to_group) {
    switch (type >> 6) {
        case 0:
            return Action::kAccept;
        case 1:
            return Action::kDiscard;
        case 2:
            return Action::kParameterProblem;
        default:
            return to_group ? Action::kDiscard : Action::kParameterProblem;
    }
}

/// Looks at one option after the other; the first that is wrong decides.
class Examination {
  public:
    explicit Examination(ConstByteSpan packet) : packet_(packet) {}

    [[nodiscard]] bool visit(const parse::ExtensionHeader& header) {
        if (!header.is(IpProtocol::kHopByHop) && !header.is(IpProtocol::kDestinationOptions)) {
            return true;
        }
        const ConstByteSpan bytes = packet_.subspan(header.offset, header.length);
        bool found_here = false;
        bool others_here = false;
        const bool well_formed = parse::for_each_option(bytes, [&](const Option& option) {
            if (report_.action != Action::kAccept || option.is_padding()) return;
            if (!is_known(option.type, header)) {
                others_here = true;
                refuse(header, option);
            } else if (option.type == parse::number(OptionType::kHomeAddress)) {
                found_here = true;
                take_home_address(header, option);
            } else {
                others_here = true;
            }
        });
        if (!well_formed && report_.action == Action::kAccept) report_.action = Action::kMalformed;
        if (found_here) report_.alone = !others_here;
        return report_.action == Action::kAccept;
    }

    [[nodiscard]] const OptionsReport& report() const { return report_; }

  private:
    void refuse(const parse::ExtensionHeader& header, const Option& option) {
        const bool to_group = packet_[offsetof(Ipv6Header, destination)] == 0xff;
        report_.action = action_of(option.type, to_group);
        report_.pointer = static_cast<std::uint16_t>(header.offset + option.offset);
    }

    void take_home_address(const parse::ExtensionHeader& header, const Option& option) {
        const auto at = static_cast<std::uint16_t>(header.offset + option.offset);
        if (report_.has_home_address || option.length != kAddressLength ||
            !Ipv6Address::load(packet_.data() + at + 2).is_unicast_routable()) {
            report_.action = Action::kBadHomeAddress;
            return;
        }
        report_.has_home_address = true;
        report_.option_offset = at;
        report_.header = {header.offset, header.name_offset};
        report_.header_length = header.length;
    }

    ConstByteSpan packet_;
    OptionsReport report_;
};

}  // namespace

bool insert_extension_header(Packet& packet, const Place& place, std::uint16_t length,
                             std::uint8_t type) {
    if (packet.headroom < length || place.offset > packet.length ||
        packet.length + length > sizeof(Ipv6Header) + 0xffff) {
        return false;
    }
    packet.prepend(length);
    std::memmove(packet.data, packet.data + length, place.offset);
    packet.data[place.offset] = packet.data[place.name_offset];
    packet.data[place.offset + 1] = static_cast<std::uint8_t>(length / 8 - 1);
    packet.data[place.name_offset] = type;
    set_payload_length(packet);
    return true;
}

void remove_extension_header(Packet& packet, const Place& place, std::uint16_t length) {
    packet.data[place.name_offset] = packet.data[place.offset];
    std::memmove(packet.data + length, packet.data, place.offset);
    packet.cut_front(length);
    set_payload_length(packet);
}

OptionsReport examine_options(ConstByteSpan packet) {
    Examination examination(packet);
    parse::for_each_extension_header(
        packet, [&](const parse::ExtensionHeader& header) { return examination.visit(header); });
    return examination.report();
}

}  // namespace homeport::tunnel
