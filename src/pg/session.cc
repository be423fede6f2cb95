#include "pg/session.h"

#include <cstring>

namespace await::pg::session {

std::string limits(std::int64_t timeout_ms) {
  return "SELECT set_config('statement_timeout', '" + std::to_string(timeout_ms) +
         "', true), set_config('lock_timeout', '0', true), set_config('await.single', 'on', true)";
}

std::string limit(std::int64_t ms) {
  return "SELECT set_config('statement_timeout', '" + std::to_string(ms) + "', true)";
}

std::string startup_options(std::int64_t timeout_ms) {
  return "-c client_connection_check_interval=2000 -c default_transaction_isolation=read\\ committed "
         "-c lock_timeout=0 -c idle_session_timeout=0 -c await.single=on -c statement_timeout=" +
         std::to_string(timeout_ms);
}

bool refuses_startup(const std::string &why) {
  return why.find("client_connection_check_interval") != std::string::npos ||
         why.find("startup parameter") != std::string::npos ||
         why.find("command-line options") != std::string::npos;
}

bool is_read_only(const PGconn *pg) {
  for (const char *name : {"in_hot_standby", "default_transaction_read_only"}) {
    const char *value = PQparameterStatus(pg, name);
    if (value != nullptr && std::strcmp(value, "on") == 0)
      return true;
  }
  return false;
}

}  // namespace await::pg::session
