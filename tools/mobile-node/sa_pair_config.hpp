// SPDX-License-Identifier: BSD-3-Clause
// A pair of static ESP SAs in homeport-mn.yaml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "dataplane/config/reader.hpp"

namespace homeport::mobile_node {

/// A pair of static ESP SAs, named from the mobile node's side: `out` protects what the mobile node
/// sends, so it is `in` of the home agent's configuration.
struct SaPair {
    std::uint32_t spi_in = 0;   // 256..2^32-1
    std::uint32_t spi_out = 0;  // 256..2^32-1
    std::string algorithm;      // a name of the algorithm table of dataplane/ipsec
    std::string key_file_in;    // absolute
    std::string key_file_out;
    std::uint16_t replay_window = 0;  // packets; 0: off, 64..4096
    bool extended_sequence = false;

    friend bool operator==(const SaPair&, const SaPair&) = default;
};

/// Reads one; relative paths count from `directory`.
[[nodiscard]] SaPair read_sa_pair(config::Section section, const std::filesystem::path& directory);

/// A path; a relative one counts from `directory`.
void read_path(const config::Value& value, const std::filesystem::path& directory,
               std::string& out);

}  // namespace homeport::mobile_node
