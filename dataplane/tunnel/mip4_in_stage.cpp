// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/stages.hpp"

namespace homeport::tunnel {

namespace {

void mip4_in(stage::Worker&, stage::Batch& in, stage::Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        out.drop(in.packets[i], channel::Counter::kTunInUnknown);
    }
}

}  // namespace

const stage::StageDescription kMip4InStage{
    .id = stage::StageId::kMip4In,
    .name = "mip4-in",
    .function = mip4_in,
    .edges = {},
    .edge_count = 0,
};

}  // namespace homeport::tunnel
