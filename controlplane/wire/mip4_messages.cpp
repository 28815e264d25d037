// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mip4_messages.hpp"

#include "controlplane/wire/bytes.hpp"

namespace homeport::wire {

namespace {

enum : std::uint8_t {
    kSimultaneous = 0x80,
    kBroadcasts = 0x40,
    kDecapsulates = 0x20,
    kMinimal = 0x10,
    kGre = 0x08,
    kReverseTunnel = 0x02,
};
constexpr std::uint16_t kByHomeAgent = 0x8000;        // of a revocation
constexpr std::uint16_t kInformsMobileNode = 0x4000;  // of a revocation
constexpr std::uint16_t kAcknowledgementInforms = 0x8000;

constexpr std::size_t kRequestLength = 24;
constexpr std::size_t kReplyLength = 20;
constexpr std::size_t kRevocationLength = 20;
constexpr std::size_t kAcknowledgementLength = 12;

void put(Bytes& out, const Ipv4Address& address) {
    put_bytes(out, address.bytes);
}
void put(Bytes& out, const Mip4Extensions& extensions) {
    for (const Mip4Extension& one : extensions) append_mip4_extension(out, one);
}

using Decoded = std::expected<Mip4Message, Mip4DecodeError>;

/// Reads the extensions behind `fixed` octets into `message`.
template <class Message>
Decoded with_extensions(Message message, ConstByteSpan payload, std::size_t fixed) {
    auto extensions = read_mip4_extensions(payload, fixed);
    if (!extensions) return std::unexpected(extensions.error());
    message.extensions = std::move(*extensions);
    return message;
}

Decoded decode_request(ConstByteSpan payload) {
    const std::uint8_t* const at = payload.data();
    RegistrationRequest message;
    message.simultaneous = (at[1] & kSimultaneous) != 0;
    message.broadcasts = (at[1] & kBroadcasts) != 0;
    message.decapsulates = (at[1] & kDecapsulates) != 0;
    message.minimal = (at[1] & kMinimal) != 0;
    message.gre = (at[1] & kGre) != 0;
    message.reverse_tunnel = (at[1] & kReverseTunnel) != 0;
    message.lifetime = load_be16(at + 2);
    message.home_address = Ipv4Address::load(at + 4);
    message.home_agent = Ipv4Address::load(at + 8);
    message.care_of_address = Ipv4Address::load(at + 12);
    message.identification = load_be64(at + 16);
    return with_extensions(std::move(message), payload, kRequestLength);
}

Decoded decode_reply(ConstByteSpan payload) {
    const std::uint8_t* const at = payload.data();
    RegistrationReply message;
    message.code = at[1];
    message.lifetime = load_be16(at + 2);
    message.home_address = Ipv4Address::load(at + 4);
    message.home_agent = Ipv4Address::load(at + 8);
    message.identification = load_be64(at + 12);
    return with_extensions(std::move(message), payload, kReplyLength);
}

Decoded decode_revocation(ConstByteSpan payload) {
    const std::uint8_t* const at = payload.data();
    RegistrationRevocation message;
    const std::uint16_t flags = load_be16(at + 2);
    message.by_home_agent = (flags & kByHomeAgent) != 0;
    message.informs_mobile_node = (flags & kInformsMobileNode) != 0;
    message.home_address = Ipv4Address::load(at + 4);
    message.home_domain = Ipv4Address::load(at + 8);
    message.foreign_domain = Ipv4Address::load(at + 12);
    message.identifier = load_be32(at + 16);
    return with_extensions(std::move(message), payload, kRevocationLength);
}

Decoded decode_acknowledgement(ConstByteSpan payload) {
    const std::uint8_t* const at = payload.data();
    RevocationAcknowledgement message;
    message.informs_mobile_node = (load_be16(at + 2) & kAcknowledgementInforms) != 0;
    message.home_address = Ipv4Address::load(at + 4);
    message.identifier = load_be32(at + 8);
    return with_extensions(std::move(message), payload, kAcknowledgementLength);
}

}  // namespace

const char* to_string(RegistrationCode code) {
    switch (code) {
        case RegistrationCode::kAccepted:
            return "accepted";
        case RegistrationCode::kAcceptedWithoutSimultaneous:
            return "accepted, without simultaneous bindings";
        case RegistrationCode::kReasonUnspecified:
            return "reason unspecified";
        case RegistrationCode::kAdministrativelyProhibited:
            return "administratively prohibited";
        case RegistrationCode::kInsufficientResources:
            return "insufficient resources";
        case RegistrationCode::kMobileNodeFailedAuthentication:
            return "mobile node failed authentication";
        case RegistrationCode::kForeignAgentFailedAuthentication:
            return "foreign agent failed authentication";
        case RegistrationCode::kIdentificationMismatch:
            return "registration identification mismatch";
        case RegistrationCode::kPoorlyFormedRequest:
            return "poorly formed request";
        case RegistrationCode::kTooManySimultaneousBindings:
            return "too many simultaneous bindings";
        case RegistrationCode::kUnknownHomeAgentAddress:
            return "unknown home agent address";
        case RegistrationCode::kReverseTunnelUnavailable:
            return "reverse tunnel unavailable";
        case RegistrationCode::kReverseTunnelMandatory:
            return "reverse tunnel mandatory";
        case RegistrationCode::kEncapsulationUnavailable:
            return "encapsulation unavailable";
        case RegistrationCode::kUnknownVendorFromMobileNode:
            return "unknown critical vendor extension of the mobile node";
        case RegistrationCode::kUnknownVendorFromForeignAgent:
            return "unknown critical vendor extension of the foreign agent";
        case RegistrationCode::kUdpTunnelUnavailable:
            return "UDP tunnel encapsulation unavailable";
    }
    return "unknown code";
}

std::vector<std::uint8_t> encode(const RegistrationRequest& message) {
    Bytes out;
    put8(out, static_cast<std::uint8_t>(Mip4MessageType::kRegistrationRequest));
    put8(out,
         static_cast<std::uint8_t>(
             (message.simultaneous ? kSimultaneous : 0) | (message.broadcasts ? kBroadcasts : 0) |
             (message.decapsulates ? kDecapsulates : 0) | (message.minimal ? kMinimal : 0) |
             (message.gre ? kGre : 0) | (message.reverse_tunnel ? kReverseTunnel : 0)));
    put16(out, message.lifetime);
    put(out, message.home_address);
    put(out, message.home_agent);
    put(out, message.care_of_address);
    put64(out, message.identification);
    put(out, message.extensions);
    return out;
}

std::vector<std::uint8_t> encode(const RegistrationReply& message) {
    Bytes out;
    put8(out, static_cast<std::uint8_t>(Mip4MessageType::kRegistrationReply));
    put8(out, message.code);
    put16(out, message.lifetime);
    put(out, message.home_address);
    put(out, message.home_agent);
    put64(out, message.identification);
    put(out, message.extensions);
    return out;
}

std::vector<std::uint8_t> encode(const RegistrationRevocation& message) {
    Bytes out;
    put8(out, static_cast<std::uint8_t>(Mip4MessageType::kRegistrationRevocation));
    put8(out, 0);
    put16(out, static_cast<std::uint16_t>((message.by_home_agent ? kByHomeAgent : 0) |
                                          (message.informs_mobile_node ? kInformsMobileNode : 0)));
    put(out, message.home_address);
    put(out, message.home_domain);
    put(out, message.foreign_domain);
    put32(out, message.identifier);
    put(out, message.extensions);
    return out;
}

std::vector<std::uint8_t> encode(const RevocationAcknowledgement& message) {
    Bytes out;
    put8(out, static_cast<std::uint8_t>(Mip4MessageType::kRevocationAcknowledgement));
    put8(out, 0);
    put16(out, message.informs_mobile_node ? kAcknowledgementInforms : 0);
    put(out, message.home_address);
    put32(out, message.identifier);
    put(out, message.extensions);
    return out;
}

void append_mip4_authentication(
    std::vector<std::uint8_t>& message, Mip4AuthenticationKind kind, std::uint32_t spi,
    std::size_t length,
    const std::function<std::vector<std::uint8_t>(ConstByteSpan covered)>& authenticator_of) {
    put8(message, static_cast<std::uint8_t>(kind));
    put8(message, static_cast<std::uint8_t>(4 + length));
    put32(message, spi);
    put_bytes(message, authenticator_of(message));
}

std::expected<Mip4Message, Mip4DecodeError> decode_mip4(ConstByteSpan payload) {
    using Decode = Decoded (*)(ConstByteSpan);
    struct Form {
        Mip4MessageType type;
        std::size_t length;
        Decode decode;
    };
    constexpr Form kForms[] = {
        {Mip4MessageType::kRegistrationRequest, kRequestLength, decode_request},
        {Mip4MessageType::kRegistrationReply, kReplyLength, decode_reply},
        {Mip4MessageType::kRegistrationRevocation, kRevocationLength, decode_revocation},
        {Mip4MessageType::kRevocationAcknowledgement, kAcknowledgementLength,
         decode_acknowledgement},
    };
    if (payload.empty()) {
        return std::unexpected(
            Mip4DecodeError{Mip4DecodeError::Kind::kTruncated, 0, 0, 1, "an empty message"});
    }
    for (const Form& form : kForms) {
        if (payload[0] != static_cast<std::uint8_t>(form.type)) continue;
        if (payload.size() < form.length) {
            return std::unexpected(Mip4DecodeError{Mip4DecodeError::Kind::kTruncated, 0,
                                                   payload.size(), form.length,
                                                   "shorter than the fixed part"});
        }
        return form.decode(payload);
    }
    return std::unexpected(
        Mip4DecodeError{Mip4DecodeError::Kind::kType, 0, payload[0], 0, "unknown message type"});
}

}  // namespace homeport::wire
