// Command orders takes the shop's orders.
//
//	orders serve     serves HTTP until SIGTERM
//	orders migrate   brings the database to the newest schema
//	orders report    prints what was ordered in the last 24 hours
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "orders")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Args[1:]); err != nil {
		log.Error("failed", "error", err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: orders serve|migrate|report")
	}
	parameters := "connect_timeout=3 application_name=orders"
	if args[0] == "serve" {
		parameters += " statement_timeout=5000"
	}
	db, err := openDatabase(parameters)
	if err != nil {
		return err
	}
	defer db.Close()
	switch args[0] {
	case "serve":
		address := os.Getenv("CATALOG_URL")
		if address == "" {
			return errors.New("CATALOG_URL is not set: where the catalog answers, such as http://catalog")
		}
		return serve(ctx, log, NewServer(log, &Store{db}, NewCatalog(address)))
	case "migrate":
		return Migrate(ctx, log, db)
	case "report":
		return report(ctx, log, &Store{db})
	}
	return fmt.Errorf("unknown command %q: use serve, migrate or report", args[0])
}

func report(ctx context.Context, log *slog.Logger, store *Store) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	totals, err := store.Totals(ctx, time.Now().Add(-24*time.Hour))
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	log.Info("last 24 hours", "orders", totals.Orders, "items", totals.Items, "cents", totals.Cents)
	return nil
}
