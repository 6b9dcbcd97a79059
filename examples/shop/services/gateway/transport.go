package main

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// newTransport returns connections to the other services: idle ones go before the servers close them (75 s), or a request
// could meet the closing.
func newTransport(answerWithin time.Duration) http.RoundTripper {
	return &repeating{&http.Transport{
		DialContext:           (&net.Dialer{Timeout: time.Second}).DialContext,
		ResponseHeaderTimeout: answerWithin,
		IdleConnTimeout:       60 * time.Second,
		MaxIdleConnsPerHost:   32,
	}, []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}}
}

// repeating asks again after each pause if the connection failed: the pod behind it has just left, or none is there yet.
// An answer is never asked for again, whatever it says.
type repeating struct {
	next   http.RoundTripper
	pauses []time.Duration
}

// RoundTrip implements http.RoundTripper.
func (t *repeating) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(request)
	for _, pause := range t.pauses {
		if err == nil || !mayRepeat(request, err) {
			break
		}
		select {
		case <-request.Context().Done():
			return nil, err
		case <-time.After(pause):
		}
		again := *request
		if request.Body != nil && request.GetBody != nil {
			if again.Body, err = request.GetBody(); err != nil {
				return nil, err
			}
		}
		answer, err = t.next.RoundTrip(&again)
	}
	return answer, err
}

// mayRepeat says whether the same request, sent twice, does no more than once (RFC 9110, 9.2.2), as it is when no
// connection came about. A time-out is no reason to try again: whoever waits has waited long enough.
func mayRepeat(request *http.Request, err error) bool {
	if request.Body != nil && request.Body != http.NoBody && request.GetBody == nil {
		return false // the body is gone
	}
	if failure, ok := errors.AsType[*net.OpError](err); ok && failure.Op == "dial" {
		return true
	}
	if failure, ok := errors.AsType[net.Error](err); ok && failure.Timeout() {
		return false
	}
	return request.Method == http.MethodGet || request.Method == http.MethodHead ||
		request.Header.Get("Idempotency-Key") != ""
}
