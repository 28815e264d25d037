// SPDX-License-Identifier: BSD-3-Clause
// Whether a registration gets a UDP tunnel: the table of mipv4.md section 8 (RFC 3519 section 4).
// Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "controlplane/wire/mip4_messages.hpp"

namespace homeport::mip4 {

enum class Encapsulation : std::uint8_t { kIpInIp = 4, kGre = 47, kMinimal = 55 };
[[nodiscard]] const char* to_string(Encapsulation encapsulation);

struct UdpPolicy {
    bool allowed = true;                      // UDP tunnels at all
    bool forced_allowed = false;              // flag F
    bool foreign_agent_registration = false;  // flag R
    bool strict_source = false;               // D=1 from another address, without a request: 129
    bool refuse_reserved = false;  // reserved bits in the request: 134 instead of skipping it
    bool gre = true;               // encapsulations that we can put into UDP
    bool minimal = true;
    std::uint16_t keepalive = 110;  // seconds, told to the mobile node
};

struct UdpQuestion {
    const wire::Mip4UdpTunnelRequest* request = nullptr;  // none: null
    bool before_mobile_home_authentication = false;       // where the request stands
    bool co_located = false;                              // D
    bool source_is_care_of_address = false;
    bool source_is_home_address = false;
    Encapsulation by_flags = Encapsulation::kIpInIp;  // what G and M ask for
};

struct UdpDecision {
    std::optional<wire::RegistrationCode> refusal{};
    bool udp = false;
    bool half_bound = false;  // no data before the first keepalive
    Encapsulation encapsulation = Encapsulation::kIpInIp;
    std::optional<wire::Mip4UdpTunnelReply> answer{};  // the extension for the reply
    bool request_skipped = false;                      // mip4.udpreq_rsv3
    const char* why = "";
};

[[nodiscard]] UdpDecision decide_udp(const UdpQuestion& question, const UdpPolicy& policy);

}  // namespace homeport::mip4
