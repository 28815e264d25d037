// SPDX-License-Identifier: BSD-3-Clause
#include <nlohmann/json.hpp>

#include "controlplane/management/commands.hpp"

namespace homeport::management {

namespace {

using nlohmann::json;
using Reply = std::expected<json, CommandError>;

Reply show_config(const Appliance& appliance) {
    const config::Config& config = appliance.config();
    return json{{"config", json::parse(config::to_json(config))},
                {"yaml", config::to_yaml(config)},
                {"file", config.file},
                {"hash", config::hash(config)}};
}

Reply check_config(const Appliance& appliance) {
    const auto checked = appliance.check_config();
    json reply{{"file", appliance.config().file},
               {"valid", checked.has_value()},
               {"errors", json::array()},
               {"changed", false}};
    if (!checked) {
        reply["errors"] = checked.error();
    } else {
        reply["changed"] = config::hash(*checked) != config::hash(appliance.config());
    }
    return reply;
}

Reply reload_config(Appliance& appliance) {
    auto reloaded = appliance.reload_config();
    if (!reloaded) return std::unexpected(std::move(reloaded.error()));
    return json{{"hash", config::hash(appliance.config())},
                {"changed", reloaded->changed},
                {"restart_needed", reloaded->restart_needed}};
}

}  // namespace

void register_config_commands(Dispatcher& dispatcher, Appliance& appliance) {
    const auto show = [&appliance](const json&) { return show_config(appliance); };
    dispatcher.handle("show config", show);
    dispatcher.handle("config show", show);
    dispatcher.handle("config hash", [&appliance](const json&) -> Reply {
        return json{{"hash", config::hash(appliance.config())}};
    });
    dispatcher.handle("config check",
                      [&appliance](const json&) { return check_config(appliance); });
    dispatcher.handle("config reload",
                      [&appliance](const json&) { return reload_config(appliance); });
}

void register_commands(Dispatcher& dispatcher, Appliance& appliance) {
    register_binding_commands(dispatcher, appliance);
    register_mip4_commands(dispatcher, appliance);
    register_security_commands(dispatcher, appliance);
    register_data_plane_commands(dispatcher, appliance);
    register_trace_commands(dispatcher, appliance);
    register_config_commands(dispatcher, appliance);
}

}  // namespace homeport::management
