// SPDX-License-Identifier: BSD-3-Clause
// The VPN gateway's clients (P31, P32). Their SAs go with all others: app_security.cpp.
#include "controlplane/core/app.hpp"

namespace homeport::core {

namespace {

channel::UdpEncapsulation of(config::VpnUdp encapsulation) {
    switch (encapsulation) {
        case config::VpnUdp::kAuto:
            return channel::UdpEncapsulation::kAuto;
        case config::VpnUdp::kOff:
            return channel::UdpEncapsulation::kOff;
        case config::VpnUdp::kAlways:
            break;
    }
    return channel::UdpEncapsulation::kAlways;
}

}  // namespace

void App::send_vpn_clients() {
    const config::VpnGatewayConfig& gateway = config_.controlplane.vpn_gateway;
    if (gateway.addresses.empty()) return;
    for (const config::VpnClientConfig& client : gateway.clients) {
        channel::VpnClientSet record;
        record.inner = channel::WireAddress(client.inner);
        record.outer = channel::WireAddress(client.outer);
        record.gateway = channel::WireAddress(gateway.addresses.front());
        if (client.translated) record.translated = channel::WireAddress(*client.translated);
        record.path_mtu = gateway.path_mtu;
        record.spi_in = client.sa.spi_in;
        record.udp_encapsulation = of(client.udp_encapsulation);
        send(record);
    }
}

}  // namespace homeport::core
