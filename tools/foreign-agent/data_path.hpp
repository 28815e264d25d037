// SPDX-License-Identifier: BSD-3-Clause
// Visitors' packets: out of the tunnels of their home agents to their link addresses, and from them
// into the reverse tunnel (RFC 5944 section 4.2.2; RFC 3024 section 5; RFC 3519). Pure: packets in,
// packets out.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <vector>

#include "controlplane/mip4/foreign_agent.hpp"
#include "tools/foreign-agent/ipv4_packet.hpp"

namespace homeport::foreign_agent {

/// What is to be sent.
struct Outbox {
    struct Frame {
        std::size_t link = 0;
        MacAddress to{};
        Octets packet;
        bool counts = false;  // a visitor's payload: delivered if the link takes it
    };
    struct Packet {
        Octets octets;
        enum class Kind : std::uint8_t { kOwn, kTunnelled, kForwarded } kind = Kind::kOwn;
    };
    std::vector<Frame> frames;    // on visited links
    std::vector<Packet> packets;  // whole IPv4 packets that the kernel is to route
};

class DataPath {
  public:
    struct Options {
        std::vector<std::size_t> link_mtu;  // octets, one a link
        /// The path MTU from `source` to a home agent.
        std::function<std::size_t(const Ipv4Address& source, const Ipv4Address& home_agent)>
            path_mtu;
        std::uint16_t keepalive_identifier = 0;  // of our echo requests
    };

    /// Both must outlive it.
    DataPath(mip4::ForeignAgentService& service, mip4::ForeignAgentCounters& counters,
             Options options);

    /// A whole packet of protocol 4, 47 or 55, or UDP port 434 with tunnel data, to this host.
    void from_tunnel(ConstByteSpan packet, mip4::TimePoint now, Outbox& out);

    /// An IPv4 packet in a frame to us, from `mac`. False: not of a visitor, or for this host.
    /// `is_ours`: its destination is an address of this host.
    bool from_visitor(std::size_t link, const MacAddress& mac, ConstByteSpan bytes, bool is_ours,
                      mip4::TimePoint now, Outbox& out);
    /// The same in a broadcast or multicast frame: counted if it wants a tunnel that it cannot
    /// have.
    void group_from_visitor(std::size_t link, const MacAddress& mac, ConstByteSpan bytes);

    /// RFC 3519 section 4.9.
    void keepalive(const mip4::Visitor& visitor, std::uint16_t sequence, Outbox& out);

    void set_link_mtu(std::size_t link, std::size_t mtu) { options_.link_mtu[link] = mtu; }

  private:
    using Count = mip4::ForeignAgentCounter;
    struct Inner {
        Octets packet;
        mip4::Encapsulation encapsulation = mip4::Encapsulation::kIpInIp;
        bool udp = false;
        std::uint16_t source_port = 0;
        std::uint8_t outer_tos = 0;
        bool has_own_tos = true;  // the inner header has a TOS octet beside the outer one
    };
    /// Takes the tunnel headers off; or why it is dropped.
    [[nodiscard]] static std::expected<Inner, Count> undo(ConstByteSpan packet);
    [[nodiscard]] bool fits(const mip4::Visitor& visitor, const Inner& inner) const;
    void deliver(const mip4::Visitor& visitor, Octets packet, mip4::TimePoint now, Outbox& out);
    void tunnel(const mip4::Visitor& visitor, Octets packet, mip4::TimePoint now, Outbox& out);
    void route(const mip4::Visitor& visitor, Octets packet, mip4::TimePoint now, Outbox& out);
    [[nodiscard]] std::optional<Octets> encapsulate(const mip4::Visitor& visitor, Octets packet,
                                                    std::size_t path_mtu);
    /// An ICMP error to a visitor, about its packet.
    void tell_visitor(const mip4::Visitor& visitor, IcmpError error, std::size_t mtu,
                      ConstByteSpan packet, mip4::TimePoint now, Outbox& out);
    /// An ICMP error to whoever sent it to a visitor.
    void tell_sender(const mip4::Visitor& visitor, IcmpError error, std::size_t mtu,
                     ConstByteSpan packet, mip4::TimePoint now, Outbox& out);
    [[nodiscard]] bool may_send_error(mip4::TimePoint now);

    mip4::ForeignAgentService& service_;
    mip4::ForeignAgentCounters& counters_;
    Options options_;
    Limiter errors_{50, 50};
    std::uint16_t identification_ = 1;
};

}  // namespace homeport::foreign_agent
