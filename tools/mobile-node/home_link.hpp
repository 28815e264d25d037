// SPDX-License-Identifier: BSD-3-Clause
// Neighbor discovery for the home address while the mobile node is on its home link (RFC 6275
// section 11.5.5). The home address stays on the TUN device (S1.5), so the kernel does not answer
// for it on the home link; we do. Packets that arrive there for the home address are the kernel's.
//
// Use: open() when the binding update is about to leave; from then on solicitations are answered by
// unicast. own() after the acknowledgement: advertises the home address to all nodes, and defends
// it from duplicate address detection. Destroying it ends the answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "tools/mobile-node/file_descriptor.hpp"

namespace homeport::mobile_node {

/// What to do about a packet that may be a neighbor solicitation.
struct SolicitationAnswer {
    bool is_for_us = false;
    /// A whole packet to send; empty: none.
    std::vector<std::uint8_t> packet;
};

/// `solicitation`: a whole IPv6 packet. `owned`: the home agent no longer stands for
/// `home_address`. Before that, probes of duplicate address detection are the home agent's to
/// answer.
[[nodiscard]] SolicitationAnswer answer_solicitation(ConstByteSpan solicitation,
                                                     const Ipv6Address& home_address,
                                                     const MacAddress& mac, bool owned);

class HomeLink {
  public:
    [[nodiscard]] static Result<HomeLink> open(int index, const std::string& name,
                                               const MacAddress& mac,
                                               const Ipv6Address& home_address);

    [[nodiscard]] int index() const { return index_; }
    /// Non-blocking.
    [[nodiscard]] int descriptor() const { return receiver_.get(); }
    void own() { owned_ = true; }
    [[nodiscard]] bool is_owned() const { return owned_; }

    /// The advertisement to all nodes: a whole packet (O=1, S=0).
    [[nodiscard]] std::vector<std::uint8_t> announcement() const;
    /// Announces an IPv4 home address, which the kernel answers for, to all neighbors (RFC 5227
    /// section 2.3): they may still have the home agent's Ethernet address. False: not sent.
    [[nodiscard]] bool announce(const Ipv4Address& ipv4_home_address) const;
    /// Takes the next packet: nothing if there is none, else what to do about it.
    [[nodiscard]] std::optional<SolicitationAnswer> receive();

  private:
    HomeLink(int index, const MacAddress& mac, const Ipv6Address& home_address)
        : index_(index), mac_(mac), home_address_(home_address) {}

    int index_;
    MacAddress mac_;
    Ipv6Address home_address_;
    FileDescriptor receiver_;
    bool owned_ = false;
};

}  // namespace homeport::mobile_node
