// Command web is the shop's page.
package main

import (
	"os"

	"github.com/slipway-dev/slipway/examples/shop/internal/server"
	"github.com/slipway-dev/slipway/examples/shop/internal/web"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(server.Main("web", version, func(s *server.Server, getenv func(string) string) error {
		page, err := web.New(s.Version(), getenv)
		if err != nil {
			return err
		}
		page.Routes(s)
		return nil
	}))
}
