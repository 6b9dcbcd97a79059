package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// ErrNoProduct says that the catalog answered, and doesn't have the product.
var ErrNoProduct = errors.New("no such product")

// answerWithin is longer than the catalog waits for a database that is being replaced (15 s).
const answerWithin = 18 * time.Second

// Catalog asks the catalog service.
type Catalog struct {
	address string
	client  *http.Client
}

// NewCatalog returns a client of the service at address, such as http://catalog.
func NewCatalog(address string) *Catalog {
	return &Catalog{address, &http.Client{Transport: newTransport(answerWithin), Timeout: answerWithin}}
}

// Price returns what one piece of the product costs now, in cents.
func (c *Catalog) Price(ctx context.Context, sku string) (int64, error) {
	request, err := http.NewRequestWithContext(
		ctx, http.MethodGet, c.address+"/products/"+url.PathEscape(sku), http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("catalog: %w", err)
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("catalog: %w", err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return 0, ErrNoProduct
	default:
		return 0, fmt.Errorf("catalog answered %d", answer.StatusCode)
	}
	var product struct {
		PriceCents *int64 `json:"price_cents"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&product); err != nil {
		return 0, fmt.Errorf("catalog's answer: %w", err)
	}
	if product.PriceCents == nil {
		return 0, errors.New("catalog's answer has no price_cents")
	}
	return *product.PriceCents, nil
}
