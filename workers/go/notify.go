package worker

import (
	"context"
	"time"

	"github.com/lib/pq"
)

// Without Redis: hears of work and of cancels by LISTEN, if the database has await.notify. Nothing depends on it, and a
// pooler may swallow it: then the next claim and the next heartbeat find the same.
func (w *worker) listen(ctx context.Context) {
	said := ""
	listener := pq.NewListener(w.Postgres, time.Second, time.Minute, func(_ pq.ListenerEventType, err error) {
		if err != nil && err.Error() != said {
			said = err.Error()
			w.Log("LISTEN: %v", err)
		}
	})
	defer listener.Close()
	for _, channel := range []string{"await_work", "await_cancel"} {
		if err := listener.Listen(channel); err != nil {
			w.Log("LISTEN: %v", err)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case found := <-listener.Notify: // nil: it has connected again
			if found == nil || found.Channel == "await_cancel" {
				signalTo(w.beatNow)
			}
			for _, queue := range w.Queues {
				if found == nil || found.Extra == queue {
					signalTo(w.wake)
				}
			}
		}
	}
}
