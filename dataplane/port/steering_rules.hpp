// SPDX-License-Identifier: BSD-3-Clause
// What a port is asked to do by rte_flow: signalling to a queue of its own, and data under ESP to
// the worker that owns its SA. Rules that are not taken change nothing but speed: software does the
// same from the same bits (receive_scheduler.hpp, the hand-over between workers).
//
// Signalling is known by what stands on the wire alone (S1.18, tables S1-SPD and S1-B):
//   * ESP whose SPI is our own and of the signalling group, by a mask; over IPv6, over IPv4, and in
//     UDP 4500
//   * a destination options header first: the Home Address option of a binding update (P5)
//   * a mobility header (RFC 6275 section 6.1), UDP 434 (RFC 5944), IKE on UDP 500 and 4500
//   * in UDP 4191, IPv6 with a destination options header (P11)
// No two rules match the same packet, so all have priority 0, which every driver has.
#pragma once

#include <rte_flow.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace homeport::port {

/// What a rule needs of the network interface: the words of `flow_rules` in pmd-config.
enum class FlowMatch : std::uint8_t {
    kUdpDestinationPort,  // udp_destination_port
    kNextHeader,          // next_header: of the fixed IPv6 header
    kEspSpiMasked,        // esp_spi_masked
    kUdpEspSpiMasked,     // udp_esp_spi_masked: ESP behind UDP 4500
    kUdpInnerNextHeader,  // udp_inner_next_header: IPv6 behind UDP 4191
};
[[nodiscard]] std::string_view name_of(FlowMatch match);

/// One header of a pattern. Fields of the mask that are all zero are not looked at.
template <class Item>
struct Matched {
    Item spec;
    Item mask;
};
using FlowItemMatch =
    std::variant<std::monostate, Matched<rte_flow_item_ipv4>, Matched<rte_flow_item_ipv6>,
                 Matched<rte_flow_item_udp>, Matched<rte_flow_item_esp>>;
struct FlowItem {
    rte_flow_item_type type;
    FlowItemMatch match;  // monostate: any header of this type
};

enum class FlowPurpose : std::uint8_t { kSignalling, kOwner };

struct SteeringRule {
    std::string name;  // "signalling esp ipv6"
    FlowPurpose purpose{};
    FlowMatch needs{};
    std::vector<FlowItem> items;  // without the end
    std::uint16_t queue = 0;
    /// Asked for only if this other rule of the list is refused; -1: always.
    int instead_of = -1;
};

/// The bits of our own SPIs that rules match; dataplane/core holds them against those that IPsec
/// goes by.
namespace spi_bits {
inline constexpr std::uint32_t kOwn = 1u << 31;
inline constexpr std::uint32_t kData = 1u << 30;  // group of data; 0: signalling
inline constexpr std::uint32_t kOwner = 0x3fu << 24;
inline constexpr unsigned kOwnerShift = 24;
}  // namespace spi_bits

/// The receive queues of a port.
struct QueueLayout {
    std::vector<unsigned> workers;            // by data queue: the worker that polls it
    std::optional<std::uint16_t> signalling;  // queue of signalling alone
};

/// All rules that are of use with these queues, in the order in which they are to be asked for.
/// Without a queue for signalling its rules are there all the same, for queue 0.
[[nodiscard]] std::vector<SteeringRule> steering_rules(const QueueLayout& layout);

/// "eth / ipv6 / esp spi spec 0x80000000 spi mask 0xc0000000 / end", as testpmd takes it.
[[nodiscard]] std::string pattern_text(const SteeringRule& rule);
/// "queue index 1".
[[nodiscard]] std::string action_text(const SteeringRule& rule);

/// A rule as rte_flow takes it. Points into `rule`, which must outlive it.
class FlowArguments {
  public:
    explicit FlowArguments(const SteeringRule& rule);
    FlowArguments(const FlowArguments&) = delete;
    FlowArguments& operator=(const FlowArguments&) = delete;

    [[nodiscard]] const rte_flow_attr& attributes() const { return attributes_; }
    [[nodiscard]] const rte_flow_item* items() const { return items_.data(); }
    [[nodiscard]] const rte_flow_action* actions() const { return actions_; }

  private:
    rte_flow_attr attributes_{};
    std::vector<rte_flow_item> items_;
    rte_flow_action_queue queue_{};
    rte_flow_action actions_[2]{};
};

}  // namespace homeport::port
