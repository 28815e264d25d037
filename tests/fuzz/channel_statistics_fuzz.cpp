// SPDX-License-Identifier: BSD-3-Clause
// links: channel
// A statistics region that lies about its own layout.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "dataplane/channel/statistics_reader.hpp"

using namespace homeport::channel;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 8) return 0;
    // Exactly as long as the input, so that the address sanitizer guards its end.
    std::vector<std::uint64_t> region(size / 8);
    std::memcpy(region.data(), data, region.size() * 8);
    // The constants in the header are given: finding them is not the point.
    auto* header = reinterpret_cast<StatisticsHeader*>(region.data());
    if (region.size() * 8 >= sizeof *header) {
        header->magic = kMagic;
        header->abi_version = kAbiVersion;
        header->size = std::min<std::uint64_t>(header->size, region.size() * 8);
    }
    const auto reader = StatisticsReader::open(
        {reinterpret_cast<const std::uint8_t*>(region.data()), region.size() * 8});
    if (!reader) return 0;
    (void)reader->counters();
    (void)reader->counter("rx.port");
    (void)reader->stages();
    (void)reader->edges();
    (void)reader->workers();
    (void)reader->ports();
    (void)reader->adjacencies();
    (void)reader->sas();
    (void)reader->binding(reader->layout().binding_count / 2);
    (void)reader->value(&StatisticsHeader::heartbeat);
    return 0;
}
