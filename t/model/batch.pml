/* The last job of a batch (sql/functions/batch: batch_jobs_ended, finish_batch, hold_batch, visit_batches): "batch.ready" is written
 * once, when no job is open and nobody is adding one, and it is never forgotten.
 *
 * Three transactions end a job each, the third a job that a fourth transaction adds; each may be rolled back once and done again. Who
 * ends a job deletes its row of batch_open, looks for another row that nobody has locked, and locks it for as long as its transaction
 * lasts (FOR KEY SHARE SKIP LOCKED); the statement sees what was committed when it began, and passes by what was deleted since. If
 * there is none it waits for the lock on the batch and looks again. Who adds holds that lock too, together with others who add. One
 * that was begun long ago sees what was open then: it leaves a note, and maintenance, which sees everything, looks.
 *
 * Left out: phases (an empty one is as a job that is open), totals, the cancelling of the jobs of a batch that was cancelled (each is an
 * ending as all are).
 *
 *   OLD           the first transaction sees what was committed when it began (REPEATABLE READ)
 *   CANCEL        somebody cancels the batch
 *   NO_SHARE      the row that was found is not locked
 *   NO_LOOK       ... nor is it looked again under the lock on the batch
 *   NO_LOCK       it is looked again without the lock
 *   NO_HOLD       who adds does not hold the batch
 *   OLD_DECIDES   who does not see what others commit decides all the same
 */
#define N 3
#define ABSENT 0
#define OPEN 1
#define GONE 2
#define NOBODY 9

byte row[N];                            /* of batch_open, as it was committed */
bool deleted[N];                        /* by a transaction that goes on */
byte shared[N];                         /* how many have locked it */
byte lock = NOBODY;                     /* who has the batch */
byte holds;                             /* how many hold it to add */
bool adding;                            /* a row that is not committed yet */
bool added;                             /* the adder has ended */
bool ended;                             /* committed */
byte ready, cancelled;
bool note;
byte done;

inline commit_ready() { ready++; ended = true; assert(!adding && row[0] != OPEN && row[1] != OPEN && row[2] != OPEN) }

proctype Ends(byte me) {
    bool sees[N], first = true, decided, old;
    byte i, found;
#ifdef OLD
    old = (me == 0);
    atomic { i = 0; do :: i < N -> sees[i] = (row[i] == OPEN); i++ :: else -> break od }
#endif
    if
    :: row[me] == OPEN
    :: added && row[me] == ABSENT -> goto over   /* it was not added */
    fi;
again:
    decided = false; found = NOBODY;
    atomic { shared[me] == 0 -> deleted[me] = true }
#ifndef OLD_DECIDES
    if :: old -> goto commit :: else fi;
#endif
    atomic { i = 0; do :: i < N -> sees[i] = (old -> sees[i] : row[i] == OPEN); i++ :: else -> i = 0; break od }
    do
    :: i == N || found != NOBODY -> break
    :: else ->
        atomic {
            if
            :: i != me && sees[i] && row[i] == OPEN && !deleted[i] ->
                found = i;
#ifndef NO_SHARE
                shared[i]++
#endif
            :: else
            fi;
            i++
        }
    od;
    if
    :: found == NOBODY ->
#ifndef NO_LOCK
        atomic { lock == NOBODY && holds == 0 -> lock = me }
#endif
        atomic {
            decided = !ended;
#ifndef NO_LOOK
            i = 0;
            do
            :: i < N -> decided = decided && (i == me || !(old -> sees[i] : row[i] == OPEN)); i++
            :: else -> break
            od
#endif
        }
    :: else
    fi;
commit:
    if
    :: atomic {
        row[me] = GONE;
        deleted[me] = false;
        if :: decided -> commit_ready() :: else fi;
        if :: old && !decided -> note = true :: else fi;
        if :: lock == me -> lock = NOBODY :: else fi;
#ifndef NO_SHARE
        if :: found != NOBODY -> shared[found]-- :: else fi;
#endif
       }
    :: first -> atomic {                 /* rolled back */
        first = false;
        deleted[me] = false;
        if :: lock == me -> lock = NOBODY :: else fi;
#ifndef NO_SHARE
        if :: found != NOBODY -> shared[found]-- :: else fi;
#endif
       };
       goto again
    fi;
over:
    atomic { done++ }
}

proctype Adds() {
#ifndef NO_HOLD
    atomic { lock == NOBODY -> holds++ }
#endif
    if
    :: ended -> skip                     /* refused */
    :: else ->
        adding = true;
        if
        :: atomic { row[2] = OPEN; adding = false }
        :: adding = false
        fi
    fi;
    atomic {
#ifndef NO_HOLD
        holds--;
#endif
        added = true; done++
    }
}

proctype Cancels() {
#ifdef CANCEL
    atomic { lock == NOBODY && holds == 0 -> lock = 4 }
    atomic {
        if :: !ended -> cancelled++; ended = true :: else fi;
        lock = NOBODY
    }
#endif
    done++
}

proctype Maintenance() {
    do
    :: note ->
        note = false;
        atomic { lock == NOBODY && holds == 0 -> lock = 5 }
        atomic {
            if
            :: !ended && row[0] != OPEN && row[1] != OPEN && row[2] != OPEN -> commit_ready()
            :: else
            fi;
            lock = NOBODY
        }
    :: !note && done == 5 -> break
    od;
    assert(ready + cancelled == 1)
}

init {
    atomic {
        row[0] = OPEN; row[1] = OPEN;
        run Ends(0); run Ends(1); run Ends(2); run Adds(); run Cancels(); run Maintenance()
    }
}
