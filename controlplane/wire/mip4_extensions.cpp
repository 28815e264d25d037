// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mip4_extensions.hpp"

#include <algorithm>

#include "controlplane/wire/bytes.hpp"

namespace homeport::wire {

namespace {

enum : std::uint8_t {
    kPad = 0,
    kMobileHome = 32,
    kMobileForeign = 33,
    kForeignHome = 34,
    kGeneralizedAuthentication = 36,
    kCriticalVendor = 38,
    kUdpTunnelReply = 44,
    kFirstSkippable = 128,
    kEncapsulatingDelivery = 130,
    kNetworkAccessIdentifier = 131,
    kChallenge = 132,
    kNormalVendor = 134,
    kRevocationSupport = 137,
    kUdpTunnelRequest = 144,
    kTrustedNetworksConfigured = 149,
};

constexpr std::uint8_t kForcedBit = 0x80;        // of type 144
constexpr std::uint8_t kRegistrationBit = 0x40;  // of type 144
constexpr std::uint16_t kTopBit = 0x8000;        // F of type 44, I of type 137

// ------------------------------------------------------------------------------------- encoding

/// Type and length; the length counts `data` octets behind it.
void put_plain(Bytes& out, std::uint8_t type, std::size_t data) {
    put8(out, type);
    put8(out, static_cast<std::uint8_t>(std::min<std::size_t>(data, 255)));
}
/// Extensions of at most 255 octets: what is longer is cut, and never made by our own callers.
ConstByteSpan fitting(ConstByteSpan data, std::size_t fixed) {
    return data.first(std::min(data.size(), 255 - fixed));
}

void encode(Bytes& out, const Mip4Authentication& one) {
    const ConstByteSpan authenticator = fitting(one.authenticator, 4);
    put_plain(out, static_cast<std::uint8_t>(one.kind), 4 + authenticator.size());
    put32(out, one.spi);
    put_bytes(out, authenticator);
}
void encode(Bytes& out, const Mip4GeneralizedAuthentication& one) {
    put8(out, kGeneralizedAuthentication);
    put8(out, one.subtype);
    put16(out, static_cast<std::uint16_t>(4 + one.authenticator.size()));
    put32(out, one.spi);
    put_bytes(out, one.authenticator);
}
void encode(Bytes& out, const Mip4CriticalVendor& one) {
    put8(out, kCriticalVendor);
    put8(out, 0);
    put16(out, static_cast<std::uint16_t>(6 + one.value.size()));
    put32(out, one.vendor);
    put16(out, one.vendor_type);
    put_bytes(out, one.value);
}
void encode(Bytes& out, const Mip4NormalVendor& one) {
    const ConstByteSpan value = fitting(one.value, 8);
    put_plain(out, kNormalVendor, 8 + value.size());
    put16(out, 0);
    put32(out, one.vendor);
    put16(out, one.vendor_type);
    put_bytes(out, value);
}
void encode(Bytes& out, const Mip4UdpTunnelReply& one) {
    put_plain(out, kUdpTunnelReply, 6);
    put8(out, 0);
    put8(out, one.code);
    put16(out, one.forced ? kTopBit : 0);
    put16(out, one.keepalive);
}
void encode(Bytes& out, const Mip4UdpTunnelRequest& one) {
    put_plain(out, kUdpTunnelRequest, 6);
    put8(out, 0);
    put8(out, 0);
    put8(out, static_cast<std::uint8_t>((one.forced ? kForcedBit : 0) |
                                        (one.foreign_agent_registration ? kRegistrationBit : 0)));
    put8(out, one.encapsulation);
    put16(out, 0);
}
void encode(Bytes& out, const Mip4EncapsulatingDelivery&) {
    put_plain(out, kEncapsulatingDelivery, 0);
}
void encode(Bytes& out, const Mip4NetworkAccessIdentifier& one) {
    const ConstByteSpan text = fitting(
        {reinterpret_cast<const std::uint8_t*>(one.identifier.data()), one.identifier.size()}, 0);
    put_plain(out, kNetworkAccessIdentifier, text.size());
    put_bytes(out, text);
}
void encode(Bytes& out, const Mip4Challenge& one) {
    const ConstByteSpan challenge = fitting(one.challenge, 0);
    put_plain(out, kChallenge, challenge.size());
    put_bytes(out, challenge);
}
void encode(Bytes& out, const Mip4RevocationSupport& one) {
    put_plain(out, kRevocationSupport, 6);
    put16(out, one.informs_mobile_node ? kTopBit : 0);
    put32(out, one.timestamp);
}
void encode(Bytes& out, const Mip4TrustedNetworksConfigured&) {
    put_plain(out, kTrustedNetworksConfigured, 2);
    put16(out, 0);
}
void encode(Bytes& out, const Mip4UnknownExtension& one) {
    const ConstByteSpan data = fitting(one.data, 0);
    put_plain(out, one.type, data.size());
    put_bytes(out, data);
}

// ------------------------------------------------------------------------------------- decoding

/// One extension as it lies in the message.
struct Raw {
    std::uint8_t type = 0;
    std::size_t offset = 0;  // of its type
    std::size_t end = 0;     // of the octet behind it
    ConstByteSpan data;      // behind type and length
};

using Read = std::expected<Mip4Extension, Mip4DecodeError>;

std::unexpected<Mip4DecodeError> wrong_length(const Raw& raw, std::size_t expected,
                                              const char* what) {
    return std::unexpected(Mip4DecodeError{Mip4DecodeError::Kind::kLength, raw.offset,
                                           raw.data.size(), expected, what});
}
std::vector<std::uint8_t> copy(ConstByteSpan bytes) {
    return {bytes.begin(), bytes.end()};
}

Read read_authentication(const Raw& raw) {
    if (raw.data.size() < 4) return wrong_length(raw, 4, "authentication without an SPI");
    Mip4Authentication one;
    one.kind = static_cast<Mip4AuthenticationKind>(raw.type);
    one.spi = load_be32(raw.data.data());
    one.authenticator = copy(raw.data.subspan(4));
    one.covered = raw.end - one.authenticator.size();
    return one;
}
Read read_generalized(const Raw& raw, std::uint8_t subtype) {
    if (raw.data.size() < 4) return wrong_length(raw, 4, "authentication without an SPI");
    Mip4GeneralizedAuthentication one;
    one.subtype = subtype;
    one.spi = load_be32(raw.data.data());
    one.authenticator = copy(raw.data.subspan(4));
    one.covered = raw.end - one.authenticator.size();
    return one;
}
Read read_critical_vendor(const Raw& raw) {
    if (raw.data.size() < 6) return wrong_length(raw, 6, "vendor extension without vendor type");
    return Mip4CriticalVendor{load_be32(raw.data.data()), load_be16(raw.data.data() + 4),
                              copy(raw.data.subspan(6))};
}
Read read_normal_vendor(const Raw& raw) {
    if (raw.data.size() < 8) return wrong_length(raw, 8, "vendor extension without vendor type");
    return Mip4NormalVendor{load_be32(raw.data.data() + 2), load_be16(raw.data.data() + 6),
                            copy(raw.data.subspan(8))};
}
/// An unknown sub-type of a skippable extension is skipped like an unknown type.
Read read_unknown(const Raw& raw) {
    return Mip4UnknownExtension{raw.type, copy(raw.data)};
}
Read read_udp_tunnel_reply(const Raw& raw) {
    if (raw.data.size() != 6) return wrong_length(raw, 6, "UDP tunnel reply");
    if (raw.data[0] != 0) {
        return std::unexpected(Mip4DecodeError{Mip4DecodeError::Kind::kUnknownCritical,
                                               raw.offset + 2, raw.data[0], 0,
                                               "unknown sub-type of UDP tunnel reply"});
    }
    return Mip4UdpTunnelReply{raw.data[1], (load_be16(raw.data.data() + 2) & kTopBit) != 0,
                              load_be16(raw.data.data() + 4)};
}
Read read_udp_tunnel_request(const Raw& raw) {
    if (raw.data.empty() || raw.data[0] != 0) return read_unknown(raw);
    if (raw.data.size() != 6) return wrong_length(raw, 6, "UDP tunnel request");
    return Mip4UdpTunnelRequest{(raw.data[2] & kForcedBit) != 0,
                                (raw.data[2] & kRegistrationBit) != 0, raw.data[3],
                                load_be16(raw.data.data() + 4)};
}
Read read_revocation_support(const Raw& raw) {
    if (raw.data.size() != 6) return wrong_length(raw, 6, "revocation support");
    return Mip4RevocationSupport{(load_be16(raw.data.data()) & kTopBit) != 0,
                                 load_be32(raw.data.data() + 2)};
}
Read read_trusted_networks(const Raw& raw) {
    if (raw.data.empty() || raw.data[0] != 0) return read_unknown(raw);
    if (raw.data.size() != 2) return wrong_length(raw, 2, "trusted networks configured");
    return Mip4TrustedNetworksConfigured{};
}

Read read_one(const Raw& raw) {
    switch (raw.type) {
        case kMobileHome:
        case kMobileForeign:
        case kForeignHome:
            return read_authentication(raw);
        case kUdpTunnelReply:
            return read_udp_tunnel_reply(raw);
        case kEncapsulatingDelivery:
            if (!raw.data.empty()) return wrong_length(raw, 0, "encapsulating delivery style");
            return Mip4EncapsulatingDelivery{};
        case kNetworkAccessIdentifier:
            if (raw.data.empty()) return wrong_length(raw, 1, "network access identifier");
            return Mip4NetworkAccessIdentifier{
                {reinterpret_cast<const char*>(raw.data.data()), raw.data.size()}};
        case kChallenge:
            return Mip4Challenge{copy(raw.data)};
        case kNormalVendor:
            return read_normal_vendor(raw);
        case kRevocationSupport:
            return read_revocation_support(raw);
        case kUdpTunnelRequest:
            return read_udp_tunnel_request(raw);
        case kTrustedNetworksConfigured:
            return read_trusted_networks(raw);
        default:
            break;
    }
    if (raw.type >= kFirstSkippable) return read_unknown(raw);
    return std::unexpected(Mip4DecodeError{Mip4DecodeError::Kind::kUnknownCritical, raw.offset,
                                           raw.type, 0, "unknown extension of types 1 to 127"});
}

/// Whether type `type` has a sub-type octet and a length of 16 bits (RFC 5944 section 1.10.1;
/// RFC 3115 section 2.1 has the same form).
bool has_long_form(std::uint8_t type) {
    return type == kGeneralizedAuthentication || type == kCriticalVendor;
}

}  // namespace

void append_mip4_extension(std::vector<std::uint8_t>& message, const Mip4Extension& extension) {
    std::visit([&](const auto& one) { encode(message, one); }, extension);
}

std::expected<Mip4Extensions, Mip4DecodeError> read_mip4_extensions(ConstByteSpan message,
                                                                    std::size_t offset) {
    Mip4Extensions extensions;
    while (offset < message.size()) {
        Raw raw;
        raw.type = message[offset];
        raw.offset = offset;
        if (raw.type == kPad) {
            ++offset;
            continue;
        }
        const std::size_t fixed = has_long_form(raw.type) ? 4 : 2;
        const auto truncated = [&](std::size_t needed) {
            return std::unexpected(Mip4DecodeError{Mip4DecodeError::Kind::kTruncated, offset,
                                                   message.size() - offset, needed,
                                                   "extension ends past the message"});
        };
        if (message.size() - offset < fixed) return truncated(fixed);
        const std::size_t length =
            fixed == 4 ? load_be16(message.data() + offset + 2) : message[offset + 1];
        if (message.size() - offset < fixed + length) return truncated(fixed + length);
        raw.end = offset + fixed + length;
        raw.data = message.subspan(offset + fixed, length);
        Read one = raw.type == kGeneralizedAuthentication
                       ? read_generalized(raw, message[offset + 1])
                   : raw.type == kCriticalVendor ? read_critical_vendor(raw)
                                                 : read_one(raw);
        if (!one) return std::unexpected(one.error());
        extensions.push_back(std::move(*one));
        offset = raw.end;
    }
    return extensions;
}

}  // namespace homeport::wire
