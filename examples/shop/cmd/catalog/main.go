// Command catalog is the shop's catalog service.
package main

import (
	"os"

	"github.com/slipway-dev/slipway/examples/shop/internal/catalog"
	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(server.Main("catalog", version, func(s *server.Server, _ func(string) string) error {
		catalog.Routes(s)
		return nil
	}))
}
