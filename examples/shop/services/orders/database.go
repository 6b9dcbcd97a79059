package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/lib/pq"
)

// patience is how long a request waits for a database that is away, such as one whose pod is being replaced.
const patience = 15 * time.Second

// openDatabase makes a pool; what the parameters leave out comes from libpq's variables (PGHOST, PGPASSWORD, …).
func openDatabase(parameters string) (*sql.DB, error) {
	connector, err := pq.NewConnector(parameters)
	if err != nil {
		return nil, fmt.Errorf("PG… variables: %w", err)
	}
	db := sql.OpenDB(waiting{connector, patience})
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// waiting connects as soon as the database is back. A pool opens few connections, so few knock here, and the other
// requests wait for the pool. The pool itself replaces connections that the database closed, and asks again on a new one.
type waiting struct {
	driver.Connector
	patience time.Duration
}

// Connect implements driver.Connector.
func (c waiting) Connect(ctx context.Context) (driver.Conn, error) {
	deadline := time.Now().Add(c.patience)
	for {
		connection, err := c.Connector.Connect(ctx)
		if err == nil || !isAway(err) || time.Now().After(deadline) {
			return connection, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// isAway says whether there was no database, or it left: nobody answers, or it is shutting down or starting up (class 57P
// of PostgreSQL's error codes).
func isAway(err error) bool {
	if answer, ok := errors.AsType[*pq.Error](err); ok {
		return strings.HasPrefix(string(answer.Code), "57P")
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// repeated asks once more if the connection broke in the middle; only for what may happen twice.
func repeated[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	answer, err := ask()
	if err != nil && isAway(err) && ctx.Err() == nil {
		return ask()
	}
	return answer, err
}
