// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/spd.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "dataplane/ipsec/compiled_policies.hpp"

namespace homeport::ipsec {

namespace {

void delete_compiled(void* object, void*) {
    delete static_cast<CompiledPolicies*>(object);
}

std::string naming(const PolicyEntry& entry) {
    return "entry " + std::to_string(entry.id) + " '" + entry.name + "'";
}

Result<void> check_template(const PolicyEntry& entry) {
    const ProtectTemplate& protect = entry.protect;
    const bool tunnel = protect.mode == Mode::kTunnel;
    if (!tunnel && (protect.tunnel_local || protect.tunnel_remote)) {
        return fail(naming(entry) + ": transport mode, but tunnel addresses are given");
    }
    if (tunnel && !protect.tunnel_remote && !protect.populate_remote) {
        return fail(naming(entry) +
                    ": tunnel mode needs a remote tunnel address, or the packet's remote address "
                    "(populate_remote)");
    }
    if (protect.tunnel_local && protect.tunnel_remote &&
        family_of(*protect.tunnel_local) != family_of(*protect.tunnel_remote)) {
        return fail(naming(entry) + ": tunnel addresses are of two families");
    }
    return {};
}

Result<std::vector<CompiledPolicy>> compile_all(const std::vector<PolicyEntry>& entries) {
    std::vector<CompiledPolicy> compiled;
    std::set<PolicyId> ids;
    if (entries.size() > kMaxPolicies) {
        return fail("the policy has " + std::to_string(entries.size()) +
                    " entries, expected at most " + std::to_string(kMaxPolicies) +
                    "; use templates (populate_remote)");
    }
    for (const PolicyEntry& entry : entries) {
        if (entry.id == kNominalDiscard) {
            return fail(naming(entry) + ": id 65535 is that of the nominal last entry");
        }
        if (!ids.insert(entry.id).second) return fail(naming(entry) + ": this id is used twice");
        auto selectors = CompiledSelectors::compile(entry.selectors);
        if (!selectors) return fail(naming(entry) + ": " + selectors.error().text);
        if (entry.action == Action::kProtect) {
            if (auto checked = check_template(entry); !checked) {
                return std::unexpected(checked.error());
            }
        }
        compiled.push_back(
            {.id = entry.id,
             .action = entry.action,
             .populate_remote = entry.action == Action::kProtect && entry.protect.populate_remote,
             .selectors = std::move(*selectors)});
    }
    return compiled;
}

bool same_processing(const PolicyEntry& a, const PolicyEntry& b) {
    if (a.action != b.action) return false;
    // Two PROTECT entries lead to different SAs.
    return a.action != Action::kProtect;
}

/// Whether the protocol and type of `wide` say strictly less than those of `narrow`.
bool wider_protocol(const CompiledSelectors& wide, const CompiledSelectors& narrow,
                    Direction direction) {
    return wide.covers_protocol(narrow, direction) && !narrow.covers_protocol(wide, direction);
}

std::vector<LintFinding> lint_compiled(const std::vector<PolicyEntry>& entries,
                                       const std::vector<CompiledPolicy>& compiled) {
    std::vector<LintFinding> findings;
    for (std::size_t later = 1; later < entries.size(); ++later) {
        for (std::size_t earlier = 0; earlier < later; ++earlier) {
            const CompiledSelectors& first = compiled[earlier].selectors;
            const CompiledSelectors& second = compiled[later].selectors;
            const auto pair = [&] {
                return naming(entries[earlier]) + " (" + entries[earlier].selectors.to_string() +
                       ") stands before " + naming(entries[later]) + " (" +
                       entries[later].selectors.to_string() + ")";
            };
            if (first.covers(second, Direction::kOutbound) &&
                first.covers(second, Direction::kInbound)) {
                findings.push_back({LintFinding::Kind::kShadowed, entries[earlier].id,
                                    entries[later].id,
                                    pair() + " and takes all of its packets: move it behind"});
                continue;
            }
            const auto clashes = [&](Direction direction) {
                return first.overlaps(second, direction) &&
                       wider_protocol(first, second, direction);
            };
            if (!same_processing(entries[earlier], entries[later]) &&
                (clashes(Direction::kOutbound) || clashes(Direction::kInbound))) {
                findings.push_back({LintFinding::Kind::kOverlap, entries[earlier].id,
                                    entries[later].id,
                                    pair() + " and takes a part of its packets: move it behind"});
            }
        }
    }
    return findings;
}

}  // namespace

CompiledPolicies::CompiledPolicies(std::vector<CompiledPolicy> policies)
    : policies_(std::move(policies)) {
    std::map<std::vector<std::uint16_t>, List> known;
    for (unsigned v6 = 0; v6 < 2; ++v6) {
        for (unsigned protocol = 0; protocol <= kUnknownProtocol; ++protocol) {
            HeaderInfo probe;
            probe.family = v6 != 0 ? Family::kIpv6 : Family::kIpv4;
            probe.protocol_known = protocol != kUnknownProtocol;
            probe.protocol = static_cast<std::uint8_t>(protocol);
            std::vector<std::uint16_t> list;
            for (std::size_t i = 0; i < policies_.size(); ++i) {
                const CompiledSelectors& selectors = policies_[i].selectors;
                if (selectors.takes(probe.family) && selectors.protocol_matches(probe)) {
                    list.push_back(static_cast<std::uint16_t>(i));
                }
            }
            auto [entry, is_new] = known.try_emplace(list);
            if (is_new) {
                entry->second.begin = static_cast<std::uint32_t>(candidates_.size());
                candidates_.insert(candidates_.end(), list.begin(), list.end());
                entry->second.end = static_cast<std::uint32_t>(candidates_.size());
            }
            lists_[v6][protocol] = entry->second;
        }
    }
    policies_.emplace_back();  // the nominal DISCARD
    for (unsigned v6 = 0; v6 < 2; ++v6) {
        for (unsigned protocol = 0; protocol < kUnknownProtocol; ++protocol) {
            bypasses_all_[v6][protocol] = find_bypass(lists_[v6][protocol]);
        }
    }
    make_all_quick();
}

/// As bypasses_all(), of entries of one family and protocol.
HitSlot CompiledPolicies::find_bypass(List list) const {
    if (list.begin == list.end) return kHitSlots;
    const CompiledPolicy& policy = policies_[candidates_[list.begin]];
    const CompiledSelectors& selectors = policy.selectors;
    const bool takes_all =
        selectors.local.empty() && selectors.remote.empty() && selectors.any_values;
    return takes_all && policy.action == Action::kBypass ? policy.hits : HitSlot{kHitSlots};
}

namespace {

bool are_all(const std::vector<KeyRange>& ranges, Family family) {
    const KeyRange all = family == Family::kIpv6
                             ? KeyRange{{}, {~0ull, ~0ull}}
                             : KeyRange{AddressKey::of(Ipv4Address{}),
                                        AddressKey::of(Ipv4Address{{255, 255, 255, 255}})};
    return ranges.empty() ||
           (ranges.size() == 1 && ranges[0].first <= all.first && all.last <= ranges[0].last);
}

}  // namespace

/// Empty if the decision depends on more than QuickPolicy can say from the first entry on.
std::vector<QuickPolicy> CompiledPolicies::make_quick(List list, Family family) const {
    constexpr std::size_t kMost = 4;
    std::vector<QuickPolicy> result;
    QuickPolicy quick;  // with what the next one has before it
    KeyRange others;
    for (std::uint32_t i = list.begin; i != list.end && result.size() < kMost; ++i) {
        const CompiledPolicy& policy = policies_[candidates_[i]];
        const CompiledSelectors& selectors = policy.selectors;
        const bool simple = policy.action != Action::kProtect || policy.populate_remote;
        if (simple && selectors.any_values && are_all(selectors.local, family) &&
            selectors.remote.size() <= 1) {
            constexpr AddressKey kLast{~0ull, ~0ull};
            quick.policy = &policy;
            quick.remote =
                KeySpan(selectors.remote.empty() ? KeyRange{{}, kLast} : selectors.remote[0]);
            if (!result.empty()) result.back().leads_on = true;
            result.push_back(quick);
            if (selectors.remote.empty()) break;
            continue;
        }
        if (selectors.local.empty()) break;
        // One range around all of them: who is inside of it without need only asks in vain.
        const KeyRange around{selectors.local.front().first, selectors.local.back().last};
        others = quick.has_others ? KeyRange{std::min(others.first, around.first),
                                             std::max(others.last, around.last)}
                                  : around;
        quick.others = KeySpan(others);
        quick.has_others = true;
    }
    return result;
}

void CompiledPolicies::make_all_quick() {
    quick_.emplace_back();
    std::map<std::uint32_t, std::uint16_t> known;  // by where the list begins
    for (unsigned i = 0; i < 2 * kUnknownProtocol; ++i) {
        const bool v6 = i >= kUnknownProtocol;
        const unsigned protocol = i % kUnknownProtocol;
        if (v6 && is_skipped_header(static_cast<std::uint8_t>(protocol))) continue;
        const List list = lists_[v6][protocol];
        if (list.begin == list.end) continue;
        const auto [entry, is_new] = known.try_emplace(list.begin, std::uint16_t{0});
        if (is_new) {
            const auto made = make_quick(list, v6 ? Family::kIpv6 : Family::kIpv4);
            if (!made.empty()) {
                entry->second = static_cast<std::uint16_t>(quick_.size());
                quick_.insert(quick_.end(), made.begin(), made.end());
            }
        }
        quick_of_[v6][protocol] = entry->second;
    }
}

SecurityPolicyDatabase::SecurityPolicyDatabase(Reclaimer& reclaimer)
    : reclaimer_(reclaimer),
      compiled_(new CompiledPolicies({})),
      slots_(std::make_unique<std::atomic<HitSlot>[]>(std::size_t{1} << 16)) {
    for (std::size_t id = 0; id < std::size_t{1} << 16; ++id) slots_[id] = kCommonSlot;
}

SecurityPolicyDatabase::~SecurityPolicyDatabase() {
    delete compiled_.load();
}

Result<void> SecurityPolicyDatabase::replace(std::vector<PolicyEntry> entries) {
    auto compiled = compile_all(entries);
    if (!compiled) return std::unexpected(compiled.error());
    for (const LintFinding& finding : lint_compiled(entries, *compiled)) {
        if (finding.kind == LintFinding::Kind::kShadowed) return fail(finding.text);
    }
    for (CompiledPolicy& policy : *compiled) policy.hits = take_slot(policy.id);
    const CompiledPolicies* old =
        compiled_.exchange(new CompiledPolicies(std::move(*compiled)), std::memory_order_acq_rel);
    entries_ = std::move(entries);
    generation_.fetch_add(1, std::memory_order_acq_rel);
    reclaimer_.retire(const_cast<CompiledPolicies*>(old), delete_compiled, nullptr);
    return {};
}

HitSlot SecurityPolicyDatabase::take_slot(PolicyId id) {
    const HitSlot known = slot_of(id);
    if (known != kCommonSlot || next_slot_ == kCommonSlot) return known;
    slots_[id].store(next_slot_, std::memory_order_relaxed);
    return next_slot_++;
}

std::vector<std::string> SecurityPolicyDatabase::to_text() const {
    std::vector<std::string> lines;
    lines.reserve(entries_.size() + 1);
    for (const PolicyEntry& entry : entries_) lines.push_back(entry.to_string());
    lines.push_back(PolicyEntry{kNominalDiscard, "nominal", {}, Action::kDiscard, {}}.to_string());
    return lines;
}

std::string PolicyEntry::to_string() const {
    std::string text = std::to_string(id) + " " + name + ": " + selectors.to_string() + " -> ";
    if (action == Action::kDiscard) return text + "discard";
    if (action == Action::kBypass) return text + "bypass";
    text += "protect esp ";
    text += protect.mode == Mode::kTunnel ? "tunnel" : "transport";
    if (protect.mode == Mode::kTunnel) {
        text += " " + (protect.tunnel_local ? homeport::to_string(*protect.tunnel_local) : "any") +
                ">" +
                (protect.tunnel_remote ? homeport::to_string(*protect.tunnel_remote)
                                       : std::string("packet's remote"));
    }
    text += " ";
    text += info(protect.algorithm).name;
    if (protect.esn) text += " esn";
    if (protect.populate_remote) text += " pfp-remote";
    return text;
}

std::vector<LintFinding> lint(const std::vector<PolicyEntry>& entries) {
    const auto compiled = compile_all(entries);
    if (!compiled) return {};  // replace() says what is wrong with a single entry
    return lint_compiled(entries, *compiled);
}

}  // namespace homeport::ipsec
