// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/arp.hpp"

#include "controlplane/wire/bytes.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::wire {

std::vector<std::uint8_t> gratuitous_arp(const Ipv4Address& address, const MacAddress& mac) {
    return gratuitous_arp(address, mac, mac);
}

std::vector<std::uint8_t> gratuitous_arp(const Ipv4Address& address, const MacAddress& mac,
                                         const MacAddress& sender) {
    constexpr std::uint16_t kHardwareEthernet = 1;
    constexpr std::uint16_t kRequest = 1;
    constexpr std::size_t kShortestFrame = 60;  // without its check sequence
    const MacAddress everybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    std::vector<std::uint8_t> frame;
    frame.reserve(kShortestFrame);
    put_bytes(frame, everybody.bytes);
    put_bytes(frame, sender.bytes);
    put16(frame, kEtherTypeArp);
    put16(frame, kHardwareEthernet);
    put16(frame, kEtherTypeIpv4);
    frame.push_back(sizeof(MacAddress));
    frame.push_back(sizeof(Ipv4Address));
    put16(frame, kRequest);
    put_bytes(frame, mac.bytes);
    put_bytes(frame, address.bytes);
    put_bytes(frame, MacAddress{}.bytes);  // not looked at in a request
    put_bytes(frame, address.bytes);
    frame.resize(kShortestFrame);
    return frame;
}

}  // namespace homeport::wire
