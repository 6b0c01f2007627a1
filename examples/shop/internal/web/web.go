// Package web is the page that customers see. It keeps nothing itself.
package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	_ "embed"

	"github.com/slipway-dev/slipway/examples/shop/internal/cart"
	"github.com/slipway-dev/slipway/examples/shop/internal/catalog"
	"github.com/slipway-dev/slipway/examples/shop/internal/payments"
	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

//go:embed page.html
var page string

// cookie names the customer's cart.
const cookie = "cart"

// Web shows the shop.
type Web struct {
	version  server.Version
	greeting string
	catalog  *server.Client
	cart     *server.Client
	page     *template.Template
}

// New makes the page. Addresses of the other services come from CATALOG_URL
// and CART_URL, the line below the shop's name from WEB_GREETING.
func New(version server.Version, getenv func(string) string) (*Web, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"money": money}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return &Web{
		version:  version,
		greeting: cmp.Or(getenv("WEB_GREETING"), "Everything a small ship needs."),
		catalog:  server.NewClient("catalog", cmp.Or(getenv("CATALOG_URL"), "http://catalog")),
		cart:     server.NewClient("cart", cmp.Or(getenv("CART_URL"), "http://cart")),
		page:     t,
	}, nil
}

// Routes adds the page to a service.
func (web *Web) Routes(s *server.Server) {
	s.Handle("GET /{$}", web.show)
	s.Handle("POST /add/{product}", web.add)
	s.Handle("POST /checkout", web.checkout)
}

// view is what the page shows.
type view struct {
	server.Version
	Greeting string
	Notice   string
	Products []catalog.Product
	Cart     cart.Cart
}

func (web *Web) show(w http.ResponseWriter, r *http.Request) {
	v := view{Version: web.version, Greeting: web.greeting, Notice: r.URL.Query().Get("notice")}
	code := http.StatusOK
	if err := web.catalog.Call(r.Context(), http.MethodGet, "/products", nil, &v.Products); err != nil {
		v.Notice, code = "The catalogue can't be reached, try again.", http.StatusBadGateway
	}
	if id := cartID(r); id != "" {
		if err := web.cart.Call(r.Context(), http.MethodGet, "/carts/"+url.PathEscape(id), nil, &v.Cart); err != nil {
			v.Notice, code = "The cart can't be reached, try again.", http.StatusBadGateway
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_ = web.page.Execute(w, v)
}

func (web *Web) add(w http.ResponseWriter, r *http.Request) {
	id := cartID(r)
	if id == "" {
		id = rand.Text()
		http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	if err := web.put(r.Context(), id, r.PathValue("product")); err != nil {
		back(w, r, "That didn't work, try again.")
		return
	}
	back(w, r, "")
}

// put asks the catalog for the price, so that no customer sets it.
func (web *Web) put(ctx context.Context, id, product string) error {
	var p catalog.Product
	if err := web.catalog.Call(ctx, http.MethodGet, "/products/"+url.PathEscape(product), nil, &p); err != nil {
		return err
	}
	item := cart.Item{Product: p.Name, Price: p.Price, Quantity: 1}
	return web.cart.Call(ctx, http.MethodPost, "/carts/"+url.PathEscape(id)+"/items", item, nil)
}

func (web *Web) checkout(w http.ResponseWriter, r *http.Request) {
	var receipt payments.Receipt
	err := web.cart.Call(r.Context(), http.MethodPost, "/carts/"+url.PathEscape(cmp.Or(cartID(r), "none"))+"/checkout", nil, &receipt)
	var status *server.StatusError
	switch {
	case err == nil:
		back(w, r, "Paid "+money(receipt.Amount)+". Fair winds!")
	case errors.As(err, &status) && status.Code < http.StatusInternalServerError:
		back(w, r, "Not paid: "+status.Text+".")
	default:
		back(w, r, "The cart can't be reached, try again.")
	}
}

func back(w http.ResponseWriter, r *http.Request, notice string) {
	to := "."
	if notice != "" {
		to += "?notice=" + url.QueryEscape(notice)
	}
	if r.URL.Path != "/checkout" {
		to = "." + to
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

func cartID(r *http.Request) string {
	c, err := r.Cookie(cookie)
	if err != nil || len(c.Value) > 64 {
		return ""
	}
	return c.Value
}

func money(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
