package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// memory keeps orders for a test.
type memory struct {
	orders []Order
	err    error
}

func (m *memory) Ready(context.Context) error { return m.err }

func (m *memory) Add(_ context.Context, order Order, _ string) (Order, error) {
	order.ID = int64(len(m.orders) + 1)
	m.orders = append(m.orders, order)
	return order, m.err
}

func (m *memory) Latest(context.Context, int) ([]Order, error) { return m.orders, m.err }

func (m *memory) Bestsellers(context.Context, int) ([]Bestseller, error) {
	return []Bestseller{{"mug", 2}}, m.err
}

// newShop serves orders over a catalog that answers with a status and a body.
func newShop(t *testing.T, store Orders, status int, body string) http.Handler {
	t.Helper()
	catalog := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(catalog.Close)
	return NewServer(slog.New(slog.DiscardHandler), store, NewCatalog(catalog.URL))
}

func ask(handler http.Handler, method, path, body string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(method, path, strings.NewReader(body)))
	return answer
}

func TestAnOrderIsStoredWithTheCatalogsPrice(t *testing.T) {
	store := &memory{}
	answer := ask(newShop(t, store, 200, `{"price_cents": 1250}`), "POST", "/orders", `{"sku":"mug","quantity":2}`)
	if answer.Code != 201 || len(store.orders) != 1 || store.orders[0].UnitPriceCents != 1250 {
		t.Fatalf("%d %s %+v", answer.Code, answer.Body, store.orders)
	}
}

func TestWhatCannotBeOrderedIsRefusedAndNotStored(t *testing.T) {
	for name, c := range map[string]struct {
		order, body  string
		status, want int
	}{
		"not JSON":           {`{`, "", 200, 400},
		"no quantity":        {`{"sku":"mug"}`, "", 200, 422},
		"unknown product":    {`{"sku":"x","quantity":1}`, "", 404, 422},
		"catalog fails":      {`{"sku":"mug","quantity":1}`, "", 500, 502},
		"catalog lies":       {`{"sku":"mug","quantity":1}`, "<html>", 200, 502},
		"catalog has no sum": {`{"sku":"mug","quantity":1}`, "{}", 200, 502},
	} {
		t.Run(name, func(t *testing.T) {
			store := &memory{}
			answer := ask(newShop(t, store, c.status, c.body), "POST", "/orders", c.order)
			if answer.Code != c.want || len(store.orders) != 0 {
				t.Fatalf("%d %s %+v", answer.Code, answer.Body, store.orders)
			}
		})
	}
}

func TestWithoutItsDatabaseTheServiceIsAliveButNotReady(t *testing.T) {
	shop := newShop(t, &memory{err: errors.New("away")}, 200, "{}")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/orders": 503, "/orders/bestsellers": 503} {
		if answer := ask(shop, "GET", path, ""); answer.Code != want {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}

func TestMigrationsAreReadInOrderAndPendingOnesFound(t *testing.T) {
	folder := fstest.MapFS{"0002_b.sql": {Data: []byte("B")}, "0001_a.sql": {Data: []byte("A")}}
	all, err := ReadMigrations(folder)
	if err != nil || len(all) != 2 || all[0].Name != "0001_a.sql" {
		t.Fatal(all, err)
	}
	pending, err := Pending(all, map[string]string{"0001_a.sql": all[0].Checksum, "0009_newer.sql": "?"})
	if err != nil || len(pending) != 1 || pending[0].Name != "0002_b.sql" {
		t.Fatal(pending, err)
	}
}

func TestAnEditedMigrationIsRefused(t *testing.T) {
	all := []Migration{{"0001_a.sql", "A", "new"}}
	if _, err := Pending(all, map[string]string{"0001_a.sql": "old"}); err == nil {
		t.Fatal("accepted")
	}
}

func TestMigrationsWithABadNameOrTheSameNumberAreRefused(t *testing.T) {
	for _, name := range []string{"first.sql", "0001_b.sql"} {
		if _, err := ReadMigrations(fstest.MapFS{"0001_a.sql": {}, name: {}}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
