// SPDX-License-Identifier: BSD-3-Clause
// What the Mobile IPv4 home agent wants done, in the order of the list: bindings are in force
// before the reply behind them leaves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/mip4/binding.hpp"
#include "controlplane/mip4/counters.hpp"
#include "controlplane/mip4/identification.hpp"
#include "dataplane/base/address.hpp"

namespace homeport::mip4 {

/// A message to a mobile node or a foreign agent: a reply, or of a revocation. Never tunnelled by
/// the binding that it is about (mipv4.md section 8).
struct SendReply {
    std::vector<std::uint8_t> payload{};  // of UDP
    Endpoint from{};
    Endpoint to{};
    /// Port of the home link that it leaves by, whatever is bound: to a node that is at home.
    std::optional<std::uint16_t> home_port{};
    std::optional<MacAddress> home_mac{};  // and that node's address there
};

/// The data plane's bindings of this home address are to become these; none: no longer bound.
struct InstallBindings {
    BoundNode node{};
};

/// For the store, to be committed before the reply leaves. No bindings: forget them.
struct PersistNode {
    BoundNode node{};
};
/// Of one association, which outlives bindings.
struct PersistIdentification {
    std::string node{};
    std::uint32_t spi = 0;
    IdentificationState state{};
};

/// RFC 5944 section 4.6: sender and target protocol address are `home_address`.
struct SendGratuitousArp {
    Ipv4Address home_address{};
    std::optional<MacAddress> hardware_address{};  // the mobile node's; none: ours
    std::uint16_t port = 0;
};

/// Already counted in HomeAgent::counters(); here for the log.
struct CountEvent {
    Counter counter{};
    Ipv4Address home_address{};
    Endpoint source{};
    std::optional<wire::RegistrationCode> code{};  // of kRejected
    const char* detail = "";                       // static text, for people
    Endpoint before{};                             // of kSourceChanged: where packets went
};

using Action = std::variant<SendReply, InstallBindings, PersistNode, PersistIdentification,
                            SendGratuitousArp, CountEvent>;
using Actions = std::vector<Action>;

}  // namespace homeport::mip4
