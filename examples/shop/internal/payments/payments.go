// Package payments takes charges up to a limit. No money moves.
package payments

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// DefaultLimit is the highest charge that is accepted, in cents.
const DefaultLimit = 50_000

// Charge asks for money: Amount in cents, Reference is the payer's own word
// for it.
type Charge struct {
	Reference string `json:"reference"`
	Amount    int    `json:"amount"`
}

// Receipt is the answer to an accepted charge.
type Receipt struct {
	ID     string `json:"id"`
	Amount int    `json:"amount"`
}

// Limit reads PAYMENTS_LIMIT, in cents; DefaultLimit when it isn't set.
func Limit(getenv func(string) string) (int, error) {
	text := getenv("PAYMENTS_LIMIT")
	if text == "" {
		return DefaultLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit <= 0 {
		return 0, fmt.Errorf("PAYMENTS_LIMIT: give a number of cents above 0, not %q", text)
	}
	return limit, nil
}

// Routes adds the payments API to a service.
func Routes(s *server.Server, limit int) {
	s.Handle("POST /charges", func(w http.ResponseWriter, r *http.Request) {
		var c Charge
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&c); err != nil || c.Amount <= 0 || c.Reference == "" {
			http.Error(w, "send a reference and an amount above 0", http.StatusBadRequest)
			return
		}
		if c.Amount > limit {
			http.Error(w, fmt.Sprintf("charges above %d cents are declined", limit), http.StatusPaymentRequired)
			return
		}
		server.WriteJSON(w, http.StatusCreated, Receipt{ID: rand.Text(), Amount: c.Amount})
	})
}
