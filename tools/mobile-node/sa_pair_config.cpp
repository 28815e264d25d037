// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/sa_pair_config.hpp"

#include <vector>

#include "dataplane/ipsec/algorithm.hpp"
#include "dataplane/ipsec/sa_parameters.hpp"

namespace homeport::mobile_node {

using config::Section;
using config::Value;

namespace {

std::string absolute(const std::filesystem::path& directory, const std::string& path) {
    return (directory / path).lexically_normal().string();
}

void read_algorithm(const Value& value, std::string& out) {
    if (!value.string(out, 64)) return;
    if (!ipsec::parse_algorithm(out)) {
        std::vector<std::string> names;
        for (const auto& info : ipsec::all_algorithms()) names.emplace_back(info.name);
        value.fail("an ESP algorithm; the nearest is '" + config::nearest(out, names) + "'");
    }
}

}  // namespace

void read_path(const Value& value, const std::filesystem::path& directory, std::string& out) {
    if (value.string(out)) out = absolute(directory, out);
}

SaPair read_sa_pair(Section section, const std::filesystem::path& directory) {
    SaPair pair;
    if (const auto v = section.require("spi_in", "the SPI of what the home agent sends")) {
        v->number(pair.spi_in, 256, 0xffffffff);
    }
    if (const auto v = section.require("spi_out", "the SPI of what the mobile node sends")) {
        v->number(pair.spi_out, 256, 0xffffffff);
    }
    if (const auto v = section.require("algorithm", "the name of an ESP algorithm")) {
        read_algorithm(*v, pair.algorithm);
    }
    if (const auto v = section.require("key_file_in", "the key of what the home agent sends")) {
        read_path(*v, directory, pair.key_file_in);
    }
    if (const auto v = section.require("key_file_out", "the key of what the mobile node sends")) {
        read_path(*v, directory, pair.key_file_out);
    }
    if (const auto v = section.find("replay_window")) {
        if (v->number(pair.replay_window, 0, ipsec::kMaxReplayWindow, "packets; 0: off") &&
            pair.replay_window != 0 && pair.replay_window < ipsec::kMinReplayWindow) {
            v->fail("0 or 64 to 4096 packets");
        }
    }
    if (const auto v = section.find("extended_sequence")) v->boolean(pair.extended_sequence);
    section.finish();
    return pair;
}

}  // namespace homeport::mobile_node
