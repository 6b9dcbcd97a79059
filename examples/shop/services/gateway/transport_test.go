package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// breaking starts a service that cuts the first connections off after it has read the request, and then answers with the
// body that it was sent.
func breaking(t *testing.T, failures int32) (Upstreams, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if asked.Add(1) <= failures {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return Upstreams{Catalog: address, Orders: address, Recommend: address}, &asked
}

func send(t *testing.T, upstreams Upstreams, method, key, body string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, "/api/orders", strings.NewReader(body))
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	answer := httptest.NewRecorder()
	NewGateway(silent, upstreams).ServeHTTP(answer, request)
	return answer
}

func TestWhatMayHappenTwiceIsAskedAgainWhenItsConnectionBreaks(t *testing.T) {
	for method, key := range map[string]string{"GET": "", "POST": "one"} {
		upstreams, asked := breaking(t, 2)
		answer := send(t, upstreams, method, key, `{"sku":"mug"}`)
		if answer.Code != 200 || answer.Body.String() != `{"sku":"mug"}` || asked.Load() != 3 {
			t.Errorf("%s: %d %s, asked %d times", method, answer.Code, answer.Body, asked.Load())
		}
	}
}

func TestAnOrderWithoutAKeyIsSentOnlyOnce(t *testing.T) {
	upstreams, asked := breaking(t, 1)
	if answer := send(t, upstreams, "POST", "", "{}"); answer.Code != 502 || asked.Load() != 1 {
		t.Errorf("%d, asked %d times", answer.Code, asked.Load())
	}
}

func TestAServiceThatComesBackIsReachedAlsoByAnOrderWithoutAKey(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // nobody listens
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	back := time.AfterFunc(100*time.Millisecond, func() {
		if server.Listener, err = net.Listen("tcp", address); err == nil {
			server.Start()
		}
	})
	defer back.Stop()
	upstreams := Upstreams{Orders: &url.URL{Scheme: "http", Host: address}}
	if answer := send(t, upstreams, "POST", "", "{}"); answer.Code != 200 {
		t.Error(answer.Code, answer.Body, err)
	}
}

func TestATimeOutIsNotTriedAgain(t *testing.T) {
	var asked atomic.Int32
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-stop
	}))
	defer server.Close()
	defer close(stop)
	request, _ := http.NewRequest(http.MethodGet, server.URL, http.NoBody)
	answer, err := newTransport(50 * time.Millisecond).RoundTrip(request)
	if err == nil {
		answer.Body.Close()
	}
	if err == nil || asked.Load() != 1 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	upstreams, asked := breaking(t, 0)
	if answer := send(t, upstreams, "POST", "", strings.Repeat("x", 65<<10)); answer.Code != 413 || asked.Load() != 0 {
		t.Errorf("%d, asked %d times", answer.Code, asked.Load())
	}
}
