// SPDX-License-Identifier: BSD-3-Clause
// links: wire
// Mobility options and neighbor discovery options, without a checksum in the way.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "controlplane/wire/mobility_options.hpp"
#include "controlplane/wire/neighbor_discovery.hpp"

using namespace homeport;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ConstByteSpan bytes{data, size};
    const auto read = wire::read_mobility_options(bytes, 0);
    if (const auto* options = std::get_if<wire::MobilityOptions>(&read)) {
        std::vector<std::uint8_t> again;
        wire::append_mobility_options(again, *options);
        const auto second = wire::read_mobility_options(again, 0);
        const auto* same = std::get_if<wire::MobilityOptions>(&second);
        if (same == nullptr || *same != *options) std::abort();
    }
    wire::NdOptions nd;
    if (wire::read_nd_options(bytes, nd)) {
        std::vector<std::uint8_t> again;
        wire::append_nd_options(again, nd);
        wire::NdOptions second;
        if (!wire::read_nd_options(again, second) || second != nd) std::abort();
    }
    return 0;
}
