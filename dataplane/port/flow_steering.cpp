// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/flow_steering.hpp"

#include <rte_errno.h>
#include <rte_flow.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "dataplane/channel/records.hpp"

namespace homeport::port {

namespace {

using channel::FlowRuleRefusal;
using channel::FlowRuleState;

FlowError error_of(int code, const rte_flow_error& error) {
    return {.code = code < 0 ? -code : code,
            .type = error.type,
            .message = error.message != nullptr ? error.message : ""};
}

class RteFlowBackend final : public FlowBackend {
  public:
    std::expected<void, FlowError> validate(std::uint16_t device,
                                            const FlowArguments& rule) override {
        rte_flow_error error{};
        const int code =
            rte_flow_validate(device, &rule.attributes(), rule.items(), rule.actions(), &error);
        if (code != 0) return std::unexpected(error_of(code, error));
        return {};
    }
    std::expected<rte_flow*, FlowError> create(std::uint16_t device,
                                               const FlowArguments& rule) override {
        rte_flow_error error{};
        rte_flow* const flow =
            rte_flow_create(device, &rule.attributes(), rule.items(), rule.actions(), &error);
        if (flow == nullptr) return std::unexpected(error_of(rte_errno, error));
        return flow;
    }
    std::expected<void, FlowError> destroy(std::uint16_t device, rte_flow* flow) override {
        rte_flow_error error{};
        const int code = rte_flow_destroy(device, flow, &error);
        if (code != 0) return std::unexpected(error_of(code, error));
        return {};
    }
};

std::string_view words_of(rte_flow_error_type type) {
    static constexpr std::array<std::string_view, 18> kWords{
        "no cause given",
        "cause unspecified",
        "flow rule",
        "group",
        "priority",
        "ingress",
        "egress",
        "transfer",
        "attributes",
        "length of the pattern",
        "value of an item",
        "range of an item",
        "mask of an item",
        "item of the pattern",
        "number of actions",
        "configuration of the action",
        "action",
        "state of the device",
    };
    const auto index = static_cast<std::size_t>(type);
    return index < kWords.size() ? kWords[index] : "unknown cause";
}

bool names(const PmdConfig& family, FlowMatch match) {
    return std::ranges::any_of(family.flow_rules, [&](const FlowRule& rule) {
        return rule.match == name_of(match) && rule.action == "queue";
    });
}

}  // namespace

FlowBackend& rte_flow_backend() {
    static RteFlowBackend backend;  // without state
    return backend;
}

std::string FlowError::to_string() const {
    std::string text(words_of(type));
    if (code != 0) text += std::string(" (") + rte_strerror(code) + ")";
    if (!message.empty()) text += ": " + message;
    return text;
}

bool takes_signalling_rules(const PmdConfig& family) {
    return std::ranges::any_of(steering_rules({}),
                               [&](const SteeringRule& rule) { return names(family, rule.needs); });
}

void FlowSteering::install(const QueueLayout& layout, const PmdConfig& family, bool wanted) {
    remove();
    records_.clear();
    warnings_.clear();
    for (SteeringRule& rule : steering_rules(layout)) {
        FlowRecord& record = records_.emplace_back();
        record.rule = std::move(rule);
        if (!wanted) {
            record.refusal = FlowRuleRefusal::kNotWanted;
            record.reason = "flow_rules of the port is off";
            continue;
        }
        ask(record, layout, family);
    }
}

void FlowSteering::ask(FlowRecord& record, const QueueLayout& layout, const PmdConfig& family) {
    const auto refuse = [&](FlowRuleRefusal refusal, std::string reason) {
        record.refusal = refusal;
        record.reason = std::move(reason);
    };
    const SteeringRule& rule = record.rule;
    if (rule.instead_of >= 0) {
        const FlowRecord& finer = records_[static_cast<std::size_t>(rule.instead_of)];
        if (finer.state == FlowRuleState::kInstalled) {
            return refuse(FlowRuleRefusal::kNotWanted,
                          "not needed: '" + finer.rule.name + "' is installed");
        }
        if (layout.workers.size() > 1) {
            return refuse(FlowRuleRefusal::kNotWanted,
                          "with it one worker would get the data of all that come by this port");
        }
    }
    if (rule.purpose == FlowPurpose::kSignalling && !layout.signalling) {
        return refuse(FlowRuleRefusal::kNoQueue, "the port has no queue for signalling alone");
    }
    if (!names(family, rule.needs)) {
        return refuse(FlowRuleRefusal::kFamily, "pmd-config/" + family.name +
                                                    ".yaml does not name " +
                                                    std::string(name_of(rule.needs)));
    }
    const FlowArguments arguments(rule);
    if (auto valid = backend_.validate(device_, arguments); !valid) {
        record.error = std::move(valid.error());
        return refuse(FlowRuleRefusal::kValidate, record.error.to_string());
    }
    auto created = backend_.create(device_, arguments);
    if (!created) {
        record.error = std::move(created.error());
        return refuse(FlowRuleRefusal::kCreate, record.error.to_string());
    }
    record.flow = *created;
    record.state = FlowRuleState::kInstalled;
}

void FlowSteering::remove() {
    // The last one first: some drivers keep what a rule shares with earlier ones.
    for (auto record = records_.rbegin(); record != records_.rend(); ++record) {
        if (record->flow == nullptr) continue;
        if (auto gone = backend_.destroy(device_, record->flow); !gone) {
            warnings_.push_back("flow rule '" + record->rule.name +
                                "' cannot be removed: " + gone.error().to_string());
        }
        record->flow = nullptr;
        record->state = FlowRuleState::kSoftware;
    }
}

bool FlowSteering::separates_signalling() const {
    const auto settled = [&](const FlowRecord& record) {
        if (record.rule.purpose != FlowPurpose::kSignalling) return true;
        if (record.state == FlowRuleState::kInstalled) return true;
        // Either of the two will do; the one that is asked for second stands for both.
        const auto index = static_cast<int>(&record - records_.data());
        if (record.rule.instead_of >= 0) {
            return records_[static_cast<std::size_t>(record.rule.instead_of)].state ==
                   FlowRuleState::kInstalled;
        }
        return std::ranges::any_of(records_, [&](const FlowRecord& other) {
            return other.rule.instead_of == index && other.state == FlowRuleState::kInstalled;
        });
    };
    return !records_.empty() && std::ranges::all_of(records_, settled);
}

unsigned FlowSteering::installed() const {
    return static_cast<unsigned>(
        std::ranges::count(records_, FlowRuleState::kInstalled, &FlowRecord::state));
}

channel::FlowRuleInfo info_of(const FlowRecord& record) {
    channel::FlowRuleInfo info;
    info.state = record.state;
    info.refusal = record.refusal;
    info.error_type = static_cast<std::uint16_t>(record.error.type);
    info.error_code = record.error.code;
    channel::copy_text(info.name, record.rule.name);
    channel::copy_text(info.match, pattern_text(record.rule));
    channel::copy_text(info.action, action_text(record.rule));
    channel::copy_text(info.reason, record.reason);
    return info;
}

}  // namespace homeport::port
