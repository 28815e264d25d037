// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/stages.hpp"

namespace homeport::tunnel {

namespace {

void vpn_out(stage::Worker&, stage::Batch& in, stage::Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        out.drop(in.packets[i], channel::Counter::kTunInUnknown);
    }
}

}  // namespace

const stage::StageDescription kVpnOutStage{
    .id = stage::StageId::kVpnOut,
    .name = "vpn-out",
    .function = vpn_out,
    .edges = {},
    .edge_count = 0,
};

}  // namespace homeport::tunnel
