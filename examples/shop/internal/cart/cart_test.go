package cart

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/examples/shop/internal/payments"
	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// payer accepts or refuses every charge.
type payer struct {
	err     error
	charged []payments.Charge
}

func (p *payer) Charge(_ context.Context, c payments.Charge) (payments.Receipt, error) {
	p.charged = append(p.charged, c)
	return payments.Receipt{ID: "r", Amount: c.Amount}, p.err
}

func TestAddSumsUp(t *testing.T) {
	carts := New(&payer{})
	carts.Add("a", Item{Product: "rope", Price: 100, Quantity: 1})
	carts.Add("a", Item{Product: "sail", Price: 50, Quantity: 2})
	carts.Add("b", Item{Product: "rope", Price: 100, Quantity: 9})
	// The price is today's, also for what is in the cart since yesterday.
	carts.Add("a", Item{Product: "rope", Price: 90, Quantity: 1})
	want := Cart{Items: []Item{{"rope", 90, 2}, {"sail", 50, 2}}, Total: 280}
	if diff := cmp.Diff(want, carts.Get("a")); diff != "" {
		t.Errorf("cart (-want +got):\n%s", diff)
	}
}

func TestCheckout(t *testing.T) {
	cases := map[string]struct {
		reason string
		items  []Item
		refuse error
		want   error
		left   int
		asked  int
	}{
		"Paid":    {reason: "a paid cart is empty", items: []Item{{"rope", 100, 2}}, asked: 1},
		"Empty":   {reason: "nothing is charged for nothing", want: ErrEmpty},
		"Refused": {reason: "a refused charge leaves the cart", items: []Item{{"rope", 100, 2}}, refuse: errRefused{}, want: errRefused{}, left: 200, asked: 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := &payer{err: tc.refuse}
			carts := New(p)
			for _, i := range tc.items {
				carts.Add("a", i)
			}
			if _, err := carts.Checkout(t.Context(), "a"); !errors.Is(err, tc.want) {
				t.Errorf("%s: error %v, want %v", tc.reason, err, tc.want)
			}
			if got := carts.Get("a").Total; got != tc.left {
				t.Errorf("%s: %d left in the cart, want %d", tc.reason, got, tc.left)
			}
			if len(p.charged) != tc.asked {
				t.Errorf("%s: charged %v", tc.reason, p.charged)
			}
		})
	}
}

type errRefused struct{}

func (errRefused) Error() string { return "refused" }

func TestMemoryIsBounded(t *testing.T) {
	carts := New(&payer{})
	for i := range maxCarts + 10 {
		carts.Add(strconv.Itoa(i), Item{Product: "rope", Price: 1, Quantity: 1})
	}
	if got := len(carts.byID); got != maxCarts {
		t.Errorf("%d carts are kept, want %d", got, maxCarts)
	}
}

func TestBadItemsAreRefused(t *testing.T) {
	s := server.New(server.Config{Service: "cart"}, slog.New(slog.DiscardHandler))
	Routes(s, New(&payer{}))
	for name, body := range map[string]string{
		"NotJSON": "rope", "NoProduct": `{"price":1,"quantity":1}`, "Free": `{"product":"rope","quantity":1}`,
		"Negative": `{"product":"rope","price":1,"quantity":-1}`, "Heaps": `{"product":"rope","price":1,"quantity":1001}`,
	} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/carts/a/items", strings.NewReader(body)))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}
