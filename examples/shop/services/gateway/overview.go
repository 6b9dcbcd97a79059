package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"sync"
)

// Product is what the catalog and the recommendations list.
type Product struct {
	SKU        string `json:"sku"`
	Name       string `json:"name"`
	PriceCents int64  `json:"price_cents"`
}

// Order is what the orders list.
type Order struct {
	ID             int64  `json:"id"`
	SKU            string `json:"sku"`
	Quantity       int64  `json:"quantity"`
	UnitPriceCents int64  `json:"unit_price_cents"`
}

// Overview is everything at once. Degraded names the services that didn't answer; their lists are empty.
type Overview struct {
	Products        []Product `json:"products"`
	Orders          []Order   `json:"orders"`
	Recommendations []Product `json:"recommendations"`
	Degraded        []string  `json:"degraded"`
}

// collect asks all services at the same time, and makes do with those that answer.
func (g *gateway) collect(ctx context.Context) Overview {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	overview := Overview{[]Product{}, []Order{}, []Product{}, []string{}}
	var (
		wait sync.WaitGroup
		lock sync.Mutex
	)
	fetch := func(name string, target *url.URL, path string) {
		wait.Go(func() {
			body, err := g.get(ctx, target.JoinPath(path))
			lock.Lock()
			defer lock.Unlock()
			if err == nil {
				err = json.Unmarshal(body, &overview)
			}
			if err != nil {
				g.log.Warn("upstream failed", "upstream", name, "cause", err.Error())
				overview.Degraded = append(overview.Degraded, name)
			}
		})
	}
	fetch("catalog", g.upstreams.Catalog, "products")
	fetch("orders", g.upstreams.Orders, "orders")
	fetch("recommend", g.upstreams.Recommend, "recommendations")
	wait.Wait()
	sort.Strings(overview.Degraded)
	return overview
}

func (g *gateway) get(ctx context.Context, address *url.URL) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := g.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", address, answer.StatusCode)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
}

func euros(cents int64) string { return fmt.Sprintf("€ %d.%02d", cents/100, cents%100) }
