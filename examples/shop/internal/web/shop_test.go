package web

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/examples/shop/internal/cart"
	"github.com/slipway-dev/slipway/examples/shop/internal/catalog"
	"github.com/slipway-dev/slipway/examples/shop/internal/payments"
	"github.com/slipway-dev/slipway/examples/shop/internal/server"
)

// shop is the four services, each behind a listener of its own, and a customer.
type shop struct {
	t        *testing.T
	web      *httptest.Server
	catalog  *httptest.Server
	cart     *httptest.Server
	payments *httptest.Server
	customer *http.Client
}

func open(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t}
	s.payments = s.serve("payments", func(srv *server.Server) { payments.Routes(srv, 10_000) })
	s.catalog = s.serve("catalog", catalog.Routes)
	s.cart = s.serve("cart", func(srv *server.Server) {
		cart.Routes(srv, cart.New(cart.Payments{Client: server.NewClient("payments", s.payments.URL)}))
	})
	s.web = s.serve("web", func(srv *server.Server) {
		env := map[string]string{"CATALOG_URL": s.catalog.URL, "CART_URL": s.cart.URL, "WEB_GREETING": "Ahoy <b>!"}
		page, err := New(srv.Version(), func(k string) string { return env[k] })
		if err != nil {
			t.Fatal(err)
		}
		page.Routes(srv)
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.customer = &http.Client{Jar: jar}
	return s
}

func (s *shop) serve(name string, routes func(*server.Server)) *httptest.Server {
	srv := server.New(server.Config{Service: name, Version: "9.9.9", Environment: "test"}, slog.New(slog.DiscardHandler))
	routes(srv)
	l := httptest.NewServer(srv.Handler())
	s.t.Cleanup(l.Close)
	return l
}

// do sends a request as the customer and returns the page they end on.
func (s *shop) do(method, path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.web.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.customer.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (s *shop) shows(page string, wants ...string) {
	s.t.Helper()
	for _, want := range wants {
		if !strings.Contains(page, want) {
			s.t.Errorf("the page doesn't show %q:\n%s", want, page)
		}
	}
}

func TestPageShowsProductsAndWhereItRuns(t *testing.T) {
	s := open(t)
	code, page := s.do(http.MethodGet, "/")
	if code != http.StatusOK {
		t.Errorf("GET /: %d", code)
	}
	s.shows(page, "Ahoy &lt;b&gt;!", "web 9.9.9 in test")
	for _, p := range catalog.Products() {
		s.shows(page, p.Name)
	}
}

func TestBuy(t *testing.T) {
	s := open(t)
	s.do(http.MethodPost, "/add/lantern")
	_, page := s.do(http.MethodPost, "/add/lantern")
	s.shows(page, "2 × 32.50", "65.00")
	_, page = s.do(http.MethodPost, "/checkout")
	s.shows(page, "Paid 65.00")
	if strings.Contains(page, "Your cart") {
		t.Error("the cart isn't empty after it was paid")
	}
	_, page = s.do(http.MethodPost, "/checkout")
	s.shows(page, "Not paid: the cart is empty")
}

func TestDeclinedChargeKeepsTheCart(t *testing.T) {
	s := open(t)
	s.do(http.MethodPost, "/add/compass")
	_, page := s.do(http.MethodPost, "/checkout")
	s.shows(page, "Not paid: charges above 10000 cents are declined", "Your cart", "129.00")
}

func TestCustomersDoNotShareCarts(t *testing.T) {
	s := open(t)
	s.do(http.MethodPost, "/add/rope")
	s.customer = &http.Client{}
	if _, page := s.do(http.MethodGet, "/"); strings.Contains(page, "Your cart") {
		t.Error("a new customer sees somebody's cart")
	}
}

func TestUnknownProduct(t *testing.T) {
	s := open(t)
	_, page := s.do(http.MethodPost, "/add/cannon")
	s.shows(page, "That didn&#39;t work")
}

func TestOthersDown(t *testing.T) {
	cases := map[string]struct {
		reason string
		down   func(*shop) *httptest.Server
		method string
		path   string
		code   int
		want   string
	}{
		"Catalog":  {"without a catalogue there is a page that says so", func(s *shop) *httptest.Server { return s.catalog }, http.MethodGet, "/", 502, "catalogue can&#39;t be reached"},
		"Cart":     {"without carts there is a page that says so", func(s *shop) *httptest.Server { return s.cart }, http.MethodGet, "/", 502, "cart can&#39;t be reached"},
		"Payments": {"without payments the cart stays", func(s *shop) *httptest.Server { return s.payments }, http.MethodPost, "/checkout", 200, "Your cart"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			s.do(http.MethodPost, "/add/rope")
			tc.down(s).Close()
			code, page := s.do(tc.method, tc.path)
			if code != tc.code {
				t.Errorf("%s: status %d, want %d", tc.reason, code, tc.code)
			}
			s.shows(page, tc.want)
		})
	}
}
