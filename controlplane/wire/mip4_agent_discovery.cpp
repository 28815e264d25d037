// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mip4_agent_discovery.hpp"

#include <algorithm>

#include "controlplane/wire/bytes.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::wire {

namespace {

constexpr std::uint8_t kAdvertisementType = 9;
constexpr std::uint8_t kSolicitationType = 10;
constexpr std::uint8_t kNoCommonTraffic = 16;  // code
constexpr std::uint8_t kProtocolIcmp = 1;
constexpr std::size_t kIpHeader = 20;
constexpr std::size_t kIcmpHeader = 8;
constexpr std::size_t kRouterEntry = 8;  // octets: address and preference
constexpr std::size_t kMostCareOf = 62;  // (255 - 6) / 4
constexpr std::size_t kAgentFixed = 6;

enum : std::uint8_t {
    kPad = 0,
    kMobilityAgent = 16,
    kPrefixLengths = 19,
    kChallenge = 24,
    kFirstSkippable = 128,
};

enum : std::uint16_t {
    kFlagR = 0x8000,
    kFlagB = 0x4000,
    kFlagH = 0x2000,
    kFlagF = 0x1000,
    kFlagM = 0x0800,
    kFlagG = 0x0400,
    kFlagT = 0x0100,
    kFlagU = 0x0080,
    kFlagX = 0x0040,
    kFlagI = 0x0020,
};

std::uint16_t to_wire(const AgentFlags& flags) {
    const auto bit = [](bool set, std::uint16_t mask) { return set ? unsigned{mask} : 0u; };
    return static_cast<std::uint16_t>(
        bit(flags.registration_required, kFlagR) | bit(flags.busy, kFlagB) |
        bit(flags.home_agent, kFlagH) | bit(flags.foreign_agent, kFlagF) |
        bit(flags.minimal, kFlagM) | bit(flags.gre, kFlagG) | bit(flags.reverse_tunnel, kFlagT) |
        bit(flags.udp_tunnel, kFlagU) | bit(flags.revocation, kFlagX) |
        bit(flags.regional, kFlagI));
}
AgentFlags from_wire(std::uint16_t bits) {
    AgentFlags flags;
    flags.registration_required = (bits & kFlagR) != 0;
    flags.busy = (bits & kFlagB) != 0;
    flags.home_agent = (bits & kFlagH) != 0;
    flags.foreign_agent = (bits & kFlagF) != 0;
    flags.minimal = (bits & kFlagM) != 0;
    flags.gre = (bits & kFlagG) != 0;
    flags.reverse_tunnel = (bits & kFlagT) != 0;
    flags.udp_tunnel = (bits & kFlagU) != 0;
    flags.revocation = (bits & kFlagX) != 0;
    flags.regional = (bits & kFlagI) != 0;
    return flags;
}

void put_extension(Bytes& out, std::uint8_t type, ConstByteSpan data) {
    const ConstByteSpan fitting = data.first(std::min<std::size_t>(data.size(), 255));
    put8(out, type);
    put8(out, static_cast<std::uint8_t>(fitting.size()));
    put_bytes(out, fitting);
}

void put_agent(Bytes& out, const MobilityAgent& agent) {
    const std::size_t count = std::min(agent.care_of_addresses.size(), kMostCareOf);
    put8(out, kMobilityAgent);
    put8(out, static_cast<std::uint8_t>(kAgentFixed + 4 * count));
    put16(out, agent.sequence);
    put16(out, agent.registration_lifetime);
    put16(out, to_wire(agent.flags));
    for (std::size_t i = 0; i < count; ++i) put_bytes(out, agent.care_of_addresses[i].bytes);
}

void finish(Bytes& out) {
    if (out.size() % 2 != 0) put8(out, kPad);  // RFC 5944 section 2.1.3
    store_be16(out.data() + 2, internet_checksum(out));
}

using Kind = AgentDiscoveryError::Kind;

std::unexpected<AgentDiscoveryError> error(Kind kind, std::size_t offset, const char* what) {
    return std::unexpected(AgentDiscoveryError{kind, offset, what});
}

/// What is wrong with an extension; nothing: it was read, or skipped.
std::optional<AgentDiscoveryError> read_extension(AgentAdvertisement& into, std::uint8_t type,
                                                  ConstByteSpan data, std::size_t offset) {
    const auto wrong = [&](Kind kind, const char* what) {
        return AgentDiscoveryError{kind, offset, what};
    };
    switch (type) {
        case kMobilityAgent: {
            if (data.size() < kAgentFixed || (data.size() - kAgentFixed) % 4 != 0) {
                return wrong(Kind::kLength, "mobility agent advertisement: not 6 + 4 * n octets");
            }
            if (into.agent) return wrong(Kind::kLength, "two mobility agent advertisements");
            MobilityAgent agent;
            agent.sequence = load_be16(data.data());
            agent.registration_lifetime = load_be16(data.data() + 2);
            agent.flags = from_wire(load_be16(data.data() + 4));
            for (std::size_t at = kAgentFixed; at < data.size(); at += 4) {
                agent.care_of_addresses.push_back(Ipv4Address::load(data.data() + at));
            }
            if (const char* fault = fault_of(agent)) return wrong(Kind::kFlags, fault);
            into.agent = std::move(agent);
            return {};
        }
        case kPrefixLengths:
            if (data.size() != into.routers.size()) {
                return wrong(Kind::kLength, "prefix lengths: not one for each router address");
            }
            if (std::ranges::any_of(data, [](std::uint8_t length) { return length > 32; })) {
                return wrong(Kind::kLength, "prefix length of more than 32 bits");
            }
            into.prefix_lengths.assign(data.begin(), data.end());
            return {};
        case kChallenge:
            into.challenge.assign(data.begin(), data.end());
            return {};
        default:
            break;
    }
    if (type < kFirstSkippable) {
        return wrong(Kind::kUnknownCritical, "unknown extension of types 1 to 127");
    }
    into.others.push_back({type, {data.begin(), data.end()}});
    return {};
}

std::expected<AgentDiscoveryMessage, AgentDiscoveryError> decode_advertisement(ConstByteSpan icmp) {
    const std::uint8_t code = icmp[1];
    if (code != 0 && code != kNoCommonTraffic) {
        return error(Kind::kCode, 1, "code of an advertisement is neither 0 nor 16");
    }
    AgentAdvertisement message;
    message.routes_common_traffic = code == 0;
    const std::size_t count = icmp[4];
    const std::size_t entry = std::size_t{icmp[5]} * 4;
    if (count > 0 && entry < kRouterEntry) {
        return error(Kind::kLength, 5, "address entry of less than two words");
    }
    message.lifetime = load_be16(icmp.data() + 6);
    std::size_t at = kIcmpHeader;
    if (icmp.size() - at < count * entry) {
        return error(Kind::kTruncated, at, "router addresses go past the message");
    }
    for (std::size_t i = 0; i < count; ++i, at += entry) {
        message.routers.push_back({Ipv4Address::load(icmp.data() + at),
                                   static_cast<std::int32_t>(load_be32(icmp.data() + at + 4))});
    }
    while (at < icmp.size()) {
        if (icmp[at] == kPad) {
            ++at;
            continue;
        }
        if (icmp.size() - at < 2 || icmp.size() - at - 2 < icmp[at + 1]) {
            return error(Kind::kTruncated, at, "extension goes past the message");
        }
        const ConstByteSpan data = icmp.subspan(at + 2, icmp[at + 1]);
        if (const auto wrong = read_extension(message, icmp[at], data, at)) {
            return std::unexpected(*wrong);
        }
        at += 2 + data.size();
    }
    return message;
}

}  // namespace

const char* fault_of(const MobilityAgent& agent) {
    const AgentFlags& flags = agent.flags;
    if (!flags.foreign_agent && !flags.home_agent) return "neither flag F nor flag H is set";
    if (flags.busy && !flags.foreign_agent) return "flag B without flag F";
    if (flags.registration_required && !flags.foreign_agent) return "flag R without flag F";
    if (flags.foreign_agent && agent.care_of_addresses.empty()) {
        return "flag F without a care-of address";
    }
    return nullptr;
}

std::vector<std::uint8_t> encode(const AgentAdvertisement& message) {
    const std::size_t routers = std::min<std::size_t>(message.routers.size(), 255);
    Bytes out;
    put8(out, kAdvertisementType);
    put8(out, message.routes_common_traffic ? std::uint8_t{0} : kNoCommonTraffic);
    put16(out, 0);  // checksum
    put8(out, static_cast<std::uint8_t>(routers));
    put8(out, kRouterEntry / 4);
    put16(out, message.lifetime);
    for (std::size_t i = 0; i < routers; ++i) {
        put_bytes(out, message.routers[i].address.bytes);
        put32(out, static_cast<std::uint32_t>(message.routers[i].preference));
    }
    if (message.agent) put_agent(out, *message.agent);
    if (!message.prefix_lengths.empty()) {
        put_extension(out, kPrefixLengths, message.prefix_lengths);
    }
    if (!message.challenge.empty()) put_extension(out, kChallenge, message.challenge);
    for (const AgentExtension& one : message.others) put_extension(out, one.type, one.data);
    finish(out);
    return out;
}

std::vector<std::uint8_t> encode(const AgentSolicitation&) {
    Bytes out;
    put8(out, kSolicitationType);
    put_zeros(out, kIcmpHeader - 1);
    finish(out);
    return out;
}

std::expected<AgentDiscoveryMessage, AgentDiscoveryError> decode_agent_discovery(
    ConstByteSpan icmp) {
    if (icmp.size() < kIcmpHeader) {
        return error(Kind::kTruncated, 0, "ICMP message of less than 8 octets");
    }
    if (icmp[0] != kAdvertisementType && icmp[0] != kSolicitationType) {
        return error(Kind::kNotDiscovery, 0, "not of router discovery");
    }
    if (internet_checksum(icmp) != 0) return error(Kind::kChecksum, 2, "ICMP checksum");
    if (icmp[0] == kAdvertisementType) return decode_advertisement(icmp);
    if (icmp[1] != 0) return error(Kind::kCode, 1, "code of a solicitation is not 0");
    // What stands behind the first 8 octets is ignored (RFC 1256 section 4.2).
    return AgentSolicitation{};
}

std::vector<std::uint8_t> agent_discovery_packet(ConstByteSpan icmp, const Ipv4Address& source,
                                                 const Ipv4Address& destination) {
    Bytes out;
    put8(out, 0x45);
    put8(out, 0);
    put16(out, static_cast<std::uint16_t>(kIpHeader + icmp.size()));
    put32(out, 0x4000);  // never fragmented: identification may be anything
    put8(out, 1);        // TTL
    put8(out, kProtocolIcmp);
    put16(out, 0);
    put_bytes(out, source.bytes);
    put_bytes(out, destination.bytes);
    store_be16(out.data() + 10, internet_checksum(out));
    put_bytes(out, icmp);
    return out;
}

std::expected<AgentDiscoveryPacket, AgentDiscoveryError> read_agent_discovery_packet(
    ConstByteSpan packet) {
    if (packet.size() < kIpHeader || packet[0] >> 4 != 4) {
        return error(Kind::kNotDiscovery, 0, "no IPv4 packet");
    }
    const std::size_t header = std::size_t{packet[0] & 15u} * 4;
    const std::size_t length = load_be16(packet.data() + 2);
    if (header < kIpHeader || length < header || packet.size() < length) {
        return error(Kind::kTruncated, 2, "lengths of the IPv4 header");
    }
    if (packet[9] != kProtocolIcmp || (load_be16(packet.data() + 6) & 0x3fff) != 0) {
        return error(Kind::kNotDiscovery, 9, "no whole ICMP message");
    }
    if (internet_checksum(packet.first(header)) != 0) {
        return error(Kind::kChecksum, 10, "IPv4 checksum");
    }
    auto message = decode_agent_discovery(packet.subspan(header, length - header));
    if (!message) {
        return error(message.error().kind, header + message.error().offset, message.error().what);
    }
    if (std::holds_alternative<AgentSolicitation>(*message) && packet[8] != 1) {
        return error(Kind::kTtl, 8, "TTL of a solicitation is not 1");
    }
    return AgentDiscoveryPacket{Ipv4Address::load(packet.data() + 12),
                                Ipv4Address::load(packet.data() + 16), std::move(*message)};
}

}  // namespace homeport::wire
