package worker

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"regexp"
	"strings"
	"time"

	"github.com/lib/pq"
)

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
		class := refused.Code.Class()
		return class == "08" || class == "53" || strings.HasPrefix(string(refused.Code), "57P")
	}
	return !errors.Is(err, sql.ErrNoRows) && !errors.Is(err, ErrOver)
}

// Calls a function of the worker contract. An answer of NULL means that the job is no longer ours.
func call[T any](j *Job, function string, values ...any) (answer T, err error) {
	places := ""
	for i := range values {
		places += fmt.Sprintf(", $%d", i+3)
	}
	var found *T
	values = append([]any{j.ID, j.receipt}, values...)
	err = j.w.row("SELECT await."+function+"($1, $2"+places+")", []any{&found}, values...)
	if err == nil && found == nil {
		j.end("lost")
		return answer, ErrOver
	}
	if err == nil {
		answer = *found
	}
	return answer, err
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

var escapes = regexp.MustCompile(`\\u0000|\\.`)

// As jsonb takes it: without NUL.
func toJSON(value any) (any, error) {
	if value == nil {
		return nil, nil
	}
	text, err := json.Marshal(value)
	return escapes.ReplaceAllStringFunc(string(text), func(found string) string {
		return strings.Replace(found, `\u0000`, `\ufffd`, 1)
	}), err
}
