// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/emitter.hpp"
#include "dataplane/config/reader.hpp"

namespace homeport::config {

void write_vpn_gateway(Map& parent, YAML::Emitter& out, const VpnGatewayConfig& gateway) {
    parent.begin("vpn_gateway");
    Map map(out);
    map.list("addresses", gateway.addresses,
             [&](const Ipv4Address& address) { out << address.to_string(); });
    map.list("networks", gateway.networks,
             [&](const Ipv4Prefix& prefix) { out << prefix.to_string(); });
    map.list("clients", gateway.clients, [&](const VpnClientConfig& client) {
        Map one(out);
        one.put("name", client.name)
            .put("outer", client.outer.to_string())
            .put("inner", client.inner.to_string());
        if (client.translated) one.put("translated", client.translated->to_string());
        one.put("udp_encapsulation", name_of(client.udp_encapsulation, kVpnUdpNames));
        write_sa_pair(one, out, "sa", client.sa);
    });
    map.put("path_mtu", gateway.path_mtu);
}

}  // namespace homeport::config
