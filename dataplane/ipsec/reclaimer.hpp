// SPDX-License-Identifier: BSD-3-Clause
// How an object that lock-free readers may still hold is freed.
//
// Use: the data plane hands in one that waits for the workers' quiescent states; a program whose
// readers run on the writer's own thread uses ImmediateReclaimer.
#pragma once

namespace homeport::ipsec {

class Reclaimer {
  public:
    /// Frees `object`; `owner` is what the object came from. Must not throw.
    using Deleter = void (*)(void* object, void* owner);

    virtual ~Reclaimer() = default;
    /// Calls `deleter(object, owner)` once no reader that began before this call can still hold
    /// `object`. Called on the writer's thread, and the deleter must run on that thread too. All
    /// deleters must have run before `owner`, a database of this room, is destroyed.
    virtual void retire(void* object, Deleter deleter, void* owner) = 0;
};

/// For a program with a single thread, and for tests.
class ImmediateReclaimer final : public Reclaimer {
  public:
    void retire(void* object, Deleter deleter, void* owner) override { deleter(object, owner); }
};

}  // namespace homeport::ipsec
