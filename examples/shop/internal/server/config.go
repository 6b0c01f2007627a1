package server

import (
	"cmp"
	"fmt"
	"time"
)

// Config is what every service can be told by its environment.
type Config struct {
	// Service and Version are compiled in.
	Service, Version string
	// Address to listen on: SHOP_ADDRESS, default ":8080".
	Address string
	// Environment the service runs in, as people call it: SHOP_ENVIRONMENT,
	// default "local".
	Environment string
	// Drain is how long a service that was told to stop goes on answering while
	// it says that it isn't ready, so that load balancers look elsewhere first:
	// SHOP_DRAIN, a Go duration, default 1s.
	Drain time.Duration
}

// FromEnv reads a configuration with getenv, which is os.Getenv outside tests.
func FromEnv(service, version string, getenv func(string) string) (Config, error) {
	drain, err := time.ParseDuration(cmp.Or(getenv("SHOP_DRAIN"), "1s"))
	if err != nil {
		return Config{}, fmt.Errorf("SHOP_DRAIN: give a duration like 5s: %w", err)
	}
	return Config{
		Service:     service,
		Version:     version,
		Address:     cmp.Or(getenv("SHOP_ADDRESS"), ":8080"),
		Environment: cmp.Or(getenv("SHOP_ENVIRONMENT"), "local"),
		Drain:       drain,
	}, nil
}
