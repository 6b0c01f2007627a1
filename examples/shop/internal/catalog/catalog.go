// Package catalog knows what the shop sells and what it costs. It keeps no
// stock and takes no orders.
package catalog

import (
	"net/http"

	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// Product is one thing for sale. Price is in cents.
type Product struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Price int    `json:"price"`
}

// Products lists what is for sale, in the order the shop shows it.
func Products() []Product {
	return []Product{
		{ID: "rope", Name: "Mooring rope, 20 m", Price: 4900},
		{ID: "lantern", Name: "Deck lantern", Price: 3250},
		{ID: "anchor", Name: "Folding anchor, 4 kg", Price: 7800},
		{ID: "compass", Name: "Hand bearing compass", Price: 12900},
		{ID: "paint", Name: "Hull paint, signal red", Price: 2650},
	}
}

// Routes adds the catalog's API to a service.
func Routes(s *server.Server) {
	s.Handle("GET /products", func(w http.ResponseWriter, _ *http.Request) {
		server.WriteJSON(w, http.StatusOK, Products())
	})
	s.Handle("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, p := range Products() {
			if p.ID == r.PathValue("id") {
				server.WriteJSON(w, http.StatusOK, p)
				return
			}
		}
		http.Error(w, "no such product", http.StatusNotFound)
	})
}
