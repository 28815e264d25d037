// SPDX-License-Identifier: BSD-3-Clause
// Writing of maps and lists as YAML or JSON. Internal to this room.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/config/config.hpp"

namespace homeport::config {

inline const char* on_off(bool value) {
    return value ? "on" : "off";
}

// Keys and values of one map, one after the other.
class Map {
  public:
    explicit Map(YAML::Emitter& out) : out_(out) { out_ << YAML::BeginMap; }
    ~Map() { out_ << YAML::EndMap; }
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;

    Map& put(const char* key, const std::string& value) {
        out_ << YAML::Key << key << YAML::Value << value;
        return *this;
    }
    Map& put(const char* key, const char* value) {
        out_ << YAML::Key << key << YAML::Value << value;
        return *this;
    }
    Map& put(const char* key, std::uint64_t value) {
        out_ << YAML::Key << key << YAML::Value << value;
        return *this;
    }
    Map& optional(const char* key, const std::string& value) {
        return value.empty() ? *this : put(key, value);
    }
    YAML::Emitter& begin(const char* key) { return out_ << YAML::Key << key << YAML::Value; }
    template <class Range, class Each>
    Map& list(const char* key, const Range& range, Each each) {
        begin(key) << YAML::BeginSeq;
        for (const auto& element : range) each(element);
        out_ << YAML::EndSeq;
        return *this;
    }

  private:
    YAML::Emitter& out_;
};

// Parts that are written elsewhere: write.cpp, write_mobile_ipv4.cpp, write_vpn_gateway.cpp.
void write_sa_pair(Map& parent, YAML::Emitter& out, const char* key, const SaPairConfig& pair);
void write_vpn_gateway(Map& parent, YAML::Emitter& out, const VpnGatewayConfig& gateway);
void write_mobile_ipv4(Map& parent, YAML::Emitter& out,
                       const std::vector<Mip4HomeAgentConfig>& agents);

}  // namespace homeport::config
