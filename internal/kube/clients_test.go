package kube_test

import (
	"fmt"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/kube"
)

func TestClientsAreBounded(t *testing.T) {
	clients, err := kube.NewClients(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	get := func(account string) *kube.Client {
		c, err := clients.For(kube.Identity{Namespace: "apps", ServiceAccount: account})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	idle, busy := get("idle"), get("busy")
	for i := range 1000 {
		get(fmt.Sprint("made-up-", i))
		if get("busy") != busy {
			t.Fatal("a client in use is kept")
		}
	}
	if get("idle") == idle {
		t.Error("whoever names a thousand accounts must not fill the memory with their clients")
	}
}
