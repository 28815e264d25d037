// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/selector.hpp"

#include <utility>

#include "dataplane/ipsec/address_key.hpp"
#include "dataplane/ipsec/compiled_selectors.hpp"
#include "dataplane/ipsec/spi.hpp"

namespace homeport::ipsec {

namespace {

template <class Address>
AddressRange range_of(const Prefix<Address>& prefix) {
    Address first = prefix.masked().address;
    Address last = first;
    for (unsigned bit = prefix.length; bit < Prefix<Address>::kMaxLength; ++bit) {
        last.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80u >> (bit % 8));
    }
    return {first, last};
}

/// The length of the prefix that `range` is exactly, or -1.
template <class Address>
int prefix_length(const Address& first, const Address& last) {
    for (int length = Prefix<Address>::kMaxLength; length >= 0; --length) {
        const AddressRange candidate =
            range_of(Prefix<Address>{first, static_cast<std::uint8_t>(length)});
        if (candidate == AddressRange{first, last}) return length;
    }
    return -1;
}

std::string addresses_to_string(const std::vector<AddressRange>& ranges) {
    if (ranges.empty()) return "any";
    std::string text;
    for (const AddressRange& range : ranges) {
        if (!text.empty()) text += ',';
        text += range.to_string();
    }
    return text;
}

std::string protocol_to_string(const ProtocolSelector& protocol) {
    if (protocol.kind == ProtocolSelector::Kind::kAny) return "any";
    if (protocol.kind == ProtocolSelector::Kind::kOpaque) return "opaque";
    switch (protocol.number) {
        case number(IpProtocol::kIcmp):
            return "icmp";
        case number(IpProtocol::kTcp):
            return "tcp";
        case number(IpProtocol::kUdp):
            return "udp";
        case number(IpProtocol::kEsp):
            return "esp";
        case number(IpProtocol::kIcmpv6):
            return "icmpv6";
        case number(IpProtocol::kMobility):
            return "mh";
        default:
            return std::to_string(protocol.number);
    }
}

std::string icmp_to_string(const ValueRange& range) {
    const unsigned first_type = range.first >> 8;
    const unsigned last_type = range.last >> 8;
    std::string text = std::to_string(first_type);
    const bool whole_types = (range.first & 0xff) == 0 && (range.last & 0xff) == 0xff;
    if (whole_types) {
        if (last_type != first_type) text += "-" + std::to_string(last_type);
        return text;
    }
    text += "/" + std::to_string(range.first & 0xff);
    if (range.last != range.first) {
        text += "-" + std::to_string(last_type) + "/" + std::to_string(range.last & 0xff);
    }
    return text;
}

std::string value_to_string(const ValueSelector& selector, std::uint8_t protocol) {
    if (selector.kind == ValueSelector::Kind::kAny) return "any";
    if (selector.kind == ValueSelector::Kind::kOpaque) return "opaque";
    const bool icmp =
        protocol == number(IpProtocol::kIcmp) || protocol == number(IpProtocol::kIcmpv6);
    std::string text;
    for (const ValueRange& range : selector.ranges) {
        if (!text.empty()) text += ',';
        if (icmp) {
            text += icmp_to_string(range);
        } else {
            text += std::to_string(range.first);
            if (range.last != range.first) text += "-" + std::to_string(range.last);
        }
    }
    return text;
}

}  // namespace

AddressRange AddressRange::of(const Ipv6Prefix& prefix) {
    return range_of(prefix);
}
AddressRange AddressRange::of(const Ipv4Prefix& prefix) {
    return range_of(prefix);
}

std::string AddressRange::to_string() const {
    if (first == last) return homeport::to_string(first);
    int length = -1;
    if (first.index() == last.index()) {
        length =
            std::visit([this]<class Address>(
                           const Address& a) { return prefix_length(a, std::get<Address>(last)); },
                       first);
    }
    if (length >= 0) return homeport::to_string(first) + "/" + std::to_string(length);
    return homeport::to_string(first) + "-" + homeport::to_string(last);
}

Selectors Selectors::mirrored() const {
    return {remote, local, protocol, remote_value, local_value};
}

std::string Selectors::to_string() const {
    std::string text = "local " + addresses_to_string(local) + " remote " +
                       addresses_to_string(remote) + " proto " + protocol_to_string(protocol);
    const bool directional =
        protocol.kind == ProtocolSelector::Kind::kNumber && is_directional(protocol.number);
    const std::string word = directional ? "-type " : "-port ";
    if (local_value.kind != ValueSelector::Kind::kAny) {
        text += " local" + word + value_to_string(local_value, protocol.number);
    }
    if (remote_value.kind != ValueSelector::Kind::kAny) {
        text += " remote" + word + value_to_string(remote_value, protocol.number);
    }
    return text;
}

std::string Spi::to_string() const {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text = "0x00000000";
    for (unsigned i = 0; i < 8; ++i) text[9 - i] = kDigits[(value >> (4 * i)) & 15];
    return text;
}

}  // namespace homeport::ipsec
