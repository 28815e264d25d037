// SPDX-License-Identifier: BSD-3-Clause
// Hosts, packets and SAs for the tests of this room.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/ipsec/database_queries.hpp"
#include "dataplane/ipsec/esp_engine.hpp"

namespace homeport::ipsec::test {

using Bytes = std::vector<std::uint8_t>;

[[nodiscard]] Bytes unhex(std::string_view text);
[[nodiscard]] std::string hex(ConstByteSpan bytes);
[[nodiscard]] Bytes joined(std::initializer_list<Bytes> parts);
[[nodiscard]] inline IpAddress ip(std::string_view text) {
    return parse_ip_address(text).value();
}

/// A packet with room around it.
class Buffer {
  public:
    explicit Buffer(const Bytes& packet_bytes, std::uint32_t room = 128);
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    [[nodiscard]] Bytes bytes() const { return {packet.data, packet.data + packet.length}; }

    Packet packet;

  private:
    Bytes storage_;
};

/// One IPsec implementation with its databases.
struct Host {
    explicit Host(const SecurityAssociationDatabase::Options& options = {});

    ImmediateReclaimer reclaimer;
    SecurityPolicyDatabase spd;
    std::unique_ptr<SecurityAssociationDatabase> sad;
    std::unique_ptr<EspEngine> engine;

    Verdict out(Buffer& buffer);
    Verdict in(Buffer& buffer);
    /// Throws on errors: a test's SAs and policies are right.
    SaHandle add(const SaParameters& parameters);
    void policies(std::vector<PolicyEntry> entries);
};

// What the tests' packets are made of.

struct Udp {
    std::string source = "2001:db8:3::300";
    std::string destination = "2001:db8:1::100";
    std::uint16_t source_port = 4001;
    std::uint16_t destination_port = 5000;
    std::size_t payload = 24;
    std::uint8_t traffic_class = 0;
    bool dont_fragment = false;
};
/// A UDP packet of the family of its addresses.
[[nodiscard]] Bytes udp(const Udp& packet);
/// An IPv6 packet: `next_header` names the first octets of `payload`.
[[nodiscard]] Bytes ipv6(std::string_view source, std::string_view destination,
                         std::uint8_t next_header, const Bytes& payload);
[[nodiscard]] Bytes ipv4(std::string_view source, std::string_view destination,
                         std::uint8_t protocol, const Bytes& payload,
                         std::uint16_t flags_offset = 0, const Bytes& options = {});
/// A mobility header message (16 octets) of this type.
[[nodiscard]] Bytes mh(std::string_view source, std::string_view destination, std::uint8_t type);
[[nodiscard]] Bytes icmpv6(std::string_view source, std::string_view destination, std::uint8_t type,
                           std::uint8_t code = 0);

/// Deterministic octets.
[[nodiscard]] Bytes pattern(std::size_t length, std::uint8_t seed);

// SAs. Both ends of one have the same SPI and keys.

struct Pair {
    Algorithm algorithm = Algorithm::kAes128Gcm16;
    Mode mode = Mode::kTunnel;
    Spi spi{0x10000001};
    bool esn = false;
    std::uint16_t replay_window = 1024;
    std::uint64_t first_sequence = 1;
    PolicyId policy = 1;
    std::string tunnel_from = "2001:db8:1::1";
    std::string tunnel_to = "2001:db8:1::100";
};
[[nodiscard]] SaParameters outbound_parameters(const Pair& pair);
/// Lets everything in.
[[nodiscard]] SaParameters inbound_parameters(const Pair& pair);

/// An entry that protects everything.
[[nodiscard]] PolicyEntry protect_all(PolicyId id = 1, Mode mode = Mode::kTunnel);

/// A host that seals by `pair`, and one that opens.
struct Link {
    explicit Link(const Pair& pair, const SecurityAssociationDatabase::Options& options = {});
    Host sender;
    Host receiver;
    SaHandle out;
    SaHandle in;

    /// A sealed packet.
    [[nodiscard]] Bytes seal(const Bytes& packet);
};

/// The ESP packet of the SA of `pair` around `text` (payload, padding, pad length, next header),
/// which is taken as it is, so that the trailer can lie. From 2001:db8:1::1 to 2001:db8:1::100.
[[nodiscard]] Bytes seal_raw(const Pair& pair, const Bytes& text, std::uint32_t sequence);
/// Payload with right padding and this next header.
[[nodiscard]] Bytes with_trailer(Bytes payload, std::size_t block, std::uint8_t next_header);

}  // namespace homeport::ipsec::test
