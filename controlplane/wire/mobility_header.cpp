// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mobility_header.hpp"

#include <cassert>
#include <optional>
#include <utility>

#include "controlplane/wire/bytes.hpp"
#include "controlplane/wire/ipv6_packet.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::wire {

namespace {

constexpr std::size_t kChecksumOffset = 4;
constexpr std::uint8_t kNoNextHeader = number(IpProtocol::kNoNextHeader);

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};

// --- encode -----------------------------------------------------------------------------------

void put_message(Bytes&, const BindingRefreshRequest&) {}

void put_message(Bytes& out, const HomeTestInit& message) {
    put64(out, message.cookie);
}

void put_message(Bytes& out, const CareOfTestInit& message) {
    put64(out, message.cookie);
}

template <class TestMessage>
void put_test(Bytes& out, const TestMessage& message) {
    store_be16(out.data() + 6, message.nonce_index);
    put64(out, message.cookie);
    put64(out, message.keygen_token);
}
void put_message(Bytes& out, const HomeTest& message) {
    put_test(out, message);
}
void put_message(Bytes& out, const CareOfTest& message) {
    put_test(out, message);
}

void put_message(Bytes& out, const BindingUpdate& message) {
    store_be16(out.data() + 6, message.sequence);
    unsigned flags = 0;
    if (message.acknowledge) flags |= 0x8000;
    if (message.home_registration) flags |= 0x4000;
    if (message.link_local) flags |= 0x2000;
    if (message.key_management_mobility) flags |= 0x1000;
    if (message.map_registration) flags |= 0x0800;
    if (message.mobile_router) flags |= 0x0400;
    if (message.proxy_registration) flags |= 0x0200;
    if (message.force_udp) flags |= 0x0100;
    if (message.tlv_header) flags |= 0x0080;
    if (message.overwrite) flags |= 0x0040;
    put16(out, static_cast<std::uint16_t>(flags));
    put16(out, message.lifetime.value);
}

void put_message(Bytes& out, const BindingAcknowledgement& message) {
    unsigned flags = 0;
    if (message.key_management_mobility) flags |= 0x80;
    if (message.mobile_router) flags |= 0x40;
    if (message.proxy_registration) flags |= 0x20;
    if (message.tlv_header) flags |= 0x10;
    out[6] = static_cast<std::uint8_t>(message.status);
    out[7] = static_cast<std::uint8_t>(flags);
    put16(out, message.sequence);
    put16(out, message.lifetime.value);
}

void put_message(Bytes& out, const BindingError& message) {
    out[6] = static_cast<std::uint8_t>(message.status);
    put_bytes(out, message.home_address.bytes);
}

void put_message(Bytes& out, const HomeAgentSwitch& message) {
    out[6] = static_cast<std::uint8_t>(message.addresses.size());
    for (const Ipv6Address& address : message.addresses) put_bytes(out, address.bytes);
}

void put_message(Bytes& out, const BindingRevocation& message) {
    out[6] = static_cast<std::uint8_t>(message.type);
    out[7] = message.trigger_or_status;
    put16(out, message.sequence);
    unsigned flags = 0;
    if (message.proxy_binding) flags |= 0x8000;
    if (message.ipv4_binding_only) flags |= 0x4000;
    if (message.global) flags |= 0x2000;
    put16(out, static_cast<std::uint16_t>(flags));
}

// --- decode -----------------------------------------------------------------------------------

/// Octets in front of the options. `header` has at least 8.
std::optional<std::size_t> fixed_octets(ConstByteSpan header) {
    switch (static_cast<MobilityType>(header[2])) {
        case MobilityType::kBindingRefreshRequest:
            return 8;
        case MobilityType::kHomeTestInit:
        case MobilityType::kCareOfTestInit:
            return 16;
        case MobilityType::kHomeTest:
        case MobilityType::kCareOfTest:
        case MobilityType::kBindingError:
            return 24;
        case MobilityType::kBindingUpdate:
        case MobilityType::kBindingAcknowledgement:
        case MobilityType::kBindingRevocation:
            return 12;
        case MobilityType::kHomeAgentSwitch:
            return 8 + 16 * std::size_t{header[6]};
    }
    return std::nullopt;
}

template <class TestMessage>
TestMessage get_test(const std::uint8_t* at, MobilityOptions&& options) {
    return {load_be16(at + 6), load_be64(at + 8), load_be64(at + 16), std::move(options)};
}

BindingUpdate get_binding_update(const std::uint8_t* at, MobilityOptions&& options) {
    const std::uint16_t flags = load_be16(at + 8);
    return {.acknowledge = (flags & 0x8000) != 0,
            .home_registration = (flags & 0x4000) != 0,
            .link_local = (flags & 0x2000) != 0,
            .key_management_mobility = (flags & 0x1000) != 0,
            .map_registration = (flags & 0x0800) != 0,
            .mobile_router = (flags & 0x0400) != 0,
            .proxy_registration = (flags & 0x0200) != 0,
            .force_udp = (flags & 0x0100) != 0,
            .tlv_header = (flags & 0x0080) != 0,
            .overwrite = (flags & 0x0040) != 0,
            .sequence = load_be16(at + 6),
            .lifetime = {load_be16(at + 10)},
            .options = std::move(options)};
}

BindingAcknowledgement get_binding_acknowledgement(const std::uint8_t* at,
                                                   MobilityOptions&& options) {
    return {.status = static_cast<BindingStatus>(at[6]),
            .key_management_mobility = (at[7] & 0x80) != 0,
            .mobile_router = (at[7] & 0x40) != 0,
            .proxy_registration = (at[7] & 0x20) != 0,
            .tlv_header = (at[7] & 0x10) != 0,
            .sequence = load_be16(at + 8),
            .lifetime = {load_be16(at + 10)},
            .options = std::move(options)};
}

HomeAgentSwitch get_home_agent_switch(const std::uint8_t* at, MobilityOptions&& options) {
    HomeAgentSwitch message{{}, std::move(options)};
    for (std::size_t i = 0; i < at[6]; ++i) {
        message.addresses.push_back(Ipv6Address::load(at + 8 + 16 * i));
    }
    return message;
}

BindingRevocation get_binding_revocation(const std::uint8_t* at, MobilityOptions&& options) {
    const std::uint16_t flags = load_be16(at + 10);
    return {.type = static_cast<RevocationType>(at[6]),
            .trigger_or_status = at[7],
            .sequence = load_be16(at + 8),
            .proxy_binding = (flags & 0x8000) != 0,
            .ipv4_binding_only = (flags & 0x4000) != 0,
            .global = (flags & 0x2000) != 0,
            .options = std::move(options)};
}

/// The header's type is known and its fixed part is there.
MobilityMessage get_message(const std::uint8_t* at, MobilityOptions&& options) {
    switch (static_cast<MobilityType>(at[2])) {
        case MobilityType::kHomeTestInit:
            return HomeTestInit{load_be64(at + 8), std::move(options)};
        case MobilityType::kCareOfTestInit:
            return CareOfTestInit{load_be64(at + 8), std::move(options)};
        case MobilityType::kHomeTest:
            return get_test<HomeTest>(at, std::move(options));
        case MobilityType::kCareOfTest:
            return get_test<CareOfTest>(at, std::move(options));
        case MobilityType::kBindingUpdate:
            return get_binding_update(at, std::move(options));
        case MobilityType::kBindingAcknowledgement:
            return get_binding_acknowledgement(at, std::move(options));
        case MobilityType::kBindingError:
            return BindingError{static_cast<BindingErrorStatus>(at[6]), Ipv6Address::load(at + 8),
                                std::move(options)};
        case MobilityType::kHomeAgentSwitch:
            return get_home_agent_switch(at, std::move(options));
        case MobilityType::kBindingRevocation:
            return get_binding_revocation(at, std::move(options));
        case MobilityType::kBindingRefreshRequest:
            break;
    }
    return BindingRefreshRequest{std::move(options)};
}

std::unexpected<MobilityDecodeError> fault(MobilityFault which, std::size_t offset,
                                           std::size_t found, std::size_t expected,
                                           const char* what) {
    return std::unexpected(MobilityDecodeError{which, static_cast<std::uint16_t>(offset),
                                               static_cast<std::uint32_t>(found),
                                               static_cast<std::uint32_t>(expected), what});
}

}  // namespace

MobilityType type_of(const MobilityMessage& message) {
    return std::visit(
        Overloaded{
            [](const BindingRefreshRequest&) { return MobilityType::kBindingRefreshRequest; },
            [](const HomeTestInit&) { return MobilityType::kHomeTestInit; },
            [](const CareOfTestInit&) { return MobilityType::kCareOfTestInit; },
            [](const HomeTest&) { return MobilityType::kHomeTest; },
            [](const CareOfTest&) { return MobilityType::kCareOfTest; },
            [](const BindingUpdate&) { return MobilityType::kBindingUpdate; },
            [](const BindingAcknowledgement&) { return MobilityType::kBindingAcknowledgement; },
            [](const BindingError&) { return MobilityType::kBindingError; },
            [](const HomeAgentSwitch&) { return MobilityType::kHomeAgentSwitch; },
            [](const BindingRevocation&) { return MobilityType::kBindingRevocation; },
        },
        message);
}

std::string MobilityDecodeError::to_string() const {
    return std::string{"mobility header, octet "} + std::to_string(offset) + ": " + what +
           ", found " + std::to_string(found) + ", expected " + std::to_string(expected);
}

std::expected<MobilityMessage, MobilityDecodeError> decode_mobility_header(
    ConstByteSpan header, const Ipv6Address& source, const Ipv6Address& destination) {
    using enum MobilityFault;
    if (header.size() < 8) {
        return fault(kTruncated, 0, header.size(), 8, "shorter than the shortest header");
    }
    const std::size_t length = (std::size_t{header[1]} + 1) * 8;
    if (length > header.size()) {
        return fault(kTruncated, 1, header.size(), length, "shorter than its length field says");
    }
    header = header.first(length);

    const std::uint16_t checksum = checksum_finish(
        checksum_add(pseudo_header_sum(source, destination, static_cast<std::uint32_t>(length),
                                       number(IpProtocol::kMobility)),
                     header));
    if (checksum != 0) {
        const std::uint16_t found = load_be16(header.data() + kChecksumOffset);
        return fault(kChecksum, kChecksumOffset, found, checksum_update(checksum, found, 0),
                     "wrong checksum");
    }
    const auto fixed = fixed_octets(header);
    if (!fixed) return fault(kType, 2, header[2], 0, "unknown message type");
    if (header[0] != kNoNextHeader) {
        return fault(kPayloadProto, 0, header[0], kNoNextHeader,
                     "payload proto is not No Next Header");
    }
    if (length < *fixed) {
        return fault(kHeaderLength, 1, header[1], (*fixed + 7) / 8 - 1,
                     "header length too small for this message");
    }
    if (header[2] == static_cast<std::uint8_t>(MobilityType::kBindingRevocation) &&
        header[6] != 1 && header[6] != 2) {
        return fault(kOption, 6, header[6], 1, "neither revocation indication nor acknowledgement");
    }
    auto options = read_mobility_options(header, *fixed);
    if (const auto* error = std::get_if<OptionError>(&options)) {
        return fault(kOption, error->offset, error->found, error->expected, error->what);
    }
    return get_message(header.data(), std::get<MobilityOptions>(std::move(options)));
}

std::vector<std::uint8_t> encode_mobility_header(const MobilityMessage& message,
                                                 const Ipv6Address& source,
                                                 const Ipv6Address& destination) {
    Bytes header{kNoNextHeader, 0, static_cast<std::uint8_t>(type_of(message)), 0, 0, 0, 0, 0};
    std::visit(
        [&header](const auto& m) {
            put_message(header, m);
            append_mobility_options(header, m.options);
        },
        message);
    assert(header.size() <= 2048);
    header[1] = static_cast<std::uint8_t>(header.size() / 8 - 1);
    const std::uint16_t checksum = checksum_finish(checksum_add(
        pseudo_header_sum(source, destination, static_cast<std::uint32_t>(header.size()),
                          number(IpProtocol::kMobility)),
        header));
    store_be16(header.data() + kChecksumOffset, checksum);
    return header;
}

std::vector<std::uint8_t> mobility_packet(const MobilityMessage& message, const Ipv6Address& source,
                                          const Ipv6Address& destination, std::uint8_t hop_limit) {
    return ipv6_packet(source, destination, number(IpProtocol::kMobility), hop_limit,
                       encode_mobility_header(message, source, destination));
}

}  // namespace homeport::wire
