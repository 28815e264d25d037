// SPDX-License-Identifier: BSD-3-Clause
// Puts the steering rules of a port in force where the driver takes them, and says of each other
// one why it does not. Used by the main lcore, between start and stop of the port.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "dataplane/channel/messages.hpp"
#include "dataplane/port/pmd_config.hpp"
#include "dataplane/port/steering_rules.hpp"

struct rte_flow;

namespace homeport::port {

/// What a driver says against a rule.
struct FlowError {
    int code = 0;  // errno, positive
    rte_flow_error_type type = RTE_FLOW_ERROR_TYPE_NONE;
    std::string message;  // the driver's own words; may be empty

    /// "item (EINVAL): wrong ESP mask": all of it in one line.
    [[nodiscard]] std::string to_string() const;
};

/// rte_flow, or something in its place in a test.
class FlowBackend {
  public:
    virtual ~FlowBackend() = default;
    [[nodiscard]] virtual std::expected<void, FlowError> validate(std::uint16_t device,
                                                                  const FlowArguments& rule) = 0;
    [[nodiscard]] virtual std::expected<rte_flow*, FlowError> create(std::uint16_t device,
                                                                     const FlowArguments& rule) = 0;
    [[nodiscard]] virtual std::expected<void, FlowError> destroy(std::uint16_t device,
                                                                 rte_flow* flow) = 0;
};

/// The driver's own.
[[nodiscard]] FlowBackend& rte_flow_backend();

/// What became of a rule.
struct FlowRecord {
    SteeringRule rule;
    channel::FlowRuleState state = channel::FlowRuleState::kSoftware;
    channel::FlowRuleRefusal refusal = channel::FlowRuleRefusal::kNone;
    FlowError error;     // with kValidate and kCreate
    std::string reason;  // why it is not installed, one sentence
    rte_flow* flow = nullptr;
};

class FlowSteering {
  public:
    /// `backend` must outlive this object.
    FlowSteering(FlowBackend& backend, std::uint16_t device) : backend_(backend), device_(device) {}
    ~FlowSteering() { remove(); }
    FlowSteering(const FlowSteering&) = delete;
    FlowSteering& operator=(const FlowSteering&) = delete;

    /// Asks for each rule that `family` names, after the port was started. `wanted` false: for
    /// none.
    void install(const QueueLayout& layout, const PmdConfig& family, bool wanted);
    /// Before the port is stopped. What the driver does not give back is said by warnings().
    void remove();

    [[nodiscard]] std::span<const FlowRecord> records() const { return records_; }
    /// No signalling is left that comes by another queue than its own.
    [[nodiscard]] bool separates_signalling() const;
    [[nodiscard]] unsigned installed() const;
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  private:
    void ask(FlowRecord& record, const QueueLayout& layout, const PmdConfig& family);

    FlowBackend& backend_;
    std::uint16_t device_;
    std::vector<FlowRecord> records_;
    std::vector<std::string> warnings_;
};

/// Whether any of the rules for signalling is among what `family` takes.
[[nodiscard]] bool takes_signalling_rules(const PmdConfig& family);

/// `record` as the control plane is told of it; port, index and number of rules are the caller's.
[[nodiscard]] channel::FlowRuleInfo info_of(const FlowRecord& record);

}  // namespace homeport::port
