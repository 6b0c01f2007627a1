// Command cart is the shop's cart service.
package main

import (
	"cmp"
	"os"

	"github.com/slipway-dev/slipway/examples/shop/internal/cart"
	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(server.Main("cart", version, func(s *server.Server, getenv func(string) string) error {
		payments := server.NewClient("payments", cmp.Or(getenv("PAYMENTS_URL"), "http://payments"))
		cart.Routes(s, cart.New(cart.Payments{Client: payments}))
		return nil
	}))
}
