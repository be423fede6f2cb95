#pragma once

#include <string>

#include "core/console.h"
#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// Reads something for the console.
/// @param arguments  a JSON object; not used for the overview
void read_console(Connection &connection, core::ConsoleRead what, const std::string &arguments,
                  core::Reply<core::ConsoleDocument> &reply);

/// Does what an operator has asked for.
/// @param action  a JSON object, see sql/functions/console/console_act.sql
void act_for_console(Connection &connection, const std::string &action,
                     core::Reply<core::ConsoleActed> &reply);

}  // namespace await::pg
