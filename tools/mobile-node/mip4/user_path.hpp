// SPDX-License-Identifier: BSD-3-Clause
// User packets of a Mobile IPv4 node between applications and access interfaces, and what the
// protocol wants sent. No I/O and no clock: whole packets and time in, whole packets out by hooks.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "controlplane/mip4/mobile_node.hpp"
#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/mip4/layers.hpp"
#include "tools/mobile-node/packet_buffer.hpp"

namespace homeport::mobile_node {

/// Octets that a user packet grows by on our link, at most (S2.100). `esp`: what sealing adds,
/// with its new IP header; 0 without VPN.
[[nodiscard]] unsigned overhead_of(const mip4::Way& way, unsigned esp, bool esp_in_udp);
/// "c", "f", "cvc", "fvc", or "home".
[[nodiscard]] const char* mode_of(const mip4::Way& way);

class UserPath {
  public:
    struct Hooks {
        /// False: the kernel did not take it.
        std::function<bool(int interface, Exit exit, ConstByteSpan packet)> send;
        /// To applications. False: likewise.
        std::function<bool(ConstByteSpan packet)> deliver;
        /// What happened, for log, status and host.
        std::function<void(const mip4::MobileAction& action)> event;
    };
    struct Options {
        bool queue =
            true;  // S2.51: packets wait while inside is not certain; else they are dropped
        std::size_t queue_size = 256;
        bool mss_clamp = true;
        bool esp_in_udp_may_change = true;  // when the VPN does not answer
        std::chrono::seconds esp_keepalive{20};
        Ipv4Address vpn_gateway{};
        Ipv4Address vpn_inner_address{};
        /// The largest packet that fits, sealed, into so many octets. Empty without VPN.
        std::function<unsigned(unsigned room)> largest_inside{};
    };
    static constexpr std::chrono::seconds kLongestHeld{5};
    static constexpr unsigned kLeastMtu = 576;

    /// All references must outlive it.
    UserPath(mip4::MobileNode& node, Layers& layers, Counters& counters, Options options,
             Hooks hooks);

    /// What is known of an access interface; before it is attached.
    void set_link(int id, const Layers::Link& link) { links_[id] = link; }
    void remove_link(int id) { links_.erase(id); }

    /// A whole packet from the TUN device.
    void from_application(Packet& packet, const mip4::Now& now);
    /// A whole packet from an interface, see Layers::in().
    void from_wire(Packet& packet, int interface, bool native, const mip4::Now& now);
    /// What calls of the protocol want done.
    void perform(const mip4::MobileActions& actions, const mip4::Now& now);
    void tick(const mip4::Now& now);
    [[nodiscard]] std::optional<mip4::TimePoint> next_deadline() const;

    /// Of the largest user packet that needs no fragments by this way.
    [[nodiscard]] unsigned mtu_of(const mip4::Way& way) const;
    [[nodiscard]] std::size_t queued() const { return held_.size(); }
    /// That wait for this interface.
    [[nodiscard]] std::size_t queued(int interface) const;

  private:
    struct Held {
        int interface = 0;
        std::vector<std::uint8_t> packet;
        mip4::TimePoint since{};
    };
    [[nodiscard]] bool admit(Packet& packet);
    void hold(const Packet& packet, const mip4::Now& now);
    void leave(Packet& packet, const mip4::Way& way, const mip4::Now& now);
    void send_registration(const mip4::SendRegistration& what);
    void send_keepalive(const mip4::SendKeepalive& what);
    void keep_esp_mapping(const mip4::Now& now);
    void flush(int interface);
    void release(const mip4::Now& now);
    void vpn_failed();
    bool put_out(int interface, Exit exit, const Packet& packet);
    [[nodiscard]] Layers::Link link_of(int interface) const;

    mip4::MobileNode& node_;
    Layers& layers_;
    Counters& counters_;
    Options options_;
    Hooks hooks_;
    std::map<int, Layers::Link> links_;
    std::deque<Held> held_;
    PacketBuffer buffer_;  // for what is made here
    std::uint16_t echo_sequence_ = 0;
    std::optional<mip4::TimePoint> esp_deadline_;
    mip4::TimePoint last_esp_{};
};

}  // namespace homeport::mobile_node
