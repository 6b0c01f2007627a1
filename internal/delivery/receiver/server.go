package receiver

import (
	"net/http"
	"time"
)

// Bounds of one connection. A sender that is slower than these is cut off.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 20 * time.Second
	writeTimeout  = readTimeout + wakeTimeout + 5*time.Second
	idleTimeout   = 30 * time.Second
	maxHeader     = 16 << 10
)

// MaxConnections is how many senders may be connected at once.
const MaxConnections = 256

// Server returns the HTTP server that answers webhooks with handler, and nothing else.
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
}
