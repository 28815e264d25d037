// SPDX-License-Identifier: BSD-3-Clause
// Replay protection by the 64-bit identification (RFC 5944 section 5.7). No clock of its own.
#pragma once

#include <chrono>
#include <cstdint>

#include "controlplane/mip4/authenticator.hpp"

namespace homeport::mip4 {

/// NTP time: seconds since 1900 in the upper, fraction in the lower 32 bits (RFC 5905).
using NtpTime = std::uint64_t;
[[nodiscard]] NtpTime ntp_time(std::chrono::system_clock::time_point time);

/// What is kept for one security association. It outlives the binding, and is stored: an old
/// request inside the window could be replayed otherwise.
struct IdentificationState {
    NtpTime last_timestamp = 0;    // of the last accepted request
    std::uint32_t next_nonce = 0;  // what the next request must carry in its upper half; 0: none
                                   // was given out yet
    friend bool operator==(const IdentificationState&, const IdentificationState&) = default;
};

struct IdentificationVerdict {
    bool is_valid = false;
    std::uint64_t reply = 0;  // identification of the reply
};

/// Judges `identification` at time `now`. `nonce`: fresh random bits. A valid one changes `state`:
/// time stamps must grow (mipv4.md section 6), nonces are good for one request. With nonces also an
/// invalid one does: the refusal carries the next nonce.
[[nodiscard]] IdentificationVerdict judge_identification(const SecurityAssociation& association,
                                                         IdentificationState& state,
                                                         std::uint64_t identification, NtpTime now,
                                                         std::uint32_t nonce);

}  // namespace homeport::mip4
