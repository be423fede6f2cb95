// Package worker runs jobs of nginx-await: it claims them, keeps their leases, hears of cancels, and ends them.
package worker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lib/pq"
)

// A Handler does one job. Its error fails the attempt.
type Handler func(ctx context.Context, job *Job) (Result, error)

// Options of Run. Only Queues is needed.
type Options struct {
	Queues      []string
	Concurrency int                           // how many jobs run at once: 1
	Postgres    string                        // a conninfo or URL; else AWAIT_POSTGRES, else PGHOST and the others
	Redis       string                        // redis://[user:password@]host[:port]; else AWAIT_REDIS, else none
	Beat        time.Duration                 // between heartbeats: 2 s
	Grace       time.Duration                 // for running jobs at a stop: 25 s; then they are given back
	Log         func(format string, _ ...any) // log.Printf
}

type worker struct {
	Options
	db      *sql.DB
	redis   *redis
	name    string
	wake    chan struct{} // there may be work
	beatNow chan struct{} // there may be a cancel
	mutex   sync.Mutex
	jobs    map[*Job]bool
}

// Run runs the handler for each job until SIGTERM, SIGINT or the end of the context; it returns when the running jobs have ended or
// were given back. Its error says why it could not begin.
func Run(ctx context.Context, options Options, handler Handler) error {
	w := &worker{Options: options, wake: make(chan struct{}, 1), beatNow: make(chan struct{}, 1), jobs: map[*Job]bool{}}
	if err := w.open(); err != nil {
		return err
	}
	defer w.db.Close()
	stop, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go w.redis.listen(stop)
	beating, ended := context.WithCancel(context.Background())
	defer ended()
	go w.keepLeases(beating)

	slots := make(chan struct{}, w.Concurrency)
	for stop.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-stop.Done():
			continue
		}
		job, jobContext, err := w.claim()
		if job != nil {
			go func() {
				w.run(jobContext, job, handler)
				<-slots
			}()
			continue
		}
		<-slots
		if err != nil && !away(err) {
			w.drain()
			return err
		}
		select {
		case <-w.wake:
		case <-time.After(time.Second):
		case <-stop.Done():
		}
	}
	w.drain()
	return nil
}

func (w *worker) open() (err error) {
	if w.Concurrency == 0 {
		w.Concurrency = 1
	}
	if w.Beat == 0 {
		w.Beat = 2 * time.Second
	}
	if w.Grace == 0 {
		w.Grace = 25 * time.Second
	}
	if w.Log == nil {
		w.Log = log.Printf
	}
	if w.Postgres == "" {
		w.Postgres = os.Getenv("AWAIT_POSTGRES")
	}
	if w.Redis == "" {
		w.Redis = os.Getenv("AWAIT_REDIS")
	}
	if strings.Contains(w.Postgres, "://") {
		if w.Postgres, err = pq.ParseURL(w.Postgres); err != nil {
			return err
		}
	}
	host, _ := os.Hostname()
	w.name = fmt.Sprintf("%s:%d", host, os.Getpid())
	w.redis = &redis{address: w.Redis, w: w}
	w.db, err = sql.Open("postgres", w.Postgres+" binary_parameters=yes") // no prepared statements, because of poolers
	if err == nil {
		w.db.SetMaxIdleConns(w.Concurrency + 2)
	}
	return err
}

// One row, in a transaction of its own; again, for a minute, while PostgreSQL is away.
func (w *worker) row(statement string, into []any, values ...any) error {
	pause := 100 * time.Millisecond
	for until := time.Now().Add(time.Minute); ; {
		err := w.db.QueryRow(statement, values...).Scan(into...)
		if err == nil || !away(err) || time.Now().After(until) {
			return err
		}
		w.Log("PostgreSQL: %v", err)
		time.Sleep(pause/2 + time.Duration(rand.Int63n(int64(pause/2))))
		if pause *= 2; pause > 5*time.Second {
			pause = 5 * time.Second
		}
	}
}

// Whether an error says that PostgreSQL is away, not that a statement is wrong.
func away(err error) bool {
	var refused *pq.Error
	if errors.As(err, &refused) {
		return refused.Code.Class() == "08" || refused.Code.Class() == "53" || strings.HasPrefix(string(refused.Code), "57P")
	}
	return !errors.Is(err, sql.ErrNoRows) && !errors.Is(err, ErrOver)
}

func (w *worker) claim() (*Job, context.Context, error) {
	job := &Job{w: w}
	var name sql.NullString
	var deadline sql.NullTime
	var lease float64
	row := w.db.QueryRow(`SELECT id, receipt, attempt, queue, payload, content_type, file_name, params, deadline, payload_size,
		extract(epoch FROM lease_for)::float8 FROM await.claim($1, $2, 1, pieces => true)`, pq.Array(w.Queues), w.name)
	err := row.Scan(&job.ID, &job.receipt, &job.Attempt, &job.Queue, &job.payload, &job.ContentType, &name, (*[]byte)(&job.Params), &deadline,
		&job.PayloadSize, &lease)
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
		w.Log("job %s, attempt %d: nothing was changed, it is %s", job.ID, job.Attempt, job.Why())
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

func (w *worker) running() (jobs []*Job) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for job := range w.jobs {
		jobs = append(jobs, job)
	}
	return jobs
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

func (w *worker) drain() {
	for until := time.Now().Add(w.Grace); len(w.running()) > 0 && time.Now().Before(until); {
		time.Sleep(20 * time.Millisecond)
	}
	for _, job := range w.running() {
		job.end("stopped")
		if _, err := call[bool](job, "release"); err != nil {
			w.Log("job %s could not be given back: %v", job.ID, err)
		}
	}
}

// Tells clients of the newest event at once. Without it they hear of it at the next await_reread.
func (w *worker) publish(id string) error {
	if !w.redis.connected() {
		return nil
	}
	rows, err := w.db.Query("SELECT channel, message FROM await.hint($1)", id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var channel, message string
		if err := rows.Scan(&channel, &message); err != nil {
			return err
		}
		w.redis.publish(channel, message)
	}
	return rows.Err()
}

// Signals without waiting: one that was not seen yet is enough.
func signalTo(event chan<- struct{}) {
	select {
	case event <- struct{}{}:
	default:
	}
}
