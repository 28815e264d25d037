// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/arp_message.hpp"

#include "dataplane/base/ip_header.hpp"

namespace homeport::forward {

namespace {

constexpr std::uint16_t kEthernet = 1;
// Offsets of the fields.
constexpr std::size_t kProtocol = 2, kLengths = 4, kOperation = 6, kSenderMac = 8, kSender = 14,
                      kTargetMac = 18, kTarget = 24;
constexpr std::uint16_t kSixAndFour = 0x0604;

}  // namespace

std::optional<ArpMessage> read_arp(ConstByteSpan octets) {
    if (octets.size() < kArpLength) return std::nullopt;
    const std::uint8_t* const at = octets.data();
    if (load_be16(at) != kEthernet || load_be16(at + kProtocol) != kEtherTypeIpv4 ||
        load_be16(at + kLengths) != kSixAndFour) {
        return std::nullopt;
    }
    const ArpMessage message{.operation = load_be16(at + kOperation),
                             .sender_mac = MacAddress::load(at + kSenderMac),
                             .sender = Ipv4Address::load(at + kSender),
                             .target_mac = MacAddress::load(at + kTargetMac),
                             .target = Ipv4Address::load(at + kTarget)};
    const bool is_a_node = !message.sender_mac.is_multicast() &&
                           message.sender_mac != MacAddress{} &&
                           (message.is_probe() || message.sender.is_unicast());
    if (!is_a_node) return std::nullopt;
    return message;
}

void write_arp(std::uint8_t* out, const ArpMessage& message) {
    store_be16(out, kEthernet);
    store_be16(out + kProtocol, kEtherTypeIpv4);
    store_be16(out + kLengths, kSixAndFour);
    store_be16(out + kOperation, message.operation);
    message.sender_mac.store(out + kSenderMac);
    message.sender.store(out + kSender);
    message.target_mac.store(out + kTargetMac);
    message.target.store(out + kTarget);
}

}  // namespace homeport::forward
