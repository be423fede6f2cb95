// A worker by workers/go, for t/samples.t and t/samples_libraries.t: params say what it does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math"
	"os"
	"strconv"
	"time"

	worker "nginx-await/worker"
)

func upper(text []byte) []byte {
	for i, b := range text {
		if b >= 'a' && b <= 'z' {
			text[i] = b - 32
		}
	}
	return text
}

type upperReader struct{ from io.Reader }

func (u upperReader) Read(into []byte) (int, error) {
	n, err := u.from.Read(into)
	upper(into[:n])
	return n, err
}

var secondAttempt = make(chan struct{})

func handle(ctx context.Context, job *worker.Job) (worker.Result, error) {
	var params struct {
		Do      string
		Seconds json.Number
	}
	json.Unmarshal(job.Params, &params)
	switch params.Do {
	case "events":
		err := job.Progress(map[string]int{"done": 1})
		for i := 0; i < 2 && err == nil; i++ {
			err = job.Emit("note", map[string]int{"n": 1}, "once")
		}
		return worker.Result{Body: []byte(`{"ok":true}`), ContentType: "application/json"}, err
	case "stream":
		return worker.Result{Reader: upperReader{job.Reader()}, ContentType: "text/plain", FileName: "up.txt", Status: 201}, nil
	case "fail":
		return worker.Result{}, &worker.Failed{Title: "No way", Detail: "because", Members: map[string]any{"code": 7}, RetryIn: -1}
	case "crash":
		panic("a\x00b\xff\\u0000")
	case "unwritable":
		return worker.Result{}, &worker.Failed{Title: "No way", Detail: "because", Members: map[string]any{"number": math.NaN()}}
	case "deaf":
		if job.Attempt == 1 {
			<-secondAttempt
		} else {
			close(secondAttempt)
		}
	case "refused":
		return worker.Result{Body: []byte("x"), ContentType: "text/plain\r\nX: y"}, nil
	case "nothing":
		return worker.Result{}, nil
	case "stubborn":
		time.Sleep(10 * time.Minute)
	}
	text, err := job.Payload()
	if err != nil {
		return worker.Result{}, err
	}
	if len(text) == 0 {
		return worker.Result{}, errors.New("There is no text.")
	}
	seconds, _ := params.Seconds.Float64()
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-ctx.Done():
		return worker.Result{}, worker.ErrOver
	}
	return worker.Result{Body: upper(text), ContentType: "text/plain"}, nil
}

func main() {
	concurrency, _ := strconv.Atoi(os.Args[1])
	grace, _ := strconv.ParseFloat(os.Args[2], 64)
	options := worker.Options{Queues: []string{"go-library"}, Concurrency: concurrency, Grace: time.Duration(grace * float64(time.Second))}
	if err := worker.Run(context.Background(), options, handle); err != nil {
		log.Fatal(err)
	}
}
