package worker

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const piece = 1 << 20 // bytes

// A Result is what a handler returns. A Body that is a Reader is stored piece by piece.
type Result struct {
	Body        []byte
	Reader      io.Reader // instead of Body
	ContentType string    // application/octet-stream
	FileName    string
	Status      int // 200, 201 or 203
}

// Failed is an error that fails the attempt with this problem.
type Failed struct {
	Title, Detail string
	Members       map[string]any // others of the problem
	RetryIn       time.Duration  // 0: the queue's back-off; negative: no further attempt
}

func (f *Failed) Error() string { return f.Title + ": " + f.Detail }

// ErrOver is returned by the methods of a job that was cancelled, is no longer ours, or was given back. A handler
// returns it.
var ErrOver = errors.New("the job is over")

// A Job is what was claimed. The context of its handler ends when the work should.
type Job struct {
	ID, Queue, ContentType, FileName string
	Attempt                          int
	Params                           json.RawMessage // null if there are none
	Deadline                         time.Time       // zero if there is none
	PayloadSize                      int64

	w       *worker
	receipt string
	payload []byte
	lease   time.Duration
	over    context.CancelFunc
	mutex   sync.Mutex
	why     string
}

// Why says why the job is over: cancelled, lost or stopped.
func (j *Job) Why() string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.why
}

// Payload is all of it, however large.
func (j *Job) Payload() ([]byte, error) {
	if j.payload != nil {
		return j.payload, nil
	}
	return io.ReadAll(j.Reader())
}

// Reader reads the payload in pieces, for one that does not fit into memory.
func (j *Job) Reader() io.Reader {
	if j.payload != nil {
		return bytes.NewReader(j.payload)
	}
	return &reader{job: j}
}

type reader struct {
	job    *Job
	offset int64
	rest   []byte
}

func (r *reader) Read(into []byte) (int, error) {
	if len(r.rest) == 0 && r.offset < r.job.PayloadSize {
		var err error
		if r.rest, err = call[[]byte](r.job, "payload", r.offset, piece); err != nil {
			return 0, err
		}
		r.offset += int64(len(r.rest))
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Progress reports progress (JSON), which clients get as an event.
func (j *Job) Progress(progress any) error {
	text, err := toJSON(progress)
	if err == nil {
		err = j.beat(text)
	}
	if err != nil {
		return err
	}
	return j.w.publish(j.ID)
}

// Emit adds an event of your own. With an id, a repetition within a day changes nothing.
func (j *Job) Emit(kind string, data any, id string) error {
	if id == "" {
		random := make([]byte, 16)
		rand.Read(random)
		id = hex.EncodeToString(random) // when the connection breaks, it is sent again
	}
	text, err := toJSON(data)
	if err == nil {
		_, err = call[int](j, "emit", kind, text, id)
	}
	if err != nil {
		return err
	}
	return j.w.publish(j.ID)
}

func (j *Job) beat(progress any) error {
	answer, err := call[string](j, "heartbeat", progress)
	if err == nil && answer != "ok" {
		j.end(answer)
		return ErrOver
	}
	return err
}

func (j *Job) end(why string) {
	j.mutex.Lock()
	if j.why == "" {
		j.why = why
	}
	j.mutex.Unlock()
	j.over()
}

func (j *Job) complete(result Result) (ours bool, err error) {
	if result.ContentType == "" {
		result.ContentType = "application/octet-stream"
	}
	if result.Status == 0 {
		result.Status = 200
	}
	var body any // NULL, which a nil []byte is not: the pieces are the result
	if result.Reader != nil {
		if err := j.store(result.Reader); err != nil {
			return false, err
		}
	} else if body = result.Body; result.Body == nil {
		return false, errors.New("the result has neither Body nor Reader")
	}
	name := sql.NullString{String: result.FileName, Valid: result.FileName != ""}
	return call[bool](j, "complete", body, result.ContentType, result.Status, name)
}

// Stores a result piece by piece.
func (j *Job) store(from io.Reader) error {
	buffer := make([]byte, piece)
	for n := 0; ; n++ {
		got, err := io.ReadFull(from, buffer)
		if got > 0 {
			if _, err := call[int64](j, "append_result", n, buffer[:got]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (j *Job) fail(err error) (ours bool, _ error) {
	problem := map[string]any{"title": "The work failed", "detail": err.Error()}
	var failed *Failed
	var retryIn any
	if errors.As(err, &failed) {
		problem["title"], problem["detail"] = failed.Title, failed.Detail
		for name, value := range failed.Members {
			problem[name] = value
		}
		if failed.RetryIn != 0 {
			retryIn = fmt.Sprintf("%f seconds", failed.RetryIn.Seconds())
		}
	}
	text, refused := toJSON(problem)
	if refused != nil { // a member of the problem is no JSON
		text, _ = toJSON(map[string]any{"title": problem["title"], "detail": refused.Error()})
	}
	return call[bool](j, "fail", text, retryIn)
}
