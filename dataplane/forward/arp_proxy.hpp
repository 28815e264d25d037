// SPDX-License-Identifier: BSD-3-Clause
// Proxy ARP for bound IPv4 home addresses on their home link. For nd_proxy_stage.cpp alone.
#pragma once

#include <rte_mbuf.h>

#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"

namespace homeport::forward {

enum class ArpProxyResult : std::uint8_t {
    kNotOurs,   // the kernel's
    kAnswered,  // `answer` is a frame for tx
    kNoBuffer,
};

/// Looks at an ARP message that came in by a home port, Ethernet header cut off but there (RFC 5944
/// section 4.6, RFC 5227).
[[nodiscard]] ArpProxyResult answer_arp(stage::Worker& worker, rte_mbuf* packet, rte_mbuf*& answer);

}  // namespace homeport::forward
