#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <string>

/// The settings that every transaction needs, whatever those of the role or the database are: as options of
/// the session, or, where a pooler hides the session, in each transaction.
namespace await::pg::session {

/// Before each statement, as it must come first in a transaction.
inline constexpr char kIsolation[] = "SET transaction_isolation = 'read committed'";

/// Also before each statement: the server gives up when the client does, and nothing stays behind a lock that
/// nobody waits for any more. await.single tells await.run_maintenance() that the transaction ends with the
/// statement.
std::string limits(std::int64_t timeout_ms);

/// Before a statement that may take less time than others, for its transaction only.
std::string limit(std::int64_t ms);

/// The same as options of the session, which override the settings of the role and the database, and cost
/// nothing for each statement. A pooler may ignore them. Also, a backend that waits for a lock does not
/// notice that its client has left: with client_connection_check_interval it looks every two seconds (version
/// 14 and newer).
std::string startup_options(std::int64_t timeout_ms);

/// Whether the reason of a failed attempt to connect may be what is in startup_options(): poolers reject
/// options that they do not know, and servers a parameter that their platform does not support.
bool refuses_startup(const std::string &why);

/// Whether the server is a standby, or does not permit to write: what it reports by itself since version 14
/// (manual, 34.2 PQparameterStatus).
bool is_read_only(const PGconn *pg);

/// Two answers: whether the session is that of the server to which the client has connected, not one of a
/// pooler, and whether it has the settings of startup_options(); its time limit may be another one that is in
/// the conninfo. $1: the process id that was announced. Source: PostgreSQL manual, 54.24 (pg_settings.source:
/// "client" is the start of the session).
inline constexpr char kCheck[] =
    "SELECT pg_backend_pid() = $1, current_setting('default_transaction_isolation') = 'read committed' "
    "AND current_setting('lock_timeout') = '0' AND current_setting('await.single', true) = 'on' "
    "AND (SELECT s.source FROM pg_catalog.pg_settings s WHERE s.name = 'statement_timeout') = 'client'";

}  // namespace await::pg::session
