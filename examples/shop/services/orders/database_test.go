package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
)

// returning is a database that fails for the first connections, and then has connections that do nothing.
type returning struct {
	failures []error
	asked    int
}

type idle struct{ driver.Conn }

func (idle) Close() error { return nil }

func (r *returning) Driver() driver.Driver { return nil }

func (r *returning) Connect(context.Context) (driver.Conn, error) {
	r.asked++
	if r.asked <= len(r.failures) {
		return nil, r.failures[r.asked-1]
	}
	return idle{}, nil
}

var refused = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}

func TestAConnectionWaitsForADatabaseThatComesBack(t *testing.T) {
	database := &returning{failures: []error{refused, &pq.Error{Severity: "FATAL", Code: "57P03"}}}
	db := sql.OpenDB(waiting{database, time.Minute})
	defer db.Close()
	connection, err := db.Conn(t.Context())
	if err != nil || database.asked != 3 {
		t.Fatal(err, database.asked)
	}
	connection.Close()
}

func TestAConnectionDoesNotWaitForWhatWaitingCannotMend(t *testing.T) {
	wrongPassword := &pq.Error{Severity: "FATAL", Code: "28P01"}
	database := &returning{failures: []error{wrongPassword}}
	_, err := waiting{database, time.Minute}.Connect(t.Context())
	if !errors.Is(err, wrongPassword) || database.asked != 1 {
		t.Fatal(err, database.asked)
	}
}

func TestPatienceEndsWithItsTimeAndWithTheRequest(t *testing.T) {
	for name, c := range map[string]struct{ patience, request time.Duration }{
		"patience": {0, time.Minute}, "request": {time.Minute, 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.request)
			defer cancel()
			database := &returning{failures: []error{refused, refused, refused}}
			if _, err := (waiting{database, c.patience}).Connect(ctx); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatal(err)
			}
			if database.asked != 1 {
				t.Fatal(database.asked)
			}
		})
	}
}

func TestWhatWasCutOffIsAskedOnceMoreAndNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		failure error
		want    int
	}{
		"cut off": {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, 2}, "refused by the database": {&pq.Error{Code: "42P01"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			_, err := repeated(t.Context(), func() (int, error) { asked++; return 0, c.failure })
			if err == nil || asked != c.want {
				t.Fatal(err, asked)
			}
		})
	}
}
