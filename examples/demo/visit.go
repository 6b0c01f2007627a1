package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/examples/shop"
	"github.com/slipway-dev/slipway/internal/lab/await"
)

// running checks that each service has all its pods.
func (d *demo) running(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, service := range shop.Services() {
		if err := await.Object(ctx, d.client, key("Deployment", service), await.Available); err != nil {
			return err
		}
	}
	return nil
}

// shop visits the shop as a customer and checks the page: version, greeting,
// and that something can be bought, which takes all four services.
func (d *demo) shop(ctx context.Context, version, greeting string) error {
	return d.step("a customer sees web "+version+", puts a lantern into the cart and pays", func() error {
		// A Service's way to a new pod is laid a moment after the pod is ready.
		var last error
		err := wait.PollUntilContextTimeout(ctx, retryEvery, settling, true, func(ctx context.Context) (bool, error) {
			last = d.buy(ctx, version, greeting)
			return last == nil, nil
		})
		if err != nil && last != nil {
			return last
		}
		return err
	})
}

const (
	retryEvery = 100 * time.Millisecond
	settling   = 10 * time.Second
)

// buy is one visit from the first page to the payment.
func (d *demo) buy(ctx context.Context, version, greeting string) error {
	customer, err := d.enter()
	if err != nil {
		return err
	}
	for _, visit := range []struct {
		method, path string
		sees         []string
	}{
		{http.MethodGet, "", []string{greeting, "web " + version + " in staging", "Deck lantern"}},
		{http.MethodPost, "add/lantern", []string{"Your cart", "1 × 32.50"}},
		{http.MethodPost, "checkout", []string{"Paid 32.50"}},
	} {
		page, err := customer.do(ctx, visit.method, visit.path)
		if err != nil {
			return err
		}
		for _, want := range visit.sees {
			if !strings.Contains(page, want) {
				return fmt.Errorf("%s /%s: the page doesn't show %q:\n%s", visit.method, visit.path, want, page)
			}
		}
	}
	return nil
}

// customer is somebody with a browser, who reaches the service web through the
// API server's proxy.
type customer struct {
	http *http.Client
	base string
}

func (d *demo) enter() (*customer, error) {
	c, err := rest.HTTPClientFor(d.config)
	if err != nil {
		return nil, fmt.Errorf("make HTTP client: %w", err)
	}
	if c.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(d.config.Host, "/") + "/api/v1/namespaces/" + namespace + "/services/http:web:http/proxy/"
	return &customer{http: c, base: base}, nil
}

func (c *customer) do(ctx context.Context, method, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("visit the shop: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("visit the shop: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("visit the shop: %s /%s: %s: %s", method, path, resp.Status, body)
	}
	return string(body), nil
}

// pods returns the shop's pods: name → UID.
func (d *demo) pods(ctx context.Context) (map[string]string, error) {
	var list corev1.PodList
	err := d.client.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/part-of": "shop"})
	if err != nil {
		return nil, fmt.Errorf("list the shop's pods: %w", err)
	}
	found := map[string]string{}
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			found[p.Name] = string(p.UID)
		}
	}
	return found, nil
}
