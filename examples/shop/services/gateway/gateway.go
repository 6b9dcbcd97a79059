package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

//go:embed page.html
var files embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{"euros": euros}).ParseFS(files, "page.html"))

// answerWithin is longer than a service waits for a database that is being replaced (15 s), and what queued meanwhile.
const answerWithin = 25 * time.Second

// Upstreams are the services behind the gateway.
type Upstreams struct{ Catalog, Orders, Recommend *url.URL }

type gateway struct {
	log       *slog.Logger
	upstreams Upstreams
	transport http.RoundTripper
}

// NewGateway returns the HTTP interface.
func NewGateway(log *slog.Logger, upstreams Upstreams) http.Handler {
	g := &gateway{log, upstreams, newTransport(answerWithin)}
	mux := http.NewServeMux()
	// Ready without the others: they have their own probes, and one that is away must not take the front door with it.
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", alive)
	mux.HandleFunc("GET /{$}", g.page)
	mux.HandleFunc("GET /api/overview", g.overview)
	mux.Handle("/api/catalog/", g.passTo(upstreams.Catalog, "/api/catalog/", "/"))
	mux.Handle("/api/orders", g.passTo(upstreams.Orders, "/api/", "/"))
	mux.Handle("/api/orders/", g.passTo(upstreams.Orders, "/api/", "/"))
	mux.Handle("/api/recommendations", g.passTo(upstreams.Recommend, "/api/", "/"))
	return logRequests(log, mux)
}

func alive(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

// passTo hands requests on, with the path's prefix replaced.
func (g *gateway) passTo(target *url.URL, prefix, replacement string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: g.transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			g.log.Warn("upstream failed", "upstream", target.Host, "cause", err.Error())
			reply(w, http.StatusBadGateway, map[string]string{"error": target.Host + " is unavailable"})
		},
	}
	passOn := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := keepBody(w, r); err != nil {
			reply(w, http.StatusRequestEntityTooLarge, map[string]string{"error": "the body is too large, or was cut off"})
			return
		}
		r.URL.Path = replacement + r.URL.Path
		r.URL.RawPath = ""
		proxy.ServeHTTP(w, r)
	})
	return http.StripPrefix(prefix, passOn)
}

// keepBody reads the body, which is small, so that it can be sent again.
func keepBody(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return err
	}
	r.ContentLength, r.TransferEncoding = int64(len(body)), nil
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, err = r.GetBody()
	return err
}

func (g *gateway) overview(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, g.collect(r.Context()))
}

func (g *gateway) page(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if err := page.Execute(&body, g.collect(r.Context())); err != nil {
		g.log.Error("page failed", "error", err.Error())
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = body.WriteTo(w) // the client is gone: there is nobody to tell
}

func reply(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // as above
}
