// Package worker runs jobs of nginx-await: it claims them, keeps their leases, hears of cancels, and ends them.
package worker

import (
	"context"
	"database/sql"
	"fmt"
	"log"
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

// Run runs the handler for each job until SIGTERM, SIGINT or the end of the context. It returns when the running jobs
// have ended or were given back. Its error is what PostgreSQL refuses.
func Run(ctx context.Context, options Options, handler Handler) error {
	w := &worker{Options: options, wake: make(chan struct{}, 1), beatNow: make(chan struct{}, 1), jobs: map[*Job]bool{}}
	if err := w.open(); err != nil {
		return err
	}
	defer w.db.Close()
	stop, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if w.Redis != "" {
		go w.redis.listen(stop)
		select { // the end of a job that is done before it is connected could not be published
		case <-w.redis.tried:
		case <-time.After(5 * time.Second):
		}
	} else {
		go w.listen(stop)
	}
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

func (w *worker) running() (jobs []*Job) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for job := range w.jobs {
		jobs = append(jobs, job)
	}
	return jobs
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
	w.redis = &redis{address: w.Redis, w: w, tried: make(chan struct{}, 1)}
	w.db, err = sql.Open("postgres", w.Postgres+" binary_parameters=yes") // no prepared statements, because of poolers
	if err == nil {
		w.db.SetMaxIdleConns(w.Concurrency + 2)
	}
	return err
}

// Signals without waiting: one that was not seen yet is enough.
func signalTo(event chan<- struct{}) {
	select {
	case event <- struct{}{}:
	default:
	}
}
