// Command gateway is the shop's front door: it serves the page, passes /api/… on, and sums the services up.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "gateway")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Getenv); err != nil {
		log.Error("failed", "error", err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, getenv func(string) string) error {
	var upstreams Upstreams
	for name, target := range map[string]**url.URL{
		"CATALOG_URL": &upstreams.Catalog, "ORDERS_URL": &upstreams.Orders, "RECOMMEND_URL": &upstreams.Recommend,
	} {
		address, err := url.Parse(getenv(name))
		if err != nil || address.Host == "" {
			return fmt.Errorf("%s=%q is not an address such as http://catalog", name, getenv(name))
		}
		*target = address
	}
	return serve(ctx, log, NewGateway(log, upstreams))
}
