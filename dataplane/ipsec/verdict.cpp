// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/verdict.hpp"

namespace homeport::ipsec {

std::string_view counter_name(Verdict verdict) {
    static constexpr std::array<std::string_view, kVerdictCount> kNames = {
        "ipsec.out.protect",      "ipsec.out.bypass",
        "ipsec.out.discard",      "ipsec.out.no_sa",
        "ipsec.out.seq_overflow", "ipsec.out.too_big",
        "handover.sent",          "ipsec.in.ok",
        "ipsec.in.no_sa",         "ipsec.in.replay",
        "ipsec.in.icv",           "ipsec.in.padding",
        "ipsec.in.dummy",         "ipsec.in.selector_mismatch",
        "ipsec.in.policy",        "ipsec.in.fragment",
        "ipsec.in.malformed",     "ipsec.in.bypass",
        "ipsec.in.discard",
    };
    return kNames[static_cast<std::size_t>(verdict)];
}

}  // namespace homeport::ipsec
