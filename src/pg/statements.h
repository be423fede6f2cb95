#pragma once

/// All SQL statements that C++ sends, by name. Their functions are defined in sql/functions.
namespace await::pg::statements {

/// The file of sql/schema that these statements need; await.edge_hello() says which one the database has.
inline constexpr int kSchemaVersion = 15;

// by to_jsonb(), so that a database from before that column answers too
inline constexpr char kHello[] =
    "SELECT now_ms, timeline, keep_ms, hint_key, old_keys, unmade, "
    "coalesce((to_jsonb(h) ->> 'schema_version')::int8, 0) FROM await.edge_hello($1, $2) h";
inline constexpr char kSubmit[] =
    "SELECT id, created_at FROM await.edge_submit($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)";
/// The same for jobs of which some have a webhook, as the last parameter.
inline constexpr char kSubmitWithWebhooks[] =
    "SELECT id, created_at FROM await.edge_submit($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)";
inline constexpr char kSubmitOnce[] =
    "SELECT id, created_at, clash FROM "
    "await.edge_submit_once($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19)";
inline constexpr char kSubmitLimited[] =
    "SELECT id, created_at, clash, refused, retry_ms FROM "
    "await.edge_submit_limited($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21)";
inline constexpr char kRetry[] = "SELECT outcome, id, retry_ms FROM await.edge_retry($1, $2, $3)";
inline constexpr char kStanding[] = "SELECT place, eta_ms FROM await.edge_position(ARRAY[$1])";
inline constexpr char kJobs[] =
    "SELECT id, queue, owner, state, seq, attempt, correlation_id, batch::text, phase, retry_of::text, "
    "params, progress, "
    "created_at, updated_at, error, status, content_type, file_name, size, inlined, body FROM "
    "await.edge_jobs($1,$2,$3)";
inline constexpr char kJobLists[] =
    "SELECT item, next_id, next_eid, id, queue, owner, state, seq, attempt, correlation_id, batch::text, "
    "phase, retry_of::text, params, progress, created_at, updated_at, error, status, content_type, "
    "file_name, size, inlined, NULL::bytea FROM await.edge_list($1,$2,$3,$4,$5,$6,$7,$8,$9)";
inline constexpr char kBatchLists[] =
    "SELECT item, next_id, next_eid, id, owner, state, seq, correlation_id, phases, totals, created_at, "
    "updated_at FROM await.edge_list_batches($1,$2,$3,$4,$5,$6,$7)";
inline constexpr char kEvents[] =
    "SELECT item, owner, correlation_id, created_at, last_seq, state, seq, type, at, data, status, "
    "content_type, file_name, "
    "size, body, id, base FROM await.edge_events($1,$2,$3,$4)";
inline constexpr char kUserEvents[] =
    "SELECT item, upto, upto_at, complete, lost, id, correlation_id, eid, seq, type, at, data, status, "
    "content_type, file_name, size, body, owner FROM await.edge_user_events($1,$2,$3,$4,$5,$6,$7,$8,$9)";
inline constexpr char kTail[] =
    "SELECT snapshot, complete, jobs, seqs FROM await.edge_tail($1::text::pg_snapshot,$2)";
inline constexpr char kHeads[] = "SELECT snapshot, complete, jobs, seqs FROM await.edge_heads($1)";
inline constexpr char kStage[] =
    "SELECT 1 FROM await.edge_stage($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)";
inline constexpr char kSubmitBatch[] =
    "SELECT id, created_at, clash, refused, retry_ms FROM "
    "await.edge_submit_batch($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)";
inline constexpr char kUnstage[] = "SELECT 1 FROM await.edge_unstage($1)";
inline constexpr char kAddToBatch[] =
    "SELECT outcome, id, created_at, clash, retry_ms FROM "
    "await.edge_add_to_batch($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$"
    "23)";
inline constexpr char kBatches[] =
    "SELECT id, owner, state, seq, correlation_id, phases, totals, created_at, updated_at FROM "
    "await.edge_batches($1)";
inline constexpr char kBatchJobs[] =
    "SELECT j.id, queue, owner, state, seq, attempt, correlation_id, batch::text, phase, retry_of::text, "
    "params, progress, "
    "created_at, updated_at, error, status, content_type, file_name, size, inlined, body "
    "FROM (SELECT ARRAY(SELECT await.edge_batch_jobs($1,$2,$3)) AS ids) k, "
    "await.edge_jobs(k.ids, array_fill(1::int2, ARRAY[cardinality(k.ids)]), $4) j";
inline constexpr char kCancel[] = "SELECT await.edge_cancel($1, $2)";
inline constexpr char kPublish[] = "SELECT await.edge_publish($1, $2, $3::text::jsonb, $4)";
inline constexpr char kUseTickets[] = "SELECT item, good FROM await.edge_use_tickets($1, $2, $3, $4)";
inline constexpr char kRevoked[] = "SELECT owner, at FROM await.edge_revoked()";
inline constexpr char kQueues[] =
    "SELECT queue, ready, delayed, leased, oldest_ms, completed, failed, cancelled, expired, retries, "
    "waits, wait_ms, runs, run_ms, totals, total_ms, lag_ms, await.edge_paused(queue) "
    "FROM await.edge_queues($1)";
inline constexpr char kRelays[] =
    "SELECT relay, sink, led, behind, lag_ms, delivered, failures FROM await.edge_relays($1)";
inline constexpr char kDeliveryStats[] =
    "SELECT delivered, failed, dead, waiting, retrying FROM await.delivery_stats()";
inline constexpr char kDeliveries[] =
    "SELECT document, next FROM await.list_deliveries($1, $2, $3, "
    "timestamptz 'epoch' + $4 * interval '1 us', $5, $6, $7)";
inline constexpr char kRetryDelivery[] = "SELECT await.retry_delivery($1, $2)";
// of the console; each takes its arguments as one JSON object
inline constexpr char kConsoleOverview[] = "SELECT await.console_overview()";
inline constexpr char kConsoleQueues[] = "SELECT await.console_queues($1::text::jsonb)";
inline constexpr char kConsoleJobs[] = "SELECT await.console_jobs($1::text::jsonb)";
inline constexpr char kConsoleJob[] = "SELECT await.console_job($1::text::jsonb)";
inline constexpr char kConsoleFailures[] = "SELECT await.console_failures($1::text::jsonb)";
inline constexpr char kConsoleAct[] =
    "SELECT document, job, seq, owner, queue FROM await.console_act($1::text::jsonb)";
inline constexpr char kEdgeReport[] = "SELECT job FROM await.edge_report($1, $2, $3::text::jsonb) job";
inline constexpr char kTick[] = "SELECT await.run_maintenance()";
inline constexpr char kPurge[] = "SELECT await.purge()";
inline constexpr char kPut[] = "SELECT 1 FROM await.edge_put($1,$2,$3,$4)";
inline constexpr char kGet[] = "SELECT pos, bytes FROM await.edge_get($1,$2,$3)";
inline constexpr char kDrop[] = "SELECT 1 FROM await.edge_drop($1)";
/// Only a backend of this role that still executes the same statement: a pooler gives out other process ids.
inline constexpr char kTerminate[] =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid = $1 AND usename = session_user AND left(query, 60) = left($2, 60)";

// of listeners; a listener of a pooled session must not LISTEN, see NotifyBus
inline constexpr char kNotifySetting[] =
    "SELECT coalesce(current_setting('await.notify', true), '') IN ('on', 'true', 'yes', '1')";
inline constexpr char kListenHint[] = "LISTEN await_hint";
inline constexpr char kListenRevoked[] = "LISTEN await_revoked";
inline constexpr char kListenWork[] = "LISTEN await_work";
inline constexpr char kListenCancel[] = "LISTEN await_cancel";
inline constexpr char kNotify[] = "SELECT pg_notify($1, $2)";

// of workers
inline constexpr char kClaim[] =
    "SELECT id, receipt, attempt, queue, payload, content_type, file_name, params::text, batch::text, phase, "
    "trace, payload_size, correlation_id, floor(extract(epoch FROM lease_for) * 1000)::int8 "
    "FROM await.claim($1, $2, $3, $4 * interval '1 ms', inline => 65536, pieces => true)";
inline constexpr char kPayload[] = "SELECT await.payload($1, $2, $3, $4)";
// Those that change a job wait at most two seconds for a lock, in their own transaction only (true): the
// statements behind them, heartbeats among them, must not wait for somebody's lock on a table. They are
// repeated after a while.
#define AWAIT_BOUNDED "set_config('lock_timeout', '2s', true)"
inline constexpr char kHeartbeat[] = "SELECT await.heartbeat($1, $2, $3::text::jsonb) FROM " AWAIT_BOUNDED;
inline constexpr char kHeartbeats[] = "SELECT k.receipt, await.heartbeat(k.id, k.receipt) FROM " AWAIT_BOUNDED
                                      ", unnest($1, $2) k (id, receipt)";
inline constexpr char kEmit[] = "SELECT await.emit($1, $2, e.type, e.data::jsonb, e.id) FROM " AWAIT_BOUNDED
                                ", unnest($3, $4, $5) e (type, data, id)";
inline constexpr char kAppend[] = "SELECT await.append_result($1, $2, $3, $4) FROM " AWAIT_BOUNDED;
inline constexpr char kComplete[] = "SELECT await.complete($1, $2, $3, $4, $5, $6) FROM " AWAIT_BOUNDED;
inline constexpr char kFail[] =
    "SELECT await.fail($1, $2, $3::text::jsonb, $4 * interval '1 ms') FROM " AWAIT_BOUNDED;
inline constexpr char kRelease[] = "SELECT await.release($1, $2, $3 * interval '1 ms') FROM " AWAIT_BOUNDED;
inline constexpr char kCompleteMany[] =
    "SELECT m.id, m.done FROM " AWAIT_BOUNDED ", await.complete_many($1, $2, $3, $4, $5, $6) m";
#undef AWAIT_BOUNDED
// of the sink of webhooks
inline constexpr char kEnqueueDeliveries[] = "SELECT await.enqueue_deliveries($1, $2, $3)";
inline constexpr char kDueDeliveries[] =
    "SELECT upto, id, webhook, job || ':' || seq, host, url, body, attempts, due, keys "
    "FROM await.due_deliveries($1, $2, $3, $4, $5, $6, $7)";
inline constexpr char kFinishDeliveries[] = "SELECT await.finish_deliveries($1, $2, $3, $4, $5, $6, $7, $8)";

inline constexpr char kHints[] = "SELECT channel, message FROM await.hints($1)";

// of await-relay
inline constexpr char kRelayHello[] = "SELECT timeline, schema_version FROM await.relay_hello()";
inline constexpr char kRelayLease[] =
    "SELECT token, holder, left_ms FROM await.relay_lease($1, $2, $3, $4 * interval '1 ms')";
inline constexpr char kSubmitMessages[] = "SELECT await.submit_messages($1, $2, $3, $4::jsonb[], $5)";
inline constexpr char kRelayRelease[] = "SELECT await.relay_release($1, $2)";
inline constexpr char kRelayOpen[] = "SELECT sink, no, cursor FROM await.relay_open($1, $2, $3)";
inline constexpr char kRelayAdvance[] =
    "SELECT moved, no, cursor FROM await.relay_advance($1, $2, $3, $4, $5, $6, $7, $8)";
inline constexpr char kRelayPage[] =
    "SELECT cursor, complete, job, seq, type, state, attempt, at, queue, owner, batch::text, phase, "
    "correlation_id, trace, data, status, content_type, file_name, size, value, hints "
    "FROM await.relay_page($1, $2, $3, $4)";
inline constexpr char kRelayLookup[] =
    "SELECT cursor, complete, job, seq, type, state, attempt, at, queue, owner, batch::text, phase, "
    "correlation_id, trace, data, status, content_type, file_name, size, value, hints, looked_for, upto "
    "FROM await.relay_lookup($1, $2, $3, $4, $5)";
inline constexpr char kRelayUnserved[] = "SELECT leader, sink FROM await.relay_unserved($1, $2)";
inline constexpr char kRelayWebhooks[] = "SELECT relay, holder FROM await.relay_webhooks($1, $2)";
inline constexpr char kRelayWalMissing[] = "SELECT m FROM await.relay_wal_missing() m";
/// A transaction number that is assigned now.
inline constexpr char kTransaction[] = "SELECT pg_current_xact_id()::text";
/// How much of the log a replication slot keeps.
inline constexpr char kSlotHeld[] =
    "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::bigint FROM pg_replication_slots "
    "WHERE slot_name::text = $1 AND restart_lsn IS NOT NULL";
inline constexpr char kSnapshot[] = "SELECT pg_current_snapshot()::text";

}  // namespace await::pg::statements
