/* The low-water mark of a lane (sql/003_queue.sql: announce, enqueue, advance_marks): no enqueued job is
 * ever passed over.
 *
 * Two transactions enqueue, each in steps: read the sequence's last value, take the shared lock that is
 * named by it, draw a position, insert, commit (which gives the lock back) or roll back. The marker reads, one
 * after the other: the last value, the smallest lock, the smallest position it can see. A claimer takes what
 * it can see at or above the mark, and its own commit may fail.
 *
 * Left out: several lanes (each has its own mark), priorities, that the marker itself takes rows by turns.
 *
 *   NO_LOCK       nothing is announced
 *   LATE_LOCK     the position is drawn before the lock is taken
 *   WRONG_ORDER   the marker looks for the smallest position first
 *   OLD_SNAPSHOT  the marker sees what was visible when it began (REPEATABLE READ)
 */
#define N 2
#define NONE 99

byte last;                              /* the sequence */
byte lock[N] = NONE;                    /* what each transaction has announced */
byte pos[N] = NONE;                     /* its row */
bool visible[N], claimed[N];
byte mark;

#define MIN(a, b) ((a) < (b) -> (a) : (b))

proctype Enqueue(byte me) {
    byte mine;
#ifdef LATE_LOCK
    atomic { last++; pos[me] = last }
    mine = last;
    lock[me] = mine;
#else
    mine = last;
#ifndef NO_LOCK
    lock[me] = mine;
#endif
    atomic { last++; pos[me] = last }
#endif
    if
    :: atomic { visible[me] = true; lock[me] = NONE }
    :: atomic { pos[me] = NONE; lock[me] = NONE }
    fi
}

proctype Marker() {
    byte seen, announced, first, i, round;
    bool old[N];
    do
    :: round < 2 ->
        round++;
        seen = NONE; announced = NONE; first = NONE;
        atomic { i = 0; do :: i < N -> old[i] = visible[i]; i++ :: else -> break od }
#ifdef WRONG_ORDER
        atomic { i = 0; do :: i < N && visible[i] && !claimed[i] -> first = MIN(first, pos[i]); i++ :: i < N && !(visible[i] && !claimed[i]) -> i++ :: else -> break od }
#endif
        seen = last;
        atomic { i = 0; do :: i < N -> announced = MIN(announced, lock[i]); i++ :: else -> break od }
#ifdef OLD_SNAPSHOT
        atomic { i = 0; do :: i < N && old[i] && !claimed[i] -> first = MIN(first, pos[i]); i++ :: i < N && !(old[i] && !claimed[i]) -> i++ :: else -> break od }
#else
#ifndef WRONG_ORDER
        atomic { i = 0; do :: i < N && visible[i] && !claimed[i] -> first = MIN(first, pos[i]); i++ :: i < N && !(visible[i] && !claimed[i]) -> i++ :: else -> break od }
#endif
#endif
        atomic {
            first = MIN(first, MIN(announced, seen));
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

init { atomic { run Enqueue(0); run Enqueue(1); run Marker(); run Claim() } }
