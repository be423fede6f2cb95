package worker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
)

func (w *worker) claim() (*Job, context.Context, error) {
	job := &Job{w: w}
	var name sql.NullString
	var deadline sql.NullTime
	var lease float64
	err := w.db.QueryRow(`SELECT id, receipt, attempt, queue, payload, content_type, file_name, params, deadline,
		payload_size, extract(epoch FROM lease_for)::float8 FROM await.claim($1, $2, 1, pieces => true)`,
		pq.Array(w.Queues), w.name,
	).Scan(&job.ID, &job.receipt, &job.Attempt, &job.Queue, &job.payload, &job.ContentType, &name,
		(*[]byte)(&job.Params), &deadline, &job.PayloadSize, &lease)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, nil
	} else if err != nil {
		w.Log("PostgreSQL: %v", err)
		return nil, nil, err
	}
	job.FileName, job.Deadline, job.lease = name.String, deadline.Time, time.Duration(lease*float64(time.Second))
	ctx, cancel := context.WithCancel(context.Background())
	job.over = cancel
	w.mutex.Lock()
	w.jobs[job] = true
	w.mutex.Unlock()
	if job.lease/3 < w.Beat {
		signalTo(w.beatNow)
	}
	return job, ctx, nil
}

func (w *worker) run(ctx context.Context, job *Job, handler Handler) {
	result, err := protect(ctx, job, handler)
	var ours bool
	if err == nil {
		ours, err = job.complete(result)
	}
	if err != nil && (job.Why() == "" || job.Why() == "cancelled") { // failing what was cancelled ends its lease
		if job.Why() == "" {
			w.Log("job %s, attempt %d failed: %v", job.ID, job.Attempt, err)
		}
		ours, err = job.fail(err)
	}
	if err != nil && job.Why() == "" { // its lease will run out
		w.Log("job %s, attempt %d could not be ended: %v", job.ID, job.Attempt, err)
	} else if !ours {
		why := job.Why()
		if why == "" {
			why = "lost"
		}
		w.Log("job %s, attempt %d: nothing was changed, it is %s", job.ID, job.Attempt, why)
	}
	w.publish(job.ID)
	job.end("ended")
	w.mutex.Lock()
	delete(w.jobs, job)
	w.mutex.Unlock()
}

// A handler that panics fails its attempt, and takes no neighbour along.
func protect(ctx context.Context, job *Job, handler Handler) (result Result, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &Failed{Title: "The worker panicked", Detail: fmt.Sprint(reason)}
		}
	}()
	return handler(ctx, job)
}

func (w *worker) keepLeases(ctx context.Context) {
	for ctx.Err() == nil {
		pause := w.Beat
		for _, job := range w.running() {
			if job.lease/3 < pause {
				pause = job.lease / 3
			}
		}
		select {
		case <-time.After(pause):
		case <-w.beatNow:
		case <-ctx.Done():
		}
		for _, job := range w.running() {
			if err := job.beat(nil); err != nil && err != ErrOver {
				w.Log("job %s: no heartbeat: %v", job.ID, err)
			}
		}
	}
}
