package main

import (
	"context"
	"database/sql"
	"time"
)

// Order is one row of the table orders.
type Order struct {
	ID             int64     `json:"id"`
	SKU            string    `json:"sku"`
	Quantity       int       `json:"quantity"`
	UnitPriceCents int64     `json:"unit_price_cents"`
	CreatedAt      time.Time `json:"created_at"`
}

// Bestseller is a product and how many pieces of it were ordered.
type Bestseller struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Totals sums orders up.
type Totals struct{ Orders, Items, Cents int64 }

// Store keeps orders in PostgreSQL.
type Store struct{ db *sql.DB }

const columns = "id, sku, quantity, unit_price_cents, created_at"

// Ready says whether the database answers and has the columns that this version uses.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "SELECT "+columns+", idempotency_key FROM orders LIMIT 0")
	return err
}

// Add stores an order. With a key that it has seen it returns the order of the first time; so only an order with a key
// may be tried again.
func (s *Store) Add(ctx context.Context, order Order, key string) (Order, error) {
	insert := func() (Order, error) {
		return scan(s.db.QueryRowContext(ctx,
			`INSERT INTO orders (sku, quantity, unit_price_cents, idempotency_key)
			 VALUES ($1, $2, $3, nullif($4, ''))
			 ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key
			 RETURNING `+columns, order.SKU, order.Quantity, order.UnitPriceCents, key))
	}
	if key == "" {
		return insert()
	}
	return repeated(ctx, insert)
}

// Latest returns the newest orders first.
func (s *Store) Latest(ctx context.Context, limit int) ([]Order, error) {
	return repeated(ctx, func() ([]Order, error) { return s.latest(ctx, limit) })
}

func (s *Store) latest(ctx context.Context, limit int) ([]Order, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+columns+" FROM orders ORDER BY id DESC LIMIT $1", limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	orders := []Order{}
	for rows.Next() {
		order, err := scan(rows)
		if err != nil {
			return nil, err
		}
		orders = append(orders, order)
	}
	return orders, rows.Err()
}

// Bestsellers returns the products of which most pieces were ordered in the last 30 days.
func (s *Store) Bestsellers(ctx context.Context, limit int) ([]Bestseller, error) {
	return repeated(ctx, func() ([]Bestseller, error) { return s.bestsellers(ctx, limit) })
}

func (s *Store) bestsellers(ctx context.Context, limit int) ([]Bestseller, error) {
	rows, err := s.db.QueryContext(ctx,
		`SELECT sku, sum(quantity) FROM orders WHERE created_at > now() - interval '30 days'
		 GROUP BY sku ORDER BY sum(quantity) DESC, sku LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	best := []Bestseller{}
	for rows.Next() {
		var entry Bestseller
		if err := rows.Scan(&entry.SKU, &entry.Quantity); err != nil {
			return nil, err
		}
		best = append(best, entry)
	}
	return best, rows.Err()
}

// Totals sums up what was ordered since a time.
func (s *Store) Totals(ctx context.Context, since time.Time) (totals Totals, err error) {
	err = s.db.QueryRowContext(ctx,
		`SELECT count(*), coalesce(sum(quantity), 0), coalesce(sum(quantity * unit_price_cents), 0)
		 FROM orders WHERE created_at >= $1`, since).Scan(&totals.Orders, &totals.Items, &totals.Cents)
	return totals, err
}

func scan(row interface{ Scan(...any) error }) (order Order, err error) {
	err = row.Scan(&order.ID, &order.SKU, &order.Quantity, &order.UnitPriceCents, &order.CreatedAt)
	return order, err
}
