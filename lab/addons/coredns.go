package main

import (
	"os"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	// Only what a cluster's DNS needs; each plugin registers itself.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

// corednsDirectives is the order in which a query passes the plugins. It is
// CoreDNS's own order, reduced to those that are linked in.
func corednsDirectives() []string {
	return []string{
		"bind", "reload", "health", "ready", "log", "errors",
		"loop", "hosts", "cache", "kubernetes", "forward",
	}
}

// runCoreDNS hands over to CoreDNS, which reads the process's arguments and
// ends the process itself.
func runCoreDNS(args []string) int {
	os.Args = append([]string{"coredns"}, args...)
	dnsserver.Directives = corednsDirectives()
	coremain.Run()
	return 0
}
