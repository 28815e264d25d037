// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/dsmip_source_for_stages.hpp"

#include <rte_ring_elem.h>

#include "dataplane/base/ip_header.hpp"

namespace homeport::tunnel {

using channel::Encapsulation;
using stage::PacketMeta;
using stage::Worker;

bool outer_is_of(const table::Binding& binding, rte_mbuf* packet, const PacketMeta& notes) {
    const std::uint8_t* const outer = stage::data(packet);
    const Ipv6Address source =
        notes.family == 6 ? reinterpret_cast<const Ipv6Header*>(outer)->source
                          : table::v4_mapped(reinterpret_cast<const Ipv4Header*>(outer)->source);
    if (source != binding.care_of_address ||
        binding.mip4_role() != channel::Mip4Role::kNone) {  // that has a stage of its own
        return false;
    }
    if (notes.parameter != 0) {
        return binding.encapsulation != Encapsulation::kIpv6 &&
               notes.parameter == (kCameInUdp | binding.udp_port) && binding.udp_port != 0;
    }
    return binding.encapsulation == Encapsulation::kIpv4;
}

void note_sealed_source(PacketMeta& notes, const SealedSource& source) {
    notes.flags |= stage::kMetaNewSource;
    notes.binding = source.slot;
    notes.parameter = source.mapping ? source.mapping->port : 0;
    notes.adjacency = source.mapping ? source.mapping->address.host() : 0;
}

SealedSource noted_sealed_source(const PacketMeta& notes) {
    SealedSource source{.slot = notes.binding, .mapping = std::nullopt};
    if (notes.parameter == 0) return source;
    source.mapping.emplace();
    source.mapping->port = static_cast<std::uint16_t>(notes.parameter);
    store_be32(source.mapping->address.bytes.data(), notes.adjacency);
    return source;
}

void learn_sealed_source(Worker& worker, const SealedSource& source) {
    const table::Binding& binding = worker.tables->bindings.at(source.slot);
    const bool changed =
        worker.tables->return_paths.learn_esp_mapping(source.slot, binding, source.mapping);
    if (!changed || !source.mapping || worker.to_main == nullptr) return;
    stage::MainRequest request;
    request.kind = stage::MainRequest::Kind::kEspMapping;
    request.home_address = binding.home_address;
    request.source = table::v4_mapped(source.mapping->address);
    request.port = source.mapping->port;
    // A full ring loses it: the control plane knows an older mapping until the next change.
    if (rte_ring_enqueue_elem(worker.to_main, &request, sizeof request) == 0) {
        worker.wakes_main = true;
    }
}

}  // namespace homeport::tunnel
