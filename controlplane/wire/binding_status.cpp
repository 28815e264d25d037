// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mobility_header.hpp"

namespace homeport::wire {

const char* describe(BindingStatus status) {
    switch (static_cast<std::uint8_t>(status)) {
        case 0:
            return "accepted";
        case 1:
            return "accepted but prefix discovery necessary";
        case 4:
            return "MCoA not complete";
        case 5:
            return "MCoA return home without neighbor discovery proxy";
        case 128:
            return "reason unspecified";
        case 129:
            return "administratively prohibited";
        case 130:
            return "insufficient resources";
        case 131:
            return "home registration not supported";
        case 132:
            return "not home subnet";
        case 133:
            return "not home agent for this mobile node";
        case 134:
            return "duplicate address detection failed";
        case 135:
            return "sequence number out of window";
        case 136:
            return "expired home nonce index";
        case 137:
            return "expired care-of nonce index";
        case 138:
            return "expired nonces";
        case 139:
            return "registration type change disallowed";
        case 140:
            return "mobile router operation not permitted";
        case 141:
            return "invalid prefix";
        case 142:
            return "not authorized for prefix";
        case 143:
            return "forwarding setup failed";
        case 144:
            return "force UDP not accepted, or identity mismatch";
        case 145:
            return "message identity required";
        case 146:
            return "authentication failed";
        case 151:
            return "service authorization failed";
        case 164:
            return "MCoA malformed";
        case 165:
            return "MCoA: a binding without identifier exists";
        case 166:
            return "MCoA prohibited";
        case 167:
            return "MCoA: unknown care-of address";
        case 168:
            return "MCoA: bulk registration prohibited";
        case 169:
            return "MCoA: simultaneous home and foreign prohibited";
        case 174:
            return "invalid care-of address";
        default:
            return "unassigned";
    }
}

}  // namespace homeport::wire
