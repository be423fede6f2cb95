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

/// A message of libpq without line breaks.
std::string one_line(const char *text);

}  // namespace await::pg
