// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/records.hpp"
#include "controlplane/ipsec/sa_source.hpp"

namespace homeport::sa {

namespace {

constexpr std::uint16_t kAnyProtocol = 0xffff;
constexpr std::uint16_t kOpaqueProtocol = 0xfffe;

void put_addresses(const std::vector<ipsec::AddressRange>& ranges, channel::WireAddress& low,
                   channel::WireAddress& high) {
    if (ranges.empty()) {
        high.bytes.fill(0xff);  // family 0: any address of any family
        return;
    }
    low = channel::WireAddress(ranges.front().first);
    high = channel::WireAddress(ranges.front().last);
}

void put_values(const ipsec::ValueSelector& values, bool is_mobility, std::uint16_t& low,
                std::uint16_t& high) {
    using Kind = ipsec::ValueSelector::Kind;
    if (values.kind == Kind::kAny) {
        low = 0;
        high = 0xffff;
    } else if (values.kind == Kind::kOpaque) {
        low = 1;
        high = 0;
    } else if (is_mobility) {
        low = static_cast<std::uint16_t>(values.ranges.front().first << 8);
        high = static_cast<std::uint16_t>(values.ranges.front().last << 8 | 255);
    } else {
        low = values.ranges.front().first;
        high = values.ranges.front().last;
    }
}

}  // namespace

channel::SelectorRecord to_record(const ipsec::Selectors& selectors) {
    using Kind = ipsec::ProtocolSelector::Kind;
    channel::SelectorRecord record;
    put_addresses(selectors.local, record.local_low, record.local_high);
    put_addresses(selectors.remote, record.remote_low, record.remote_high);
    const bool is_mobility =
        selectors.protocol == ipsec::ProtocolSelector::of(IpProtocol::kMobility);
    record.protocol = selectors.protocol.kind == Kind::kAny      ? kAnyProtocol
                      : selectors.protocol.kind == Kind::kOpaque ? kOpaqueProtocol
                                                                 : selectors.protocol.number;
    put_values(selectors.local_value, is_mobility, record.local_port_low, record.local_port_high);
    put_values(selectors.remote_value, is_mobility, record.remote_port_low,
               record.remote_port_high);
    return record;
}

channel::PolicyRecord to_record(const ipsec::PolicyEntry& entry) {
    channel::PolicyRecord record;
    record.id = entry.id;
    switch (entry.action) {
        case ipsec::Action::kDiscard:
            record.action = channel::PolicyAction::kDiscard;
            break;
        case ipsec::Action::kBypass:
            record.action = channel::PolicyAction::kBypass;
            break;
        case ipsec::Action::kProtect:
            record.action = channel::PolicyAction::kProtect;
            break;
    }
    record.mode = entry.protect.mode == ipsec::Mode::kTunnel ? channel::SaMode::kTunnel
                                                             : channel::SaMode::kTransport;
    if (entry.protect.tunnel_remote) {
        record.tunnel_remote = channel::WireAddress(*entry.protect.tunnel_remote);
    }
    record.per_remote_address = entry.protect.populate_remote ? 1 : 0;
    record.signalling = is_signalling(table_entry(entry.id)) ? 1 : 0;
    channel::copy_text(record.name, entry.name);
    record.selector = to_record(entry.selectors);
    return record;
}

}  // namespace homeport::sa
