// Command payments is the shop's payments service.
package main

import (
	"os"

	"github.com/slipway-dev/slipway/examples/shop/internal/payments"
	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(server.Main("payments", version, func(s *server.Server, getenv func(string) string) error {
		limit, err := payments.Limit(getenv)
		if err != nil {
			return err
		}
		payments.Routes(s, limit)
		return nil
	}))
}
