// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mobility_options.hpp"

#include <optional>

#include "controlplane/wire/bytes.hpp"

namespace homeport::wire {

namespace {

/// The option's type octet lies at an offset of the form multiple * n + remainder.
struct Alignment {
    std::size_t multiple = 1;
    std::size_t remainder = 0;
};

struct Encoded {
    std::uint8_t type = 0;
    Alignment alignment;
    Bytes data;
};

enum : std::uint8_t {
    kPad1 = 0,
    kPadN = 1,
    kBindingRefreshAdvice = 2,
    kAlternateCareOfAddress = 3,
    kNonceIndices = 4,
    kBindingAuthorizationData = 5,
    kMobileNetworkPrefix = 6,
    kMobileNodeIdentifier = 8,
    kMessageAuthentication = 9,
    kReplayProtection = 10,
    kIpv4HomeAddress = 29,
    kIpv4AddressAcknowledgement = 30,
    kNatDetection = 31,
    kIpv4CareOfAddress = 32,
    kBindingIdentifier = 35,
};

Encoded encode(const BindingRefreshAdvice& option) {
    Encoded out{kBindingRefreshAdvice, {2, 0}, {}};
    put16(out.data, option.interval.value);
    return out;
}

Encoded encode(const AlternateCareOfAddress& option) {
    Encoded out{kAlternateCareOfAddress, {8, 6}, {}};
    put_bytes(out.data, option.address.bytes);
    return out;
}

Encoded encode(const NonceIndices& option) {
    Encoded out{kNonceIndices, {2, 0}, {}};
    put16(out.data, option.home);
    put16(out.data, option.care_of);
    return out;
}

Encoded encode(const BindingAuthorizationData& option) {
    return {kBindingAuthorizationData, {8, 2}, option.authenticator};
}

Encoded encode(const MobileNetworkPrefix& option) {
    Encoded out{kMobileNetworkPrefix, {8, 4}, {}};
    put8(out.data, 0);
    put8(out.data, option.prefix_length);
    put_bytes(out.data, option.prefix.bytes);
    return out;
}

Encoded encode(const MobileNodeIdentifier& option) {
    Encoded out{kMobileNodeIdentifier, {}, {}};
    put8(out.data, option.subtype);
    put_bytes(out.data, option.identifier);
    return out;
}

Encoded encode(const MessageAuthentication& option) {
    Encoded out{kMessageAuthentication, {4, 1}, {}};
    put8(out.data, option.subtype);
    put32(out.data, option.spi);
    put_bytes(out.data, option.data);
    return out;
}

Encoded encode(const ReplayProtection& option) {
    Encoded out{kReplayProtection, {8, 2}, {}};
    put64(out.data, option.timestamp);
    return out;
}

std::uint8_t six_bits(std::uint8_t prefix_length) {
    return static_cast<std::uint8_t>((prefix_length & 0x3f) << 2);
}

Encoded encode(const Ipv4HomeAddress& option) {
    Encoded out{kIpv4HomeAddress, {4, 0}, {}};
    put8(out.data, static_cast<std::uint8_t>(six_bits(option.prefix_length) |
                                             (option.prefix_requested ? 2 : 0)));
    put8(out.data, 0);
    put_bytes(out.data, option.address.bytes);
    return out;
}

Encoded encode(const Ipv4AddressAcknowledgement& option) {
    Encoded out{kIpv4AddressAcknowledgement, {4, 0}, {}};
    put8(out.data, option.status);
    put8(out.data, six_bits(option.prefix_length));
    put_bytes(out.data, option.address.bytes);
    return out;
}

Encoded encode(const NatDetection& option) {
    Encoded out{kNatDetection, {4, 0}, {}};
    put16(out.data, option.force_udp ? 0x8000 : 0);
    put32(out.data, option.refresh_time);
    return out;
}

Encoded encode(const Ipv4CareOfAddress& option) {
    Encoded out{kIpv4CareOfAddress, {4, 0}, {}};
    put16(out.data, 0);
    put_bytes(out.data, option.address.bytes);
    return out;
}

Encoded encode(const BindingIdentifier& option) {
    Encoded out{kBindingIdentifier, {2, 0}, {}};
    put16(out.data, option.identifier);
    put8(out.data, option.status);
    put8(out.data, option.simultaneous_home_and_foreign ? 0x80 : 0);
    if (const auto* v4 = std::get_if<Ipv4Address>(&option.care_of_address)) {
        out.alignment = {8, 2};
        put_bytes(out.data, v4->bytes);
    } else if (const auto* v6 = std::get_if<Ipv6Address>(&option.care_of_address)) {
        out.alignment = {8, 2};
        put_bytes(out.data, v6->bytes);
    }
    return out;
}

Encoded encode(const UnknownOption& option) {
    return {option.type, {}, option.data};
}

void put_padding(Bytes& out, std::size_t count) {
    if (count == 0) return;
    if (count == 1) {
        put8(out, kPad1);
        return;
    }
    put8(out, kPadN);
    put8(out, static_cast<std::uint8_t>(count - 2));
    put_zeros(out, count - 2);
}

std::size_t padding_to(std::size_t offset, Alignment alignment) {
    return (alignment.multiple + alignment.remainder - offset % alignment.multiple) %
           alignment.multiple;
}

bool is_legal_length(std::uint8_t type, std::size_t length) {
    switch (type) {
        case kBindingRefreshAdvice:
            return length == 2;
        case kAlternateCareOfAddress:
            return length == 16;
        case kNonceIndices:
            return length == 4;
        case kMobileNetworkPrefix:
            return length == 18;
        case kMobileNodeIdentifier:
            return length >= 1;
        case kMessageAuthentication:
            return length >= 5;
        case kReplayProtection:
            return length == 8;
        case kIpv4HomeAddress:
        case kIpv4AddressAcknowledgement:
        case kNatDetection:
        case kIpv4CareOfAddress:
            return length == 6;
        case kBindingIdentifier:
            return length == 4 || length == 8 || length == 20;
        default:
            return true;
    }
}

BindingIdentifier decode_binding_identifier(ConstByteSpan data) {
    BindingIdentifier option{load_be16(data.data()), data[2], (data[3] & 0x80) != 0, {}};
    if (data.size() == 8) option.care_of_address = Ipv4Address::load(data.data() + 4);
    if (data.size() == 20) option.care_of_address = Ipv6Address::load(data.data() + 4);
    return option;
}

Bytes copy(ConstByteSpan bytes) {
    return {bytes.begin(), bytes.end()};
}

/// `data` has a legal length for `type`.
MobilityOption decode(std::uint8_t type, ConstByteSpan data) {
    const std::uint8_t* at = data.data();
    switch (type) {
        case kBindingRefreshAdvice:
            return BindingRefreshAdvice{{load_be16(at)}};
        case kAlternateCareOfAddress:
            return AlternateCareOfAddress{Ipv6Address::load(at)};
        case kNonceIndices:
            return NonceIndices{load_be16(at), load_be16(at + 2)};
        case kBindingAuthorizationData:
            return BindingAuthorizationData{copy(data)};
        case kMobileNetworkPrefix:
            return MobileNetworkPrefix{at[1], Ipv6Address::load(at + 2)};
        case kMobileNodeIdentifier:
            return MobileNodeIdentifier{at[0], copy(data.subspan(1))};
        case kMessageAuthentication:
            return MessageAuthentication{at[0], load_be32(at + 1), copy(data.subspan(5))};
        case kReplayProtection:
            return ReplayProtection{load_be64(at)};
        case kIpv4HomeAddress:
            return Ipv4HomeAddress{static_cast<std::uint8_t>(at[0] >> 2), (at[0] & 2) != 0,
                                   Ipv4Address::load(at + 2)};
        case kIpv4AddressAcknowledgement:
            return Ipv4AddressAcknowledgement{at[0], static_cast<std::uint8_t>(at[1] >> 2),
                                              Ipv4Address::load(at + 2)};
        case kNatDetection:
            return NatDetection{(at[0] & 0x80) != 0, load_be32(at + 2)};
        case kIpv4CareOfAddress:
            return Ipv4CareOfAddress{Ipv4Address::load(at + 2)};
        case kBindingIdentifier:
            return decode_binding_identifier(data);
        default:
            return UnknownOption{type, copy(data)};
    }
}

}  // namespace

void append_mobility_options(std::vector<std::uint8_t>& header, const MobilityOptions& options) {
    for (const MobilityOption& option : options) {
        const Encoded encoded = std::visit([](const auto& o) { return encode(o); }, option);
        put_padding(header, padding_to(header.size(), encoded.alignment));
        put8(header, encoded.type);
        put8(header, static_cast<std::uint8_t>(encoded.data.size()));
        put_bytes(header, encoded.data);
    }
    put_padding(header, padding_to(header.size(), {8, 0}));
}

std::variant<MobilityOptions, OptionError> read_mobility_options(ConstByteSpan header,
                                                                 std::size_t offset) {
    MobilityOptions options;
    while (offset < header.size()) {
        const std::uint8_t type = header[offset];
        if (type == kPad1) {
            ++offset;
            continue;
        }
        const std::size_t left = header.size() - offset;
        if (left < 2) return OptionError{offset, left, 2, "option without a length octet"};
        const std::size_t length = header[offset + 1];
        if (length > left - 2) {
            return OptionError{offset + 1, length, left - 2, "option ends past the header"};
        }
        if (!is_legal_length(type, length)) {
            return OptionError{offset + 1, length, 0, "illegal length for this option"};
        }
        if (type != kPadN) options.push_back(decode(type, header.subspan(offset + 2, length)));
        offset += 2 + length;
    }
    return options;
}

}  // namespace homeport::wire
