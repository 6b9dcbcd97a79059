package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

var silent = slog.New(slog.DiscardHandler)

// answering starts a service that answers each path with a document, and everything else with 404.
func answering(t *testing.T, documents map[string]string) *url.URL {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document, found := documents[r.Method+" "+r.URL.RequestURI()]
		if !found {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, document)
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func shop(t *testing.T) Upstreams {
	return Upstreams{
		Catalog: answering(t, map[string]string{
			"GET /products":              `{"products":[{"sku":"mug","name":"<Mug>","price_cents":1205}]}`,
			"GET /products?category=tea": `{"products":[]}`,
		}),
		Orders: answering(t, map[string]string{
			"GET /orders":             `{"orders":[{"id":7,"sku":"mug","quantity":2}]}`,
			"POST /orders":            `{"id":8}`,
			"GET /orders/bestsellers": `{"bestsellers":[]}`,
		}),
		Recommend: answering(t, map[string]string{"GET /recommendations": `{"recommendations":[{"sku":"mug"}]}`}),
	}
}

func ask(upstreams Upstreams, method, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	gateway := NewGateway(silent, upstreams)
	gateway.ServeHTTP(answer, httptest.NewRequest(method, path, http.NoBody))
	return answer
}

func TestRequestsArePassedToTheServiceOfTheirPrefix(t *testing.T) {
	upstreams := shop(t)
	for request, want := range map[string]string{
		"GET /api/catalog/products?category=tea": `{"products":[]}`,
		"POST /api/orders":                       `{"id":8}`,
		"GET /api/orders/bestsellers":            `{"bestsellers":[]}`,
		"GET /api/recommendations":               `{"recommendations":[{"sku":"mug"}]}`,
	} {
		method, path, _ := strings.Cut(request, " ")
		if answer := ask(upstreams, method, path); answer.Code != 200 || answer.Body.String() != want {
			t.Errorf("%s: %d %s", request, answer.Code, answer.Body)
		}
	}
}

func TestTheOverviewHoldsWhatAllServicesSay(t *testing.T) {
	body := ask(shop(t), "GET", "/api/overview").Body.String()
	for _, want := range []string{`"sku":"mug"`, `"id":7`, `"recommendations":[{`, `"degraded":[]`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
}

func TestAServiceThatIsAwayIsNamedAndTheOthersStillAnswer(t *testing.T) {
	upstreams := shop(t)
	upstreams.Recommend = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	body := ask(upstreams, "GET", "/api/overview").Body.String()
	if !strings.Contains(body, `"degraded":["recommend"]`) || !strings.Contains(body, `"id":7`) {
		t.Error(body)
	}
	if answer := ask(upstreams, "GET", "/api/recommendations"); answer.Code != 502 {
		t.Error(answer.Code)
	}
	if answer := ask(upstreams, "GET", "/readyz"); answer.Code != 200 {
		t.Error(answer.Code)
	}
}

func TestThePageShowsPricesAndEscapesNames(t *testing.T) {
	body := ask(shop(t), "GET", "/").Body.String()
	if !strings.Contains(body, "&lt;Mug&gt;") || !strings.Contains(body, "€ 12.05") {
		t.Error(body)
	}
}
