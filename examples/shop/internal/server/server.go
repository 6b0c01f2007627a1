package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// requestGrace is how long requests under way may take once a service stops
// accepting new ones.
const requestGrace = 5 * time.Second

// Server is one service: its own routes beside /healthz, /readyz, /version and
// /metrics.
type Server struct {
	config  Config
	log     *slog.Logger
	metrics *metrics
	ready   atomic.Bool
	mux     *http.ServeMux
}

// New makes a service. Routes are added with Handle before Serve.
func New(config Config, log *slog.Logger) *Server {
	s := &Server{config: config, log: log, metrics: newMetrics(config.Service), mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /version", s.showVersion)
	s.mux.Handle("GET /metrics", s.metrics)
	return s
}

// Handle adds a route in the form of http.ServeMux, counted and logged.
func (s *Server) Handle(pattern string, h http.HandlerFunc) {
	s.mux.Handle(pattern, s.observed(pattern, h))
}

// Handler is the service without a listener.
func (s *Server) Handler() http.Handler { return s.mux }

// Serve answers on l until ctx ends; then it says not ready for the drain time,
// stops accepting, and waits for the requests under way.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.mux, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Serve(l) }()
	s.ready.Store(true)
	s.log.Info("serving", "address", l.Addr().String(), "version", s.config.Version, "environment", s.config.Environment)

	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.ready.Store(false)
	s.log.Info("draining", "for", s.config.Drain.String())
	drained := time.NewTimer(s.config.Drain)
	defer drained.Stop()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-drained.C:
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	s.log.Info("stopped")
	return nil
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		http.Error(w, "stopping or not started yet", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// Version is what /version answers.
type Version struct {
	Service     string `json:"service"`
	Version     string `json:"version"`
	Environment string `json:"environment"`
}

func (s *Server) showVersion(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusOK, s.Version())
}

// Version tells which service this is.
func (s *Server) Version() Version {
	return Version{s.config.Service, s.config.Version, s.config.Environment}
}

// WriteJSON answers with a value and a status code.
func WriteJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value)
}

// Main runs a service as a process: routes adds what is its own, SIGTERM and
// SIGINT end it in order. It returns the exit code.
func Main(service, version string, routes func(s *Server, getenv func(string) string) error) int {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", service)
	if err := run(service, version, log, routes); err != nil {
		log.Error("failed", "error", err)
		return 1
	}
	return 0
}

func run(service, version string, log *slog.Logger, routes func(*Server, func(string) string) error) error {
	config, err := FromEnv(service, version, os.Getenv)
	if err != nil {
		return err
	}
	s := New(config, log)
	if err := routes(s, os.Getenv); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", config.Address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", config.Address, err)
	}
	return s.Serve(ctx, l)
}
