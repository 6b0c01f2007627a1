// Package cart keeps what customers want to buy, and has it paid.
package cart

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"github.com/slipway-dev/slipway/examples/shop/internal/payments"
	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// maxCarts bounds memory: when it is reached, an arbitrary cart is forgotten.
const maxCarts = 10_000

// Item is a product in a cart. Price is in cents per piece.
type Item struct {
	Product  string `json:"product"`
	Price    int    `json:"price"`
	Quantity int    `json:"quantity"`
}

// Cart is what one customer wants to buy. Total is in cents.
type Cart struct {
	Items []Item `json:"items"`
	Total int    `json:"total"`
}

// Payer charges a customer.
type Payer interface {
	Charge(ctx context.Context, c payments.Charge) (payments.Receipt, error)
}

// Carts keeps the carts of all customers in memory.
type Carts struct {
	payer Payer
	mu    sync.Mutex
	byID  map[string]Cart
}

// New makes an empty store of carts that are paid through payer.
func New(payer Payer) *Carts { return &Carts{payer: payer, byID: map[string]Cart{}} }

// Add puts an item into a cart; pieces of a product that is there add up.
func (c *Carts) Add(id string, item Item) Cart {
	c.mu.Lock()
	defer c.mu.Unlock()
	cart, known := c.byID[id]
	if !known && len(c.byID) >= maxCarts {
		for other := range c.byID {
			delete(c.byID, other)
			break
		}
	}
	items := make([]Item, 0, len(cart.Items)+1)
	merged := false
	for _, have := range cart.Items {
		if have.Product == item.Product {
			have.Quantity, have.Price, merged = have.Quantity+item.Quantity, item.Price, true
		}
		items = append(items, have)
	}
	if !merged {
		items = append(items, item)
	}
	cart = Cart{Items: items}
	for _, i := range items {
		cart.Total += i.Price * i.Quantity
	}
	c.byID[id] = cart
	return cart
}

// Get returns a cart; one that nobody put anything into is empty.
func (c *Carts) Get(id string) Cart {
	c.mu.Lock()
	defer c.mu.Unlock()
	cart := c.byID[id]
	if cart.Items == nil {
		cart.Items = []Item{}
	}
	return cart
}

// ErrEmpty says that there is nothing to pay.
var ErrEmpty = errors.New("the cart is empty")

// Checkout has a cart paid and empties it. When the payment fails the cart
// stays as it is.
func (c *Carts) Checkout(ctx context.Context, id string) (payments.Receipt, error) {
	cart := c.Get(id)
	if cart.Total == 0 {
		return payments.Receipt{}, ErrEmpty
	}
	receipt, err := c.payer.Charge(ctx, payments.Charge{Reference: id, Amount: cart.Total})
	if err != nil {
		return payments.Receipt{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
	return receipt, nil
}

// Payments charges through the payments service.
type Payments struct{ Client *server.Client }

// Charge asks the payments service.
func (p Payments) Charge(ctx context.Context, c payments.Charge) (payments.Receipt, error) {
	var receipt payments.Receipt
	err := p.Client.Call(ctx, http.MethodPost, "/charges", c, &receipt)
	return receipt, err
}

// Routes adds the cart's API to a service.
func Routes(s *server.Server, carts *Carts) {
	s.Handle("GET /carts/{id}", func(w http.ResponseWriter, r *http.Request) {
		server.WriteJSON(w, http.StatusOK, carts.Get(r.PathValue("id")))
	})
	s.Handle("POST /carts/{id}/items", func(w http.ResponseWriter, r *http.Request) {
		var item Item
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&item)
		if err != nil || item.Product == "" || item.Price <= 0 || item.Quantity <= 0 || item.Quantity > 1000 {
			http.Error(w, "send a product, a price above 0 and a quantity from 1 to 1000", http.StatusBadRequest)
			return
		}
		server.WriteJSON(w, http.StatusOK, carts.Add(r.PathValue("id"), item))
	})
	s.Handle("POST /carts/{id}/checkout", func(w http.ResponseWriter, r *http.Request) {
		receipt, err := carts.Checkout(r.Context(), r.PathValue("id"))
		var status *server.StatusError
		switch {
		case err == nil:
			server.WriteJSON(w, http.StatusOK, receipt)
		case errors.Is(err, ErrEmpty):
			http.Error(w, err.Error(), http.StatusConflict)
		case errors.As(err, &status) && status.Code == http.StatusPaymentRequired:
			http.Error(w, status.Text, http.StatusPaymentRequired)
		default:
			http.Error(w, "payments can't be reached, try again", http.StatusBadGateway)
		}
	})
}
