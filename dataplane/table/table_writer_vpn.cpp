// SPDX-License-Identifier: BSD-3-Clause
// Clients of the VPN gateway (P31, P32).
#include <algorithm>

#include "dataplane/table/table_writer.hpp"

namespace homeport::table {

namespace {

std::unexpected<WriteError> refuse(channel::CommandError code, const channel::VpnClientSet& record,
                                   const std::string& why) {
    return std::unexpected(
        WriteError{code, "VPN client " + record.inner.v4().to_string() + ": " + why});
}

/// Where sealed packets of a client go.
VpnClients::ReturnPath way_to(const VpnClients& clients, const VpnClient& client) {
    std::optional<VpnClients::ReturnPath> path;
    if (client.udp_encapsulation != channel::UdpEncapsulation::kOff) {
        path = clients.return_path(client);
    }
    return path.value_or(VpnClients::ReturnPath{.address = client.outer, .port = 0});
}

bool is_host(const Ipv4Address& address) {
    return address.is_unicast() && !address.is_loopback() && !address.is_unspecified();
}

}  // namespace

Applied TableWriter::apply(const channel::VpnClientSet& record) {
    const bool is_translated = record.translated.family == 4;
    if (!is_host(record.inner.v4()) || !is_host(record.outer.v4()) ||
        !is_host(record.gateway.v4()) || (is_translated && !is_host(record.translated.v4()))) {
        return refuse(channel::CommandError::kMalformed, record, "expected addresses of hosts");
    }
    const VpnClient client{
        .key = {},
        .inner = record.inner.v4(),
        .outer = record.outer.v4(),
        .gateway = record.gateway.v4(),
        .translated = is_translated ? record.translated.v4() : Ipv4Address{},
        .spi_in = record.spi_in,
        .index = 0,
        .path_mtu = record.path_mtu,
        .udp_encapsulation = record.udp_encapsulation,
        .reserved = {},
    };
    const VpnClient* const of_spi = tables_.vpn_clients.of_spi(record.spi_in);
    if (of_spi != nullptr && of_spi->inner != client.inner) {
        return refuse(
            channel::CommandError::kRefused, record,
            "SPI " + std::to_string(record.spi_in) + " is that of " + of_spi->inner.to_string());
    }
    const VpnClient* const of_outer = tables_.vpn_clients.of_outer(client.outer);
    if (of_outer != nullptr && of_outer->inner != client.inner) {
        return refuse(channel::CommandError::kRefused, record,
                      "its outer address is that of " + of_outer->inner.to_string());
    }
    if (is_translated) {
        const VpnClient* const taken = tables_.vpn_clients.of_translated(client.translated);
        if (taken != nullptr && taken->inner != client.inner) {
            return refuse(channel::CommandError::kRefused, record,
                          "its translation is that of " + taken->inner.to_string());
        }
    }
    if (!tables_.vpn_clients.put(client)) {
        return refuse(channel::CommandError::kTableFull, record,
                      "more than " + std::to_string(tables_.vpn_clients.capacity()) + " of them");
    }
    vpn_client_epochs_[client.inner] = epoch_;
    return {};
}

Applied TableWriter::apply(const channel::VpnClientRemove& record) {
    tables_.vpn_clients.erase(record.inner.v4());
    vpn_client_epochs_.erase(record.inner.v4());
    vpn_path_mtus_.erase(record.inner.v4());
    return {};
}

TableWriter::VpnPath TableWriter::vpn_path_mtu(const Ipv4Address& inner,
                                               const Ipv4Address& destination,
                                               std::uint16_t udp_port, std::uint32_t mtu) {
    const VpnClient* const client = tables_.vpn_clients.of_inner(inner);
    if (client == nullptr) return VpnPath::kNotIts;
    const VpnClients::ReturnPath told{.address = destination, .port = udp_port};
    if (way_to(tables_.vpn_clients, *client) != told) return VpnPath::kNotIts;
    // RFC 4301 section 8.2.1: nobody vouches for the message, so there is an end to how narrow it
    // can make the way.
    const auto learnt = static_cast<std::uint16_t>(
        std::clamp<std::uint32_t>(mtu, channel::kLeastVpnPathMtu, 0xffff));
    const std::uint16_t known = vpn_path_mtu_of(*client);
    if (known != 0 && learnt > known) return VpnPath::kKnown;
    vpn_path_mtus_.insert_or_assign(inner, VpnPathMtu{told, now_seconds_, learnt});
    return learnt == known ? VpnPath::kKnown : VpnPath::kLess;
}

std::uint16_t TableWriter::vpn_path_mtu_of(const VpnClient& client) const {
    const auto found = vpn_path_mtus_.find(client.inner);
    if (found == vpn_path_mtus_.end() ||
        now_seconds_ - found->second.learnt_at >= path_mtu_age_seconds_ ||
        found->second.way != way_to(tables_.vpn_clients, client)) {
        return 0;
    }
    return found->second.mtu;
}

std::uint32_t TableWriter::sweep_vpn_clients() {
    std::vector<Ipv4Address> stale;
    for (const auto& [inner, epoch] : vpn_client_epochs_) {
        if (epoch != epoch_) stale.push_back(inner);
    }
    for (const Ipv4Address& inner : stale) {
        tables_.vpn_clients.erase(inner);
        vpn_client_epochs_.erase(inner);
        vpn_path_mtus_.erase(inner);
    }
    return static_cast<std::uint32_t>(stale.size());
}

}  // namespace homeport::table
