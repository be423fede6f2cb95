/* Nobody waits for ever after a commit: register, read, hint, re-read (src/core/watcher.h, hub.h, reread.h).
 *
 * One job, one ending, one client. The writer hints before or after its commit, or never; the hint may be
 * lost on its way, and is heard only by who has registered. The client registers, reads, and reads again when
 * hinted or when the re-read tells it. A read takes time: it sees what was committed when it was carried out,
 * and a hint that comes meanwhile causes another.
 *
 * Left out: several jobs and clients (they do not touch one another), what a read costs, failing reads
 * (they are tried again, as the simulation checks), the snapshot arithmetic of the tail (t/tail.t), failovers.
 *
 *   RELIABLE      hints arrive, and follow the commit
 *   NO_REREAD     there is no re-read
 *   READ_FIRST    the client reads before it registers
 *   NO_AGAIN      a hint that comes during a read is forgotten
 */
bool committed, registered, told, sent, satisfied;

active proctype Writer() {
#ifdef RELIABLE
    committed = true;
    sent = true;
    told = registered;
#else
    if
    :: true -> told = registered && told          /* too early, or lost */
    :: true -> skip
    fi;
    committed = true;
    if
    :: told = registered
    :: skip                                        /* never sent, or lost */
    fi
#endif
}

active proctype Client() {
    bool seen;
#ifndef READ_FIRST
    registered = true;
#endif
read:
    told = false;                                  /* what is told from here on is not forgotten */
    seen = committed;                              /* the database carries the read out */
#ifdef NO_AGAIN
    told = false;
#endif
#ifdef READ_FIRST
    registered = true;
#endif
    if
    :: seen -> satisfied = true; goto end
    :: else
    fi;
    told;                                          /* waits */
    goto read;
end: skip
}

active proctype Reread() {
#ifndef NO_REREAD
end:
    do
    :: committed && registered && !satisfied -> told = true
    od
#else
    skip
#endif
}

ltl nobody_waits_for_ever { [] (committed -> <> satisfied) }
