#pragma once

#include <string>
#include <vector>

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

/// What a node tells of itself, for the consoles of all; the reply has the jobs that they ask about.
/// @param id  of this start of the node
/// @param report  a JSON object, see sql/functions/edge/edge_report.sql
void report_node(Connection &connection, const Uuid &id, const std::string &name, const std::string &report,
                 core::Reply<std::vector<Uuid>> &reply);

}  // namespace await::pg
