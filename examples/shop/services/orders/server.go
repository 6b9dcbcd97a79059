package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Orders is what the server needs of a Store.
type Orders interface {
	Ready(ctx context.Context) error
	Add(ctx context.Context, order Order, key string) (Order, error)
	Latest(ctx context.Context, limit int) ([]Order, error)
	Bestsellers(ctx context.Context, limit int) ([]Bestseller, error)
}

type server struct {
	log     *slog.Logger
	orders  Orders
	catalog *Catalog
}

// NewServer returns the HTTP interface.
func NewServer(log *slog.Logger, orders Orders, catalog *Catalog) http.Handler {
	s := &server{log, orders, catalog}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.alive)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("POST /orders", s.add)
	mux.HandleFunc("GET /orders", s.latest)
	mux.HandleFunc("GET /orders/bestsellers", s.bestsellers)
	return logRequests(log, within(20*time.Second, mux))
}

// within bounds how long a request waits for others, such as the database's pool, before it is told so.
func within(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// alive answers as long as the process can: a database that is away is no reason to restart it.
func (s *server) alive(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "alive"})
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.orders.Ready(ctx); err != nil {
		s.log.Warn("not ready", "cause", err.Error())
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": "database unavailable"})
		return
	}
	reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (s *server) add(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	}
	body := http.MaxBytesReader(w, r.Body, 4<<10)
	if err := json.NewDecoder(body).Decode(&wanted); err != nil {
		fail(w, http.StatusBadRequest, "the body is not an order in JSON")
		return
	}
	if wanted.SKU == "" || wanted.Quantity < 1 || wanted.Quantity > 1000 {
		fail(w, http.StatusUnprocessableEntity, "an order needs a sku, and a quantity from 1 to 1000")
		return
	}
	price, err := s.catalog.Price(r.Context(), wanted.SKU)
	switch {
	case errors.Is(err, ErrNoProduct):
		fail(w, http.StatusUnprocessableEntity, "the catalog has no such product")
		return
	case err != nil:
		s.log.Warn("upstream failed", "cause", err.Error())
		fail(w, http.StatusBadGateway, "the catalog is unavailable")
		return
	}
	order := Order{SKU: wanted.SKU, Quantity: wanted.Quantity, UnitPriceCents: price}
	stored, err := s.orders.Add(r.Context(), order, r.Header.Get("Idempotency-Key"))
	s.answer(w, http.StatusCreated, stored, err)
}

func (s *server) latest(w http.ResponseWriter, r *http.Request) {
	orders, err := s.orders.Latest(r.Context(), 100)
	s.answer(w, http.StatusOK, map[string]any{"orders": orders}, err)
}

func (s *server) bestsellers(w http.ResponseWriter, r *http.Request) {
	best, err := s.orders.Bestsellers(r.Context(), 10)
	s.answer(w, http.StatusOK, map[string]any{"bestsellers": best}, err)
}

// answer replies with what the store returned, or says that it failed.
func (s *server) answer(w http.ResponseWriter, status int, document any, err error) {
	if err != nil {
		s.log.Error("database failed", "error", err.Error())
		fail(w, http.StatusServiceUnavailable, "the database is unavailable")
		return
	}
	reply(w, status, document)
}

func fail(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]string{"error": message})
}

func reply(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // the client is gone: there is nobody to tell
}
