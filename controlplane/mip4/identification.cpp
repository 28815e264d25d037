// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/mip4/identification.hpp"

namespace homeport::mip4 {

namespace {

constexpr std::uint64_t kNtpOfUnixEpoch = 2'208'988'800;  // seconds from 1900 to 1970
constexpr std::uint64_t kLowHalf = 0xffffffff;

std::uint64_t with_high_half(std::uint64_t identification, std::uint64_t high) {
    return high << 32 | (identification & kLowHalf);
}

/// Across the wrap of 2036 too.
std::uint64_t distance(NtpTime a, NtpTime b) {
    const auto difference = static_cast<std::int64_t>(a - b);
    return static_cast<std::uint64_t>(difference < 0 ? -difference : difference);
}

IdentificationVerdict judge_timestamp(const SecurityAssociation& association,
                                      IdentificationState& state, std::uint64_t identification,
                                      NtpTime now) {
    const auto window = static_cast<std::uint64_t>(association.window.count()) << 32;
    const bool is_recent = distance(identification, now) <= window;
    const bool is_newer = state.last_timestamp == 0 ||
                          static_cast<std::int64_t>(identification - state.last_timestamp) > 0;
    if (is_recent && is_newer) {
        state.last_timestamp = identification;
        return {true, identification};
    }
    return {false, with_high_half(identification, now >> 32)};
}

IdentificationVerdict judge_nonce(IdentificationState& state, std::uint64_t identification,
                                  std::uint32_t nonce) {
    const auto received = static_cast<std::uint32_t>(identification >> 32);
    const bool is_valid = state.next_nonce != 0 && received == state.next_nonce;
    state.next_nonce = nonce == 0 ? 1 : nonce;
    return {is_valid, with_high_half(identification, state.next_nonce)};
}

}  // namespace

NtpTime ntp_time(std::chrono::system_clock::time_point time) {
    const auto since =
        std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch());
    const auto seconds = static_cast<std::uint64_t>(since.count() / 1'000'000'000);
    const auto rest = static_cast<std::uint64_t>(since.count() % 1'000'000'000);
    return (seconds + kNtpOfUnixEpoch) << 32 | (rest << 32) / 1'000'000'000;
}

IdentificationVerdict judge_identification(const SecurityAssociation& association,
                                           IdentificationState& state, std::uint64_t identification,
                                           NtpTime now, std::uint32_t nonce) {
    return association.replay == ReplayStyle::kTimestamps
               ? judge_timestamp(association, state, identification, now)
               : judge_nonce(state, identification, nonce);
}

}  // namespace homeport::mip4
