// SPDX-License-Identifier: BSD-3-Clause
// Applies the control plane's commands in ring order. Main lcore only.
#pragma once

#include <cstdint>

#include "dataplane/channel/messages.hpp"
#include "dataplane/core/ipsec_writer.hpp"
#include "dataplane/core/shared_state.hpp"

namespace homeport::core {

/// What commands want of the rest of the main lcore.
class CommandSink {
  public:
    virtual ~CommandSink() = default;
    virtual table::Applied transmit(const channel::TransmitPacket& record,
                                    ConstByteSpan packet) = 0;
    virtual table::Applied transmit(const channel::TransmitFrame& record, ConstByteSpan frame) = 0;
    virtual table::Applied trace(const channel::TraceStart& record) = 0;
    virtual void stop_trace() = 0;
    virtual void sync_done(const channel::EndSync& record, std::uint32_t swept) = 0;
};

class CommandApplier {
  public:
    CommandApplier(SharedState& state, IpsecWriter& ipsec, CommandSink& sink)
        : state_(state), ipsec_(ipsec), sink_(sink) {}

    template <class Record>
        requires requires(table::TableWriter& writer, const Record& record) {
            writer.apply(record);
        }
    table::Applied apply(const Record& record, ConstByteSpan = {}) {
        return state_.writer().apply(record);
    }
    table::Applied apply(const channel::SaSet& record, ConstByteSpan networks = {}) {
        return ipsec_.apply(record, networks);
    }
    table::Applied apply(const channel::SaRemove& record, ConstByteSpan = {}) {
        return ipsec_.apply(record);
    }
    table::Applied apply(const channel::SpdReplace& record, ConstByteSpan policies) {
        return ipsec_.apply(record, policies);
    }
    table::Applied apply(const channel::TransmitPacket& record, ConstByteSpan packet) {
        return sink_.transmit(record, packet);
    }
    table::Applied apply(const channel::TransmitFrame& record, ConstByteSpan frame) {
        return sink_.transmit(record, frame);
    }
    table::Applied apply(const channel::TraceStart& record, ConstByteSpan = {}) {
        return sink_.trace(record);
    }
    table::Applied apply(const channel::TraceStop&, ConstByteSpan = {}) {
        sink_.stop_trace();
        return {};
    }
    table::Applied apply(const channel::ParametersSet& record, ConstByteSpan = {}) {
        state_.set_parameters(record);
        return {};
    }
    table::Applied apply(const channel::BeginSync&, ConstByteSpan = {}) {
        state_.writer().begin_sync();
        ipsec_.begin_sync();
        return {};
    }
    table::Applied apply(const channel::EndSync& record, ConstByteSpan = {}) {
        sink_.sync_done(record, state_.writer().end_sync() + ipsec_.end_sync());
        return {};
    }

  private:
    SharedState& state_;
    IpsecWriter& ipsec_;
    CommandSink& sink_;
};

}  // namespace homeport::core
