// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/shared_state.hpp"

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <bit>

namespace homeport::core {

namespace {

ipsec::CpuArchitecture architecture_of(config::CryptoCpu cpu) {
    switch (cpu) {
        case config::CryptoCpu::kAuto:
            return ipsec::CpuArchitecture::kAuto;
        case config::CryptoCpu::kSse:
            return ipsec::CpuArchitecture::kSse;
        case config::CryptoCpu::kAvx:
            return ipsec::CpuArchitecture::kAvx;
        case config::CryptoCpu::kAvx2:
            return ipsec::CpuArchitecture::kAvx2;
        case config::CryptoCpu::kAvx512:
            return ipsec::CpuArchitecture::kAvx512;
    }
    return ipsec::CpuArchitecture::kAuto;
}

template <class T>
void delete_object(void* object, void*) {
    delete static_cast<T*>(object);
}

}  // namespace

std::expected<std::unique_ptr<SharedState>, std::string> SharedState::create(
    const config::DataplaneConfig& config, unsigned workers) {
    std::unique_ptr<SharedState> state(new SharedState);
    const std::size_t size = rte_rcu_qsbr_get_memsize(workers);
    state->qsbr_ = static_cast<rte_rcu_qsbr*>(rte_zmalloc("qsbr", size, RTE_CACHE_LINE_SIZE));
    if (state->qsbr_ == nullptr || rte_rcu_qsbr_init(state->qsbr_, workers) != 0) {
        return std::unexpected("no memory for the workers' quiescent states");
    }
    table::Sizes sizes;
    sizes.max_bindings = config.max_bindings;
    sizes.max_routes = config.max_routes;
    sizes.max_adjacencies = config.max_adjacencies;
    sizes.max_mobile_prefixes = config.max_bindings;
    // Each has two SAs.
    sizes.max_vpn_clients = std::min(config.max_sas / 2, config.max_bindings);
    state->tables_ = std::make_unique<table::Tables>(sizes, state->qsbr_);
    if (!state->tables_->valid()) {
        return std::unexpected("no memory for the tables: max_bindings " +
                               std::to_string(config.max_bindings) + ", max_routes " +
                               std::to_string(config.max_routes) + ", max_adjacencies " +
                               std::to_string(config.max_adjacencies));
    }
    state->writer_ = std::make_unique<table::TableWriter>(*state->tables_);
    state->ipsec_reclaimer_ = std::make_unique<IpsecReclaimer>(state->tables_->reclaimer);
    state->spd_ = std::make_unique<ipsec::SecurityPolicyDatabase>(*state->ipsec_reclaimer_);

    ipsec::SecurityAssociationDatabase::Options options;
    options.architecture = architecture_of(config.ipsec.cpu);
    options.max_associations = config.max_sas;
    options.own_slots = std::bit_ceil(std::clamp<std::uint32_t>(config.max_sas, 64, 1u << 24));
    // Each SaSet says whether the laboratory switch is on; IpsecWriter refuses the others.
    options.lab_static_gcm = true;
    auto sad = ipsec::SecurityAssociationDatabase::create(options, *state->ipsec_reclaimer_);
    if (!sad) return std::unexpected(sad.error().text);
    state->sad_ = std::move(*sad);
    state->queries_ = std::make_unique<ipsec::DatabaseQueries>(*state->spd_, *state->sad_);
    state->parameters_ = new channel::ParametersSet;
    return state;
}

SharedState::~SharedState() {
    // Deleters of SPD and SAD must run while those are there.
    if (tables_ != nullptr) tables_->reclaimer.free_now();
    delete parameters_.load();
    delete signalling_.load();
    queries_.reset();
    sad_.reset();
    spd_.reset();
    writer_.reset();
    tables_.reset();
    rte_free(qsbr_);
}

void SharedState::set_parameters(const channel::ParametersSet& parameters) {
    const auto* old = parameters_.exchange(new channel::ParametersSet(parameters));
    tables_->reclaimer.retire(const_cast<channel::ParametersSet*>(old),
                              delete_object<channel::ParametersSet>, nullptr);
    writer_->set_parameters(parameters);
}

void SharedState::set_signalling(const tunnel::SignallingPolicies& policies) {
    const auto* old = signalling_.exchange(new tunnel::SignallingPolicies(policies));
    if (old == nullptr) return;
    tables_->reclaimer.retire(const_cast<tunnel::SignallingPolicies*>(old),
                              delete_object<tunnel::SignallingPolicies>, nullptr);
}

}  // namespace homeport::core
