// SPDX-License-Identifier: BSD-3-Clause
// links: config
// homeport.yaml: whatever the text, either a configuration that reads back equal, or errors.
#include <cstdlib>

#include "dataplane/config/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace homeport;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = config::parse(text, "/etc/fuzz.yaml");
    if (!config) {
        if (config.error().empty() || config::to_string(config.error()).empty()) std::abort();
        return 0;
    }
    const auto again = config::parse(config::to_yaml(*config), "/etc/fuzz.yaml");
    if (!again || *again != *config) std::abort();
    return 0;
}
