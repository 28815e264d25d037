// SPDX-License-Identifier: BSD-3-Clause
#include "tools/traffic/frames.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <sstream>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tools/traffic/records.hpp"
#include "tools/traffic/roles.hpp"

namespace homeport::traffic {

namespace {

constexpr std::uint8_t kIpv6InIp = 41;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIpv4InIp = 4;
constexpr std::uint8_t kEsp = 50;
constexpr std::uint8_t kNoNextHeader = 59;
constexpr std::uint16_t kUdpTunnel = 4191;  // RFC 5555
constexpr std::uint16_t kUdpEsp = 4500;     // RFC 3948
constexpr std::uint16_t kUdpMip4 = 434;     // RFC 3519
constexpr std::uint32_t kTunnelData = 4;    // octets

template <class Header>
Bytes before(const Header& header, ConstByteSpan payload) {
    Bytes bytes(sizeof header + payload.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    std::ranges::copy(payload, bytes.begin() + sizeof header);
    return bytes;
}

Bytes ipv6(const Ipv6Address& source, const Ipv6Address& destination, std::uint8_t next_header,
           ConstByteSpan payload) {
    Ipv6Header header{};
    header.set_version_class_flow(0, 0);
    header.payload_length = Be16(static_cast<std::uint16_t>(payload.size()));
    header.next_header = next_header;
    header.hop_limit = 64;
    header.source = source;
    header.destination = destination;
    return before(header, payload);
}

Bytes ipv4(const Ipv4Address& source, const Ipv4Address& destination, std::uint8_t protocol,
           ConstByteSpan payload) {
    Ipv4Header header{};
    header.version_ihl = 0x45;
    header.total_length = Be16(static_cast<std::uint16_t>(sizeof header + payload.size()));
    header.flags_offset = Be16(0x4000);
    header.ttl = 64;
    header.protocol = protocol;
    header.source = source;
    header.destination = destination;
    header.checksum =
        Be16(internet_checksum({reinterpret_cast<const std::uint8_t*>(&header), sizeof header}));
    return before(header, payload);
}

Bytes from_node4(std::uint8_t protocol, ConstByteSpan payload) {
    return ipv4(kCareOf4, kHomeAgent4, protocol, payload);
}

Bytes udp(std::uint16_t source, std::uint16_t destination, ConstByteSpan payload) {
    UdpHeader header{};
    header.source_port = Be16(source);
    header.destination_port = Be16(destination);
    header.length = Be16(static_cast<std::uint16_t>(sizeof header + payload.size()));
    return before(header, payload);
}

Bytes framed(ConstByteSpan packet) {
    EthernetHeader header{};
    header.destination = kPortMac;
    header.source = kPeerMac;
    header.ether_type = Be16(packet[0] >> 4 == 4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
    return before(header, packet);
}

/// Octets of headers around the payload of the innermost packet, Ethernet's included.
std::uint32_t overhead(Path path) {
    constexpr std::uint32_t kInner4 = sizeof(EthernetHeader) + sizeof(Ipv4Header);
    if (is_of_roles(path)) return kInner4;
    if (is_mip4(path)) {
        if (is_out(path)) return kInner4;
        const std::uint32_t wrapped = kInner4 + sizeof(Ipv4Header);
        return is_in_udp(path) ? wrapped + sizeof(UdpHeader) + kTunnelData : wrapped;
    }
    constexpr std::uint32_t kInner = sizeof(EthernetHeader) + sizeof(Ipv6Header);
    if (is_out(path) || is_sealed(path)) return kInner;
    if (!is_over_ipv4(path)) return kInner + sizeof(Ipv6Header);
    const std::uint32_t wrapped = kInner + sizeof(Ipv4Header);
    return is_in_udp(path) ? wrapped + sizeof(UdpHeader) : wrapped;
}

}  // namespace

std::vector<std::uint32_t> parse_sizes(const std::string& text) {
    if (text == "imix") return {kImix.begin(), kImix.end()};
    std::vector<std::uint32_t> sizes;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        const bool digits = !word.empty() && word.size() < 5 &&
                            word.find_first_not_of("0123456789") == std::string::npos;
        const auto size = digits ? static_cast<std::uint32_t>(std::stoul(word)) : 0;
        if (size < 64 || size > 9000) return {};
        sizes.push_back(size);
    }
    return sizes;
}

std::vector<std::uint32_t> random_order(std::uint32_t nodes) {
    std::vector<std::uint32_t> order(nodes);
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::shuffle(order, std::mt19937(1));
    return order;
}

std::expected<std::unique_ptr<FrameMaker>, std::string> FrameMaker::create(
    Path path, ipsec::Algorithm algorithm, std::uint32_t owners, std::uint32_t first_spi) {
    std::unique_ptr<FrameMaker> maker(new FrameMaker(path, std::max(owners, 1u), first_spi));
    const bool seals = is_of_roles(path) || (is_sealed(path) && !is_out(path));
    if (seals) {
        auto sealer = Sealer::create(algorithm, key_of(algorithm));
        if (!sealer) return std::unexpected(sealer.error());
        maker->sealer_ = std::move(*sealer);
    }
    return maker;
}

std::expected<Bytes, std::string> FrameMaker::frame(std::uint32_t index, std::uint32_t size) {
    if (sealer_ == nullptr) return framed(plain(index, size));
    auto packet = is_of_roles(path_) ? of_roles(index, size) : sealed(index, size);
    if (!packet) return packet;
    return framed(*packet);
}

Bytes FrameMaker::plain4(std::uint32_t index, const Bytes& payload) const {
    if (is_out(path_)) return ipv4(kCorrespondent4, home4(index), kNoNextHeader, payload);
    const Bytes inner = ipv4(home4(index), kCorrespondent4, kNoNextHeader, payload);
    if (!is_in_udp(path_)) return from_node4(kIpv4InIp, inner);
    const std::array<std::uint8_t, kTunnelData> data{4, kIpv4InIp, 0, 0};
    return from_node4(kUdp, udp(kTunnelPort, kUdpMip4, before(data, inner)));
}

Bytes FrameMaker::plain(std::uint32_t index, std::uint32_t size) const {
    const Bytes payload(size > overhead(path_) ? size - overhead(path_) : 0);
    if (is_mip4(path_)) return plain4(index, payload);
    if (is_out(path_)) return ipv6(kCorrespondent, home(index), kNoNextHeader, payload);
    const Bytes inner = ipv6(home(index), kCorrespondent, kNoNextHeader, payload);
    if (path_ == Path::kP2) return ipv6(kCareOf, kHomeAgent, kIpv6InIp, inner);
    if (path_ == Path::kP9i) return from_node4(kIpv6InIp, inner);
    const std::uint16_t port = path_ == Path::kP9f ? kTunnelPort + 1 : kTunnelPort;
    return from_node4(kUdp, udp(port, kUdpTunnel, inner));
}

std::expected<void, std::string> FrameMaker::choose(std::uint32_t index) {
    if (sequences_.size() <= index) sequences_.resize(std::size_t{index} + 1);
    const std::uint32_t spi = first_spi_ != 0 ? first_spi_ + index : spi_in(index, owners_);
    return sealer_->choose(spi, ++sequences_[index]);
}

/// From the user's packet outwards, as far as the path begins: each role is given what the one
/// before it makes.
std::expected<Bytes, std::string> FrameMaker::of_roles(std::uint32_t index, std::uint32_t size) {
    const bool out = is_out(path_);
    const auto between = [out](const Ipv4Address& ours, const Ipv4Address& node,
                               std::uint8_t protocol, ConstByteSpan payload) {
        return out ? ipv4(ours, node, protocol, payload) : ipv4(node, ours, protocol, payload);
    };
    const Bytes payload(size > overhead(path_) ? size - overhead(path_) : 0);
    Bytes packet = between(kCorrespondent4, home4(index), kNoNextHeader, payload);
    if (path_ == Path::kCvcOut || path_ == Path::kInternalOut) return packet;
    packet = between(kInternalAgent, vpn_inner(index), kIpv4InIp, packet);
    if (path_ == Path::kP32 || path_ == Path::kInternalIn) return packet;
    if (auto chosen = choose(index); !chosen) return std::unexpected(chosen.error());
    const auto sealed = sealer_->seal(packet);
    if (!sealed) return sealed;
    packet = between(kGateway, external_home(index), kEsp,
                     ConstByteSpan(*sealed).subspan(sizeof(Ipv6Header)));
    if (path_ == Path::kP31 || path_ == Path::kExternalOut) return packet;
    return ipv4(kCareOf4, kExternalAgent, kIpv4InIp, packet);
}

std::expected<Bytes, std::string> FrameMaker::sealed(std::uint32_t index, std::uint32_t size) {
    if (auto chosen = choose(index); !chosen) return std::unexpected(chosen.error());
    const Bytes payload(size > overhead(path_) ? size - overhead(path_) : 0);
    auto packet = sealer_->seal(ipv6(home(index), kCorrespondent, kNoNextHeader, payload));
    if (!packet || path_ == Path::kP4) return packet;
    Bytes esp(packet->begin() + sizeof(Ipv6Header), packet->end());
    if (path_ == Path::kP13i) return from_node4(kUdp, udp(kUdpEsp, kUdpEsp, esp));
    esp.back() ^= 1;
    const auto port = static_cast<std::uint16_t>(1024 + forged_++ % 60000);
    return from_node4(kUdp, udp(port, kUdpEsp, esp));
}

}  // namespace homeport::traffic
