// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip6/duplicate_address_detection.hpp"

#include "controlplane/wire/icmpv6.hpp"

namespace homeport::mip6 {

std::vector<DuplicateAddressDetection::Probe> DuplicateAddressDetection::start(
    const StartDad& request, binding::TimePoint now) {
    cancel(request.home_address);
    runs_.emplace(request.home_address, Run{request.link_local, request.port, now + wait_});
    std::vector<Probe> probes;
    const auto probe = [&](const Ipv6Address& target) {
        probes.push_back({wire::dad_probe(target), target.solicited_node(), request.port});
    };
    probe(request.home_address);
    if (request.link_local) {
        // Home addresses of two prefixes may share an interface identifier: the later run owns it.
        link_locals_.insert_or_assign(*request.link_local, request.home_address);
        probe(*request.link_local);
    }
    return probes;
}

void DuplicateAddressDetection::cancel(const Ipv6Address& home_address) {
    const auto run = runs_.find(home_address);
    if (run == runs_.end()) return;
    if (run->second.link_local) {
        const auto owner = link_locals_.find(*run->second.link_local);
        if (owner != link_locals_.end() && owner->second == home_address) link_locals_.erase(owner);
    }
    runs_.erase(run);
}

std::optional<DuplicateAddressDetection::Verdict> DuplicateAddressDetection::receive(
    const wire::Ipv6PacketView& packet, const MacAddress& link_source, const MacAddress& own,
    std::uint16_t port) {
    if (runs_.empty() || link_source == own) return std::nullopt;
    const auto message = wire::decode_icmpv6(packet);
    if (!message) return std::nullopt;
    Ipv6Address target;
    if (const auto* solicitation = std::get_if<wire::NeighborSolicitation>(&*message)) {
        // Somebody who resolves the address does not claim it; somebody who probes it does.
        if (!packet.source.is_unspecified()) return std::nullopt;
        target = solicitation->target;
    } else if (const auto* advertisement = std::get_if<wire::NeighborAdvertisement>(&*message)) {
        target = advertisement->target;
    } else {
        return std::nullopt;
    }
    const auto owner = link_locals_.find(target);
    const Ipv6Address home_address = owner != link_locals_.end() ? owner->second : target;
    const auto run = runs_.find(home_address);
    if (run == runs_.end() || run->second.port != port) return std::nullopt;
    cancel(home_address);
    return Verdict{home_address, false};
}

std::vector<DuplicateAddressDetection::Verdict> DuplicateAddressDetection::tick(
    binding::TimePoint now) {
    std::vector<Verdict> verdicts;
    for (const auto& [home_address, run] : runs_) {
        if (run.deadline <= now) verdicts.push_back({home_address, true});
    }
    for (const Verdict& verdict : verdicts) cancel(verdict.home_address);
    return verdicts;
}

std::optional<binding::TimePoint> DuplicateAddressDetection::next_deadline() const {
    std::optional<binding::TimePoint> next;
    for (const auto& [home_address, run] : runs_) {
        if (!next || run.deadline < *next) next = run.deadline;
    }
    return next;
}

}  // namespace homeport::mip6
