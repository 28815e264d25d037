// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/agents.hpp"

#include <algorithm>

namespace homeport::mobile_node {

namespace {

constexpr std::chrono::seconds kBetweenSolicitations{1};

}  // namespace

ConstByteSpan LinkAgent::Agent::extension(std::uint8_t type) const {
    const auto found = std::ranges::find(extensions, type, &wire::AgentExtension::type);
    return found == extensions.end() ? ConstByteSpan{} : ConstByteSpan(found->data);
}

bool LinkAgent::take(const wire::AgentDiscoveryPacket& packet, const MacAddress& mac,
                     mip4::TimePoint now) {
    const auto* const message = std::get_if<wire::AgentAdvertisement>(&packet.message);
    if (message == nullptr || !message->agent) return false;
    const wire::MobilityAgent& heard = *message->agent;
    if (!heard.flags.foreign_agent || heard.care_of_addresses.empty()) return false;
    const Agent* const known = current(now);
    const bool same = known != nullptr && known->address == packet.source;
    // An agent that is heard stays ours; a busy one takes nobody new (section 2.1.1).
    if (known != nullptr && !same) return false;
    if (heard.flags.busy && !same) return false;
    Agent agent;
    agent.address = packet.source;
    agent.mac = mac;
    agent.care_of_address = heard.care_of_addresses.front();
    agent.most_lifetime = heard.registration_lifetime;
    agent.required = heard.flags.registration_required;
    agent.sequence = heard.sequence;
    agent.extensions = message->others;
    agent.until = now + std::chrono::seconds{message->lifetime};
    const bool changed = !same || known->care_of_address != agent.care_of_address ||
                         known->mac != agent.mac ||
                         wire::agent_was_restarted(known->sequence, agent.sequence);
    agent_ = agent;
    return changed;
}

const LinkAgent::Agent* LinkAgent::current(mip4::TimePoint now) const {
    return agent_ && agent_->until > now ? &*agent_ : nullptr;
}

void LinkAgent::reset(mip4::TimePoint now) {
    agent_.reset();
    solicited_ = 0;
    next_solicitation_ = now;
}

bool LinkAgent::solicits(mip4::TimePoint now) {
    if (current(now) != nullptr || solicited_ >= kSolicitations || next_solicitation_ > now) {
        return false;
    }
    ++solicited_;
    next_solicitation_ = now + kBetweenSolicitations;
    return true;
}

std::optional<mip4::TimePoint> LinkAgent::next_deadline(mip4::TimePoint now) const {
    if (const Agent* const agent = current(now)) return agent->until;
    if (solicited_ >= kSolicitations) return std::nullopt;
    return next_solicitation_;
}

}  // namespace homeport::mobile_node
