package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"time"
)

// One connection to Redis that hears of work and of cancels, and publishes hints. Nothing depends on it: without it
// work is found by the next claim, and a cancel by the next heartbeat.
type redis struct {
	address string
	w       *worker
	mutex   sync.Mutex
	conn    net.Conn // nil while there is none
	tried   chan struct{}
}

func (r *redis) connected() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.conn != nil
}

func (r *redis) publish(channel, message string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.conn != nil {
		r.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := r.conn.Write(command("PUBLISH", channel, message)); err != nil {
			r.conn.Close() // listen says why
			r.conn = nil
		}
	}
}

// Signals each message, until the end of the context. Connects again once a second.
func (r *redis) listen(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		conn, err := r.connect()
		if err == nil {
			err = r.receive(conn, &said)
			r.mutex.Lock()
			r.conn = nil
			r.mutex.Unlock()
			conn.Close()
		}
		signalTo(r.tried)
		if err.Error() != said {
			r.w.Log("Redis: %v", err)
		}
		said = err.Error()
		time.Sleep(time.Second)
	}
}

func (r *redis) connect() (net.Conn, error) {
	address, err := url.Parse(r.address)
	if err != nil {
		return nil, err
	}
	host, port := address.Hostname(), address.Port()
	if port == "" {
		port = "6379"
	}
	hello := []string{"HELLO", "3"} // RESP3: a connection that subscribes may also PUBLISH
	password, given := address.User.Password()
	if !given {
		password = os.Getenv("REDISCLI_AUTH")
	}
	if user := address.User.Username(); password != "" && user != "" {
		hello = append(hello, "AUTH", user, password)
	} else if password != "" {
		hello = append(hello, "AUTH", "default", password)
	}
	subscribe := []string{"SUBSCRIBE", "await:cancel"}
	for _, queue := range r.w.Queues {
		subscribe = append(subscribe, "await:queue:"+queue)
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 5*time.Second)
	if err != nil {
		return nil, err
	}
	_, err = conn.Write(append(command(hello...), command(subscribe...)...))
	return conn, err
}

func (r *redis) receive(conn net.Conn, said *string) error {
	buffer := make([]byte, 65536)
	for silent := 0; ; {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := conn.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) && silent == 0 { // is it still there?
			silent++
			r.mutex.Lock()
			_, err = conn.Write(command("PING"))
			r.mutex.Unlock()
		}
		if err != nil {
			return err
		}
		data := buffer[:n]
		if n == 0 {
			continue
		}
		silent = 0
		if data[0] == '-' {
			return errors.New(string(bytes.SplitN(data, []byte("\r\n"), 2)[0]))
		}
		*said = ""
		r.mutex.Lock()
		r.conn = conn
		r.mutex.Unlock()
		signalTo(r.tried)
		if bytes.Contains(data, []byte("await:")) { // not the answer to a PUBLISH
			signalTo(r.w.wake)
		}
		if bytes.Contains(data, []byte("await:cancel")) {
			signalTo(r.w.beatNow)
		}
	}
}

func command(words ...string) []byte {
	text := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	return []byte(text)
}
