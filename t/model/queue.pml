/* The low-water mark of a lane (sql/functions/queue: reserve_positions, enqueue, advance_horizon, advance_low_water;
 * sql/functions/maintenance/purge_queues.sql): no enqueued job is ever passed over, nor left in a lane that nobody reads.
 *
 * Two transactions enqueue, each in steps: list the lane if it is not listed, read the sequence's last value, take a
 * shared lock that is named by it, or by some number below where that cannot be had, open the table of ready rows (the
 * proof that the lock is believed by), draw a position, insert, commit (which gives the locks back) or roll back. Who moves the horizon reads, one after the other: the last
 * value, who has the table open, the smallest lock of those. Whoever claims reads the horizon, later, then the smallest
 * position it can see, and moves the mark; two do so at once. A claimer takes what it can see at or above the mark, and its
 * own commit may fail. Somebody removes the lane from the list when it is empty, behind a lock that excludes all who have
 * looked into the list.
 *
 * The list of lanes and the mark do not touch each other: LANES checks the one, else the other is checked.
 *
 * Left out: several lanes (each has its own mark), priorities, that the marker itself takes rows by turns.
 *
 *   NO_LOCK       nothing is announced
 *   LATE_LOCK     the position is drawn before the lock is taken
 *   WRONG_ORDER   the marker looks for the smallest position first
 *   OLD_SNAPSHOT  the marker sees what was visible when it began (REPEATABLE READ)
 *   ABOVE         the number is above what is drawn next
 *   LATE_PROOF    the table is opened after the position is drawn
 *   NO_EXCLUSION  the lane is removed without that lock
 */
#define N 2
#define NONE 99

byte last;                              /* the sequence */
byte lock[N] = NONE;                    /* what each transaction has announced */
byte pos[N] = NONE;                     /* its row */
bool visible[N], claimed[N];
byte mark;
byte horizon;
bool proof[N];                          /* who has the table of ready rows open */
bool reading[N];                        /* who has looked into the list of lanes, until its end */
bool listed;
byte done;

#define MIN(a, b) ((a) < (b) -> (a) : (b))

proctype Enqueue(byte me) {
    byte mine;
    bool lists;
    atomic { reading[me] = true; lists = !listed }
#ifdef LATE_LOCK
    atomic { last++; pos[me] = last }
    mine = last;
    lock[me] = mine;
    proof[me] = true;
#else
    mine = last;
#ifdef ABOVE
    mine = mine + 2;
#else
    if :: skip :: mine > 0 -> mine = 0 :: mine > 1 -> mine-- fi;      /* somebody else holds that number */
#endif
#ifndef NO_LOCK
    lock[me] = mine;
#endif
#ifndef LATE_PROOF
    proof[me] = true;
#endif
    atomic { last++; pos[me] = last }
    proof[me] = true;
#endif
    if
    :: atomic { visible[me] = true; lock[me] = NONE; proof[me] = false; reading[me] = false; if :: lists -> listed = true :: else fi }
    :: atomic { pos[me] = NONE; lock[me] = NONE; proof[me] = false; reading[me] = false }
    fi;
    done++
}

/* the horizon is what it was when somebody looked: true for ever, so an older one may be set after a newer one */
proctype Horizon() {
    byte seen, announced, i, round;
    bool open[N];
    do
    :: round < 2 ->
        round++;
        announced = NONE;
        seen = last;
        atomic { i = 0; do :: i < N -> open[i] = proof[i]; i++ :: else -> break od }
        atomic { i = 0; do :: i < N && open[i] -> announced = MIN(announced, lock[i]); i++ :: i < N && !open[i] -> i++ :: else -> break od }
        horizon = MIN(announced, seen)
    :: else -> break
    od
}

proctype Purge() {
    byte i;
    bool vacant;
#ifdef NO_EXCLUSION
    atomic { vacant = true; i = 0; do :: i < N -> vacant = vacant && !(visible[i] && !claimed[i]); i++ :: else -> break od }
    if :: vacant -> listed = false :: else fi
#else
    atomic {
        !reading[0] && !reading[1] ->
        vacant = true; i = 0; do :: i < N -> vacant = vacant && !(visible[i] && !claimed[i]); i++ :: else -> break od;
        if :: vacant -> listed = false :: else fi
    }
#endif
    done++
}

proctype Marker() {
    byte seen, first, i, round;
    bool old[N];
    do
    :: round < 2 ->
        round++;
        seen = NONE; first = NONE;
        atomic { i = 0; do :: i < N -> old[i] = visible[i]; i++ :: else -> break od }
#ifdef WRONG_ORDER
        atomic { i = 0; do :: i < N && visible[i] && !claimed[i] -> first = MIN(first, pos[i]); i++ :: i < N && !(visible[i] && !claimed[i]) -> i++ :: else -> break od }
#endif
        seen = horizon;
#ifdef OLD_SNAPSHOT
        atomic { i = 0; do :: i < N && old[i] && !claimed[i] -> first = MIN(first, pos[i]); i++ :: i < N && !(old[i] && !claimed[i]) -> i++ :: else -> break od }
#else
#ifndef WRONG_ORDER
        atomic { i = 0; do :: i < N && visible[i] && !claimed[i] -> first = MIN(first, pos[i]); i++ :: i < N && !(visible[i] && !claimed[i]) -> i++ :: else -> break od }
#endif
#endif
        atomic {
            first = MIN(first, seen);
            if
            :: first > mark -> mark = first
            :: else
            fi;
            /* whatever is drawn and not claimed lies at or above the mark, committed or not */
            i = 0;
            do
            :: i < N -> assert(pos[i] == NONE || claimed[i] || pos[i] >= mark); i++
            :: else -> break
            od
        }
    :: else -> break
    od
}

proctype Claim() {
    byte i;
    do
    :: i < N ->
        if
        :: atomic { visible[i] && !claimed[i] && pos[i] >= mark -> claimed[i] = true }
        :: skip
        fi;
        i++
    :: else -> break
    od
}

proctype End() {
    /* all have ended: what is ready is in a lane that is read */
    byte i;
    done == 3;
    i = 0;
    do
    :: i < N -> assert(!visible[i] || claimed[i] || listed); i++
    :: else -> break
    od
}

init {
    atomic {
        listed = true; run Enqueue(0); run Enqueue(1); run Claim();
#ifdef LANES
        run Purge(); run End()
#else
        run Horizon(); run Marker()
#endif
    }
}
