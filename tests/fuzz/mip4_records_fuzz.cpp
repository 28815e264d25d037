// SPDX-License-Identifier: BSD-3-Clause
// links: mip4
// What a Mobile IPv4 home agent kept over a restart, in whatever state: read without harm, and what
// makes sense comes out of being written and read again as it was.
#include <cstdint>
#include <cstdlib>

#include "controlplane/mip4/records.hpp"

using namespace homeport;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool is_node = (data[0] & 1) == 0;
    const char* const key = is_node ? "agent\nb\n192.0.2.100" : "agent\ni\nalice\n256";
    const mip4::Clocks clocks{
        mip4::TimePoint{std::chrono::seconds(5000)},
        std::chrono::system_clock::time_point{std::chrono::seconds(1'800'000'000)}};
    const auto kept = mip4::from_record(key, {data + 1, size - 1}, clocks);
    if (!kept) return 0;
    if (const auto* node = std::get_if<mip4::BoundNode>(&kept->what)) {
        const auto again = mip4::from_record(key, mip4::to_record(*node, clocks), clocks);
        if (!again || std::get<mip4::BoundNode>(again->what) != *node) std::abort();
        return 0;
    }
    const auto& state = std::get<mip4::PersistIdentification>(kept->what);
    const auto again = mip4::from_record(key, mip4::to_record(state), clocks);
    if (!again) std::abort();
    const auto& second = std::get<mip4::PersistIdentification>(again->what);
    if (second.node != state.node || second.spi != state.spi || second.state != state.state) {
        std::abort();
    }
    return 0;
}
