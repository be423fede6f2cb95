#pragma once

#include <libpq-fe.h>

#include <string>

#include "base/result.h"

namespace await::pg {

/// Why PostgreSQL has rejected a statement.
struct Failure {
  Error error;
  bool fatal;  ///< the connection is of no use any more
};
Failure failure_of(const PGresult *result);

/// A warning of our functions, which begins with "await: ", for the log. Empty: another notice, for nobody.
std::string warning_of(const PGresult *notice);
/// A commit that no longer waits for the synchronous standby, because somebody has cancelled the wait (as
/// pg_cancel_backend() does): what it stored is here, and may not be anywhere else. Empty: another notice.
std::string unreplicated_commit(const PGresult *notice);

/// A message of libpq without line breaks.
std::string one_line(const char *text);

}  // namespace await::pg
