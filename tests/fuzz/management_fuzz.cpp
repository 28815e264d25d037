// SPDX-License-Identifier: BSD-3-Clause
// links: management
// A line of the management socket: whatever it holds, the reply is one line of JSON with a result.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "controlplane/management/dispatcher.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace homeport::management;
    static Dispatcher dispatcher;
    if (!dispatcher.unhandled().empty()) {
        for (const std::string& name : dispatcher.unhandled()) {
            dispatcher.handle(
                name,
                [](const nlohmann::json& arguments) -> std::expected<nlohmann::json, CommandError> {
                    return arguments;
                });
        }
    }
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    (void)Dispatcher::command_of(line);
    const std::string reply = dispatcher.answer(line);
    const auto read = nlohmann::json::parse(reply, nullptr, false);
    if (reply.find('\n') != std::string::npos || !read.is_object() || !read.contains("result")) {
        std::abort();
    }
    return 0;
}
