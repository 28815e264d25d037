// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/graph.hpp"

#include <array>

#include "dataplane/forward/stages.hpp"
#include "dataplane/port/tx_stage.hpp"
#include "dataplane/punt/punt_stages.hpp"
#include "dataplane/tunnel/stages.hpp"

namespace homeport::core {

std::span<const stage::StageDescription> all_stages() {
    static const std::array<stage::StageDescription, stage::kStageCount> stages{
        tunnel::kExpressStage,     tunnel::kParseStage,
        tunnel::kClassifyStage,    forward::kReassembleStage,
        tunnel::kDsmipInStage,     tunnel::kVpnInStage,
        tunnel::kHomeAddressStage, tunnel::kTunnelInStage,
        tunnel::kMip4InStage,      tunnel::kIpsecInStage,
        forward::kNdProxyStage,    forward::kIcmpInStage,
        tunnel::kInterceptStage,   tunnel::kVpnOutStage,
        tunnel::kIpsecOutStage,    tunnel::kTunnelOutStage,
        forward::kForwardStage,    forward::kIcmpErrorStage,
        forward::kFragmentStage,   punt::kToControlStage,
        punt::kToKernelStage,      port::kTxStage,
    };
    return stages;
}

}  // namespace homeport::core
