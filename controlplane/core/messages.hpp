// SPDX-License-Identifier: BSD-3-Clause
// Every line of the log of level info or above has an id and a paragraph in docs/messages.md. An id
// keeps its meaning for ever; one that is no longer used is not given again.
#pragma once

#include <cstdint>
#include <string>

namespace homeport::core {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };

// clang-format off
#define HOMEPORT_MESSAGES(X) \
    X(kStarting, 1, kInfo) \
    X(kStopping, 2, kInfo) \
    X(kConfigInvalid, 3, kError) \
    X(kConfigReloaded, 5, kInfo) \
    X(kReloadRefused, 6, kError) \
    X(kRestartNeeded, 7, kWarning) \
    X(kStartFailed, 8, kError) \
    X(kDataPlaneAttached, 10, kInfo) \
    X(kDataPlaneMissing, 11, kWarning) \
    X(kDataPlaneLost, 12, kWarning) \
    X(kDataPlaneRefused, 13, kError) \
    X(kSynchronized, 14, kInfo) \
    X(kCommandFailed, 15, kWarning) \
    X(kChannelBroken, 16, kError) \
    X(kDataPlaneStuck, 17, kError) \
    X(kEventMalformed, 18, kWarning) \
    X(kStoreSetAside, 21, kWarning) \
    X(kStoreRecordBad, 22, kWarning) \
    X(kBindingsRestored, 23, kInfo) \
    X(kStoreWriteFailed, 24, kError) \
    X(kLedgerFailed, 25, kError) \
    X(kSaUsedUp, 26, kError) \
    X(kSaLifetime, 27, kWarning) \
    X(kNodeWithoutKeys, 28, kWarning) \
    X(kLabSwitch, 29, kWarning) \
    X(kMirrorFailed, 30, kError) \
    X(kAddressMissing, 31, kWarning) \
    X(kPortChanged, 32, kInfo) \
    X(kPortUnknown, 33, kWarning) \
    X(kNodeWithoutPayloadKeys, 34, kWarning) \
    X(kBindingCreated, 40, kInfo) \
    X(kBindingMoved, 41, kInfo) \
    X(kBindingRemoved, 42, kInfo) \
    X(kBindingRejected, 43, kWarning) \
    X(kDuplicateAddress, 44, kWarning) \
    X(kUnprotectedUpdate, 45, kWarning) \
    X(kEspFromElsewhere, 46, kInfo) \
    X(kMappingTaken, 47, kWarning) \
    X(kOverloaded, 48, kWarning) \
    X(kOverloadEnded, 49, kInfo) \
    X(kManagementOpen, 50, kInfo) \
    X(kOperatorCommand, 52, kInfo) \
    X(kClientRefused, 53, kWarning) \
    X(kSuppressed, 60, kWarning) \
    X(kSaAdded, 70, kInfo) \
    X(kSaDeleted, 71, kInfo) \
    X(kSaLeftOut, 72, kError) \
    X(kSaEnded, 73, kError) \
    X(kRegistrationCreated, 80, kInfo) \
    X(kRegistrationMoved, 81, kInfo) \
    X(kRegistrationEnded, 82, kInfo) \
    X(kRegistrationRefused, 83, kWarning) \
    X(kRegistrationIgnored, 84, kWarning) \
    X(kRevocation, 85, kInfo) \
    X(kRevocationTrouble, 86, kWarning) \
    X(kConfigDoubt, 87, kWarning)
// clang-format on

enum class Message : std::uint16_t {
#define HOMEPORT_MESSAGE_ENUM(name, number, level) name = number,
    HOMEPORT_MESSAGES(HOMEPORT_MESSAGE_ENUM)
#undef HOMEPORT_MESSAGE_ENUM
};

[[nodiscard]] Level level_of(Message message);
/// "HP-CP-0014"
[[nodiscard]] std::string id_of(Message message);

}  // namespace homeport::core
