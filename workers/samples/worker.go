// A worker in Go: turns text to upper case. Debian: golang-github-lib-pq-dev. docs/workers.md explains it.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lib/pq"
)

// Yours. params.seconds stands for its time. The context ends when the job is cancelled or no longer ours.
func work(ctx context.Context, text []byte, seconds float64) ([]byte, error) {
	if len(text) == 0 {
		return nil, errors.New("there is no text")
	}
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-ctx.Done():
	}
	for i, b := range text {
		if b >= 'a' && b <= 'z' {
			text[i] = b - 32
		}
	}
	return text, nil
}

var db *sql.DB
var redis net.Conn

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func keepLease(ctx context.Context, over func(), id, receipt string) {
	defer over()
	for answer := "ok"; answer == "ok"; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
			must(db.QueryRow("SELECT await.heartbeat($1, $2)", id, receipt).Scan(&answer))
		}
	}
}

func connectRedis() {
	address, err := url.Parse(os.Getenv("AWAIT_REDIS"))
	must(err)
	if redis, err = net.DialTimeout("tcp", address.Host, time.Second); err != nil {
		time.Sleep(time.Second)
		return
	}
	auth := ""
	if password := os.Getenv("REDISCLI_AUTH"); password != "" {
		auth = "AUTH default " + password
	}
	fmt.Fprintf(redis, "HELLO 3 %s\r\nSUBSCRIBE await:queue:go\r\n", auth) // after HELLO 3 it may PUBLISH as well
}

// For a message that there is work, or a second.
func waitForWork(notified <-chan *pq.Notification) {
	if os.Getenv("AWAIT_REDIS") == "" {
		select {
		case <-notified:
		case <-time.After(time.Second):
		}
		return
	}
	if redis == nil {
		connectRedis() // a job may have come before: the caller claims again
		return
	}
	redis.SetDeadline(time.Now().Add(time.Second))
	if _, err := redis.Read(make([]byte, 65536)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		redis.Close()
		redis = nil
	}
}

func publish(id string) {
	hints, err := db.Query("SELECT channel, message FROM await.hint($1)", id)
	must(err)
	defer hints.Close()
	for redis != nil && hints.Next() {
		var channel, message string
		must(hints.Scan(&channel, &message))
		redis.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprintf(redis, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
			len(channel), channel, len(message), message)
	}
}

func run(id, receipt string, payload, params []byte) {
	var wanted struct{ Seconds json.Number }
	json.Unmarshal(params, &wanted)
	seconds, _ := wanted.Seconds.Float64()
	ctx, over := context.WithCancel(context.Background())
	go keepLease(ctx, over, id, receipt)
	result, err := work(ctx, payload, seconds)
	over()
	var ours bool
	if err == nil {
		err = db.QueryRow("SELECT await.complete($1, $2, $3, 'text/plain')", id, receipt, result).Scan(&ours)
	} else {
		problem, _ := json.Marshal(map[string]string{"title": "The work failed", "detail": err.Error()})
		err = db.QueryRow("SELECT await.fail($1, $2, $3)", id, receipt, string(problem)).Scan(&ours)
	}
	must(err)
	if !ours {
		log.Print(id, ": cancelled, or no longer ours") // nothing was changed
	}
	publish(id)
}

func main() {
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM) // finishes its job, then ends
	var err error
	db, err = sql.Open("postgres", "binary_parameters=yes") // to PGHOST, PGPORT, PGDATABASE, PGUSER; "yes" for poolers
	must(err)
	listener := pq.NewListener("", time.Second, time.Minute, nil)
	must(listener.Listen("await_work")) // without Redis: heard if the database has await.notify
	if os.Getenv("AWAIT_REDIS") != "" {
		connectRedis() // before the first job, whose end is to be told
	}
	for stop.Err() == nil {
		var id, receipt string
		var payload, params []byte
		err := db.QueryRow(`SELECT id, receipt, payload, params
			FROM await.claim(ARRAY['go'], 'go', 1, inline => 64 << 20)`).Scan(&id, &receipt, &payload, &params)
		if err == sql.ErrNoRows {
			waitForWork(listener.Notify)
		} else {
			must(err)
			run(id, receipt, payload, params)
		}
	}
}
