package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"regexp"
	"time"
)

//go:embed migrations/*.sql
var embedded embed.FS

const (
	migrationLock = 7_301_002
	lockPatience  = time.Minute // for another runner to finish
)

// Migration is one file of the folder migrations, such as 0001_orders.sql.
type Migration struct {
	Name, SQL, Checksum string
}

var fileName = regexp.MustCompile(`^\d{4}_[a-z0-9_]+\.sql$`)

// ReadMigrations returns a folder's migrations in the order of their numbers.
func ReadMigrations(folder fs.FS) ([]Migration, error) {
	names, err := fs.Glob(folder, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var migrations []Migration
	for i, name := range names {
		if !fileName.MatchString(name) {
			return nil, fmt.Errorf("%s: a migration is named like 0001_what_it_does.sql", name)
		}
		if i > 0 && names[i-1][:4] == name[:4] {
			return nil, fmt.Errorf("%s and %s have the same number", names[i-1], name)
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		migrations = append(migrations, Migration{name, string(text), hex.EncodeToString(sum[:])})
	}
	return migrations, nil
}

// Pending returns those that are not in applied (name -> checksum), and refuses one that was edited after it had run.
// What was applied and isn't known here is a newer version's, and stays.
func Pending(all []Migration, applied map[string]string) ([]Migration, error) {
	var pending []Migration
	for _, migration := range all {
		checksum, done := applied[migration.Name]
		switch {
		case !done:
			pending = append(pending, migration)
		case checksum != migration.Checksum:
			return nil, fmt.Errorf(
				"%s was edited after it had been applied: restore it, and write a new migration", migration.Name)
		}
	}
	return pending, nil
}

// Migrate applies what is pending, each file in a transaction of its own, with one runner at a time.
func Migrate(ctx context.Context, log *slog.Logger, db *sql.DB) error {
	folder, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return err
	}
	all, err := ReadMigrations(folder)
	if err != nil {
		return err
	}
	session, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer session.Close()
	if err := becomeTheOnlyRunner(ctx, session); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	applied, err := readApplied(ctx, session)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	pending, err := Pending(all, applied)
	if err != nil {
		return err
	}
	for _, migration := range pending {
		if err := apply(ctx, session, migration); err != nil {
			return fmt.Errorf("%s: %w", path.Join("migrations", migration.Name), err)
		}
		log.Info("applied", "migration", migration.Name)
	}
	log.Info("migrated", "applied", len(pending), "known", len(all))
	return nil
}

// becomeTheOnlyRunner takes the session's advisory lock; it ends with the session. Asking again and again, rather than
// waiting inside the database, leaves no snapshot open that a CREATE INDEX CONCURRENTLY elsewhere would wait for.
func becomeTheOnlyRunner(ctx context.Context, session *sql.Conn) error {
	deadline := time.Now().Add(lockPatience)
	for {
		var mine bool
		query := "SELECT pg_try_advisory_lock($1)"
		if err := session.QueryRowContext(ctx, query, migrationLock).Scan(&mine); err != nil {
			return err
		}
		if mine {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("another runner has held the lock for more than %s", lockPatience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func readApplied(ctx context.Context, session *sql.Conn) (map[string]string, error) {
	if _, err := session.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`); err != nil {
		return nil, err
	}
	rows, err := session.QueryContext(ctx, "SELECT name, checksum FROM schema_migrations")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	applied := map[string]string{}
	for rows.Next() {
		var name, checksum string
		if err := rows.Scan(&name, &checksum); err != nil {
			return nil, err
		}
		applied[name] = checksum
	}
	return applied, rows.Err()
}

// apply runs one migration and records it. It gives up after 5 s on a lock that the running service holds, rather than
// queue every query of the service behind itself.
func apply(ctx context.Context, session *sql.Conn, migration Migration) error {
	tx, err := session.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, migration.SQL); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)",
		migration.Name, migration.Checksum); err != nil {
		return err
	}
	return tx.Commit()
}
