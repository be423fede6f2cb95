#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// What the database reports when a connection is established.
struct Hello {
  std::int64_t now_ms = 0;
  std::string timeline;               ///< what await.timeline() returns
  std::vector<std::int64_t> keep_ms;  ///< how old a job can be, in milliseconds, by class; 0: any age
  std::vector<std::string> keys;      ///< the key to sign with, followed by earlier keys that are still valid
  std::string unmade;                 ///< queues that could not be created, and why
  int schema_version = 0;             ///< 0: older than the first release
};

struct Lane {
  std::string queue;
  int priority;
};

/// Asks for the state of the database, after connecting.
/// @param lanes  queues and priorities to create, because jobs will be submitted to them
void request_hello(Connection &connection, std::span<const Lane> lanes, core::Reply<Hello> &reply,
                   bool background);

/// Whether the database has an older schema than the module needs: some requests would fail.
bool schema_is_older(int schema_version);
/// What to do if the database has another schema version than the module needs; empty if they match.
std::string schema_mismatch(int schema_version);

}  // namespace await::pg
