/* Claim, lease, fence, complete (sql/functions/worker: claim, complete; sql/functions/maintenance/reap.sql): never two endings, never none.
 *
 * One job, two workers that may stop for good or sleep through their lease and go on as zombies, one worker
 * that does neither, a reaper, and a client who may cancel. Each SQL function is one step, for it holds the
 * lock on the job's row from its first statement to its commit; a kill -9 in between undoes it, which is
 * the worker stopping before that step. Time is chance: a lease may run out whenever it is there.
 *
 * Left out: the lane and its mark (queue.pml), back-off, heartbeats (they only put off what is chance here),
 * deadlines (they end a job as a cancel does), payloads.
 *
 * A receipt is a number that is never given again, as the secret in it is not: that of an attempt is, if a backup is restored.
 *
 *   RESTORE       once, everything goes back to a moment before, and the workers go on
 *   REPEATED      a receipt is the number of its attempt
 *   NO_FENCE      complete does not look at the lease's receipt
 *   NO_ENDED      ... nor whether the job has ended
 *   NO_REAPER     leases never run out
 */
#define MAX 3

byte endings, completions;
bool ready = true;                     /* a ready row, for attempt `next` */
byte next = 1;
byte lease;                            /* the receipt of who holds it; 0: none */
byte holder;                           /* who does */
byte given;                            /* the last receipt */
bool ended;

inline claim(mine) {
    atomic {
        ready ->
        ready = false;
        if
        :: ended -> mine = 0           /* it was cancelled while it waited: the row falls out */
        :: else ->
            assert(lease == 0);
#ifdef REPEATED
            lease = next;
#else
            given++;
            lease = given;
#endif
            holder = _pid;
            mine = lease
        fi
    }
}

inline complete(mine) {
    atomic {
        if
#ifdef NO_FENCE
#ifdef NO_ENDED
        :: lease = 0; ended = true; endings++
#else
        :: !ended -> lease = 0; ended = true; endings++; assert(mine == given)
        :: else
#endif
#else
        :: lease == mine && !ended -> assert(holder == _pid); lease = 0; ended = true; endings++
        :: lease == mine && ended -> lease = 0
        :: else                         /* false: another's, and nothing has changed */
#endif
        fi
    }
}

inline fail(mine) {
    atomic {
        if
        :: lease == mine && !ended ->
            lease = 0;
            if
            :: next < MAX -> next++; ready = true
            :: else -> ended = true; endings++
            fi
        :: lease == mine && ended -> lease = 0
        :: else
        fi
    }
}

active [2] proctype Mortal() {
    byte mine;
    do
    :: claim(mine);
        if
        :: mine == 0
        :: mine != 0 -> goto end        /* killed */
        :: mine != 0 -> complete(mine)
        :: mine != 0 -> fail(mine)
        fi
    :: goto end
    od;
end: skip
}

active proctype Immortal() {
    byte mine;
end:
    do
    :: claim(mine);
        if
        :: mine == 0
        :: else -> complete(mine)
        fi
    od
}

active proctype Reaper() {
#ifndef NO_REAPER
end:
    do
    :: atomic {
        lease != 0 ->
        if
        :: ended -> lease = 0
        :: else ->
            lease = 0;
            if
            :: next < MAX -> next++; ready = true
            :: else -> ended = true; endings++
            fi
        fi
    }
    od
#else
    skip
#endif
}

#ifdef RESTORE
active proctype Restorer() {
    bool ready_then, ended_then;
    byte next_then, lease_then, holder_then, endings_then;
    atomic {
        ready_then = ready; next_then = next; lease_then = lease; holder_then = holder;
        ended_then = ended; endings_then = endings
    }
    atomic {
        ready = ready_then; next = next_then; lease = lease_then; holder = holder_then;
        ended = ended_then; endings = endings_then
    }
}
#endif

active proctype Canceller() {
    if
    :: atomic { !ended -> ended = true; endings++ }
    :: skip
    fi
}

ltl one_ending { [] (endings <= 1) }
ltl an_ending { [] <> ended }
